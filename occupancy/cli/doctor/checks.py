"""The checks of one server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from occupancy.cli.doctor.facts import PINGS, Check, Facts
from occupancy.core.texts.plurals import counted
from occupancy.observability.servers import OUR_NAMES
from occupancy.storage.permissions import acl_rules
from occupancy.storage.topology.misdirection import misdirection

_OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
_REQUIRED = " or ".join(f"{name} {major}.{minor}" for name, (major, minor) in _OLDEST.items())
_SLOW_MS = 5.0
_CLOCK_S = 2.0
_NEARLY_FULL = 0.9


def _server(facts: Facts) -> Check:
    kind = str(facts.info.get("server_name", "redis"))
    version = str(facts.info.get(f"{kind}_version", facts.info.get("redis_version", "")))
    if not facts.info:
        return Check("server", "unknown", "withheld", f"Make sure that it is {_REQUIRED} or newer.")
    finding = f"{kind} {version}"
    oldest = _OLDEST.get(kind)
    parts = version.split(".")[:2]
    if oldest is None or not all(part.isdigit() for part in parts) or len(parts) < 2:
        return Check("server", "unknown", finding, "It is tested with Redis and Valkey only.")
    if (int(parts[0]), int(parts[1])) < oldest:
        return Check("server", "error", finding, f"Upgrade it to {_REQUIRED} or newer.")
    return Check("server", "ok", finding)


def _role(facts: Facts) -> Check:
    role = facts.info.get("role")
    if facts.role in ("replica", "spare"):
        return Check("role", "ok", facts.role)
    if found := misdirection(facts.info, facts.engine):
        return Check("role", "error", found.finding, found.advice)
    if role is None:
        return Check("role", "unknown", "withheld")
    if role == "master":
        return Check("role", "ok", "primary")
    return Check(
        "role", "warning", "a replica: a failover is under way", "Check again in some seconds."
    )


def _persistence(facts: Facts) -> Check:
    if facts.info.get("aof_enabled"):
        return Check("persistence", "ok", "append-only file")
    if "aof_enabled" not in facts.info:
        return Check("persistence", "unknown", "withheld", "Make sure that it keeps its data.")
    advice = "CONFIG SET appendonly yes, and in the server's configuration file."
    if facts.config is None:
        return Check("persistence", "unknown", "no append-only file; snapshots: withheld", advice)
    if facts.config.get("save"):
        finding = "snapshots only: minutes of operations are lost in a crash"
        return Check("persistence", "warning", finding, advice)
    return Check("persistence", "warning", "none: a restart loses everything", advice)


def _writing(facts: Facts) -> Check:
    statuses = {
        "snapshot": facts.info.get("rdb_last_bgsave_status"),
        "append-only file": facts.info.get("aof_last_write_status"),
        "rewrite of the append-only file": facts.info.get("aof_last_bgrewrite_status"),
    }
    failed = [what for what, status in statuses.items() if status not in ("ok", None)]
    if set(statuses.values()) == {None}:
        return Check("writing to disk", "unknown", "withheld", "See the server's log.")
    if not failed:
        return Check("writing to disk", "ok", "the last writes succeeded")
    advice = "See the server's log: a full disk, or missing permissions? It may refuse operations."
    return Check("writing to disk", "error", f"failed: {', '.join(failed)}", advice)


def _eviction(facts: Facts) -> Check:
    policy = facts.info.get("maxmemory_policy")
    if policy is None:
        return Check("eviction", "unknown", "withheld", "maxmemory-policy must be noeviction.")
    if policy == "noeviction":
        return Check("eviction", "ok", "noeviction")
    advice = "CONFIG SET maxmemory-policy noeviction: otherwise full memory deletes items."
    return Check("eviction", "error", str(policy), advice)


def _memory(facts: Facts) -> Check:
    used, limit = facts.info.get("used_memory"), facts.info.get("maxmemory")
    if used is None or limit is None:
        return Check("memory", "unknown", "withheld")
    finding = f"{used / 1e6:.1f} MB used, {f'of {limit / 1e6:.1f} MB' if limit else 'no limit'}"
    if limit and used >= limit:
        advice = "Raise maxmemory: changes are refused until then."
        return Check("memory", "error", finding, advice)
    if limit and used > _NEARLY_FULL * limit:
        return Check("memory", "warning", finding, "Raise maxmemory: it is nearly full.")
    return Check("memory", "ok", finding)


def _room(facts: Facts) -> Check:
    """Whether the logs, and the records of one worker at the limit, fit into the memory.

    In a Cluster, of the boards that the server has.
    """
    used, limit, needs = facts.info.get("used_memory"), facts.info.get("maxmemory"), facts.needs
    finding = (
        f"logs of {facts.boards} board{'s' * (facts.boards != 1)} up to "
        f"{needs.logs / 1e6:,.0f} MB, histories of items up to {needs.histories / 1e6:,.0f} MB, "
        f"Idempotency-Keys up to {needs.records / 1e6:,.0f} MB a day for each worker at their limit"
    )
    if used is None or limit is None:
        return Check("room", "unknown", finding)
    if limit and needs.logs + needs.records > limit:
        advice = (
            f"Raise maxmemory to {(needs.logs + needs.records) / 1e6:,.0f} MB or more, or lower "
            "OCCUPANCY_LOG_BYTES or OCCUPANCY_OPERATIONS_PER_S: a full server refuses operations."
        )
        return Check("room", "warning", finding, advice)
    return Check("room", "ok", finding)


def _rights(facts: Facts) -> Check:
    if facts.denied:
        return missing_rights(facts.denied, facts.user, is_strict=facts.confirm_replicas > 0)
    is_primary = facts.role == "primary"
    return Check("rights", "ok", f"all that {'is needed' if is_primary else 'can be tried here'}")


def missing_rights(denied: Sequence[str], user: str, *, is_strict: bool) -> Check:
    """What the ``denied`` commands and channels mean, and the command that allows them."""
    if commands := {each for each in denied if each[0] != "&"}:
        unconfirmed = "operations are" if is_strict else "changes of access are"
        is_confirming = commands == {"wait"}
        meaning = f"{unconfirmed} answered 503 unconfirmed" if is_confirming else "no operations"
    else:
        meaning = "events are late"
    rules = acl_rules(denied)
    advice = f"ACL SETUSER {user} {rules} — on each server; or use the rules of the README."
    return Check("rights", "error", f"missing: {rules} ({meaning})", advice)


def _connections(facts: Facts) -> Check:
    most = int(facts.info.get("maxclients", 0))
    if facts.clients is None or not most:
        advice = f"Make sure that maxclients leaves room for {facts.budget}."
        return Check("connections", "unknown", "withheld", advice)
    ours = {f"occupancy-{name}" for name in OUR_NAMES}
    others = sum(name not in ours for name in facts.clients)
    finding = f"budget {facts.budget} + {counted(others, 'other client')}, of {most}"
    if facts.budget + others > most:
        advice = (
            f"Raise maxclients to {facts.budget + others} or more, or lower OCCUPANCY_REDIS_BUDGET."
        )
        return Check("connections", "error", finding, advice)
    return Check("connections", "ok", finding)


def _confirmation(facts: Facts) -> Check:
    """Strict mode: whether a failover can lose an operation that was acknowledged."""
    wanted = facts.confirm_replicas
    if facts.unsound is not None:
        return Check("confirmation", "error", f"by {counted(wanted, 'replica')}", facts.unsound)
    if not wanted:
        if facts.unequal is not None:
            finding = f"strict mode is not possible; replicas: {facts.replicas}"
            advice = f"For OCCUPANCY_CONFIRM_REPLICAS, {facts.unequal}"
            return Check("confirmation", "ok", finding, advice)
        if not facts.replicas:
            return Check("confirmation", "ok", "no replicas")
        finding = f"a failover may lose the last operations; replicas: {facts.replicas}"
        advice = f"For strict mode set OCCUPANCY_CONFIRM_REPLICAS={facts.replicas}."
        return Check("confirmation", "ok", finding, advice)
    if facts.replicas < wanted:
        up = f"{facts.replicas} of {counted(wanted, 'replica')} {'is' if wanted == 1 else 'are'} up"
        finding = f"{up}: operations get 503 unconfirmed"
        return Check(
            "confirmation", "error", finding, "Start the others, or wait until they follow."
        )
    return Check("confirmation", "ok", f"by {counted(wanted, 'replica')}")


def _round_trip(facts: Facts) -> Check:
    if facts.ping_ms is None:
        return Check("round trip", "unknown", "withheld")
    finding = f"{facts.ping_ms:.2f} ms (median of {PINGS})"
    if facts.ping_ms > _SLOW_MS:
        advice = "Run the server nearer to the application; every operation takes one round trip."
        return Check("round trip", "warning", finding, advice)
    return Check("round trip", "ok", finding)


def _clock(facts: Facts) -> Check:
    if facts.clock_s is None:
        return Check("clock", "unknown", "withheld")
    ahead = "ahead of" if facts.clock_s > 0 else "behind"
    finding = f"{abs(facts.clock_s):.3f} s {ahead} this machine's"
    if abs(facts.clock_s) > _CLOCK_S:
        advice = "Set both clocks by NTP. Holds do not depend on it, but displayed times do."
        return Check("clock", "warning", finding, advice)
    return Check("clock", "ok", finding)


CHECKS: tuple[Callable[[Facts], Check], ...] = (
    _server, _role, _persistence, _writing, _eviction, _memory, _room, _rights, _connections,
    _confirmation, _round_trip, _clock,
)  # fmt: skip
REPLICA_CHECKS = tuple(each for each in CHECKS if each is not _confirmation)

"""The doctor of ``flask redis check``: is the server fit, and what should be changed?

It changes nothing. Facts that a managed server withholds are 'unknown', which is not a failure.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Kind
from occupancy.observability.processes import CLIENT_NAMES
from occupancy.services import Services
from occupancy.storage.capacity import WorstCase, worst_case
from occupancy.storage.client import OpsClient
from occupancy.storage.permissions import acl_rules, denied_subscriptions
from occupancy.storage.server_errors import denied_command, unavailable_as_error
from occupancy.storage.topology.misdirection import misdirection, misdirection_of

Level = Literal["ok", "warning", "error", "unknown"]

_OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
_REQUIRED = " or ".join(f"{name} {major}.{minor}" for name, (major, minor) in _OLDEST.items())
_PINGS = 50
_SLOW_MS = 5.0
_CLOCK_S = 2.0
_NEARLY_FULL = 0.9


class Check(msgspec.Struct, frozen=True):
    """One finding; ``advice`` says what to change, '' for nothing."""

    name: str
    level: Level
    finding: str
    advice: str = ""


class Facts(msgspec.Struct, frozen=True):
    """The facts about the server. If it withholds them, ``info`` is empty and the others are None.

    ``ping_ms``: the median round trip; ``clock_s``: the lead of the server's clock over ours;
    ``denied``: commands and channels that our user may not use; ``needs``: the most memory that the
    data of this number of ``boards`` can take; ``engine``: the kind of REDIS_URL.
    """

    info: Mapping[str, Any]
    config: Mapping[str, str] | None
    clients: list[str] | None
    ping_ms: float | None
    clock_s: float | None
    budget: int
    denied: list[str]
    needs: WorstCase
    boards: int
    engine: Kind = "single"


def examine(services: Services) -> list[Check]:
    """Every check of the server. Raises PoolTimeout and StoreUnavailable."""
    with unavailable_as_error():
        found = misdirection_of(services.store.client, services.settings.engine)
    if found is not None:  # it answers nothing else
        return [Check("role", "error", found.finding, found.advice)]
    facts = read_facts(services)
    return [check(facts) for check in CHECKS]


def read_facts(services: Services) -> Facts:
    """Read the server's facts. Raises PoolTimeout and StoreUnavailable.

    A command that the user may not run is added to ``denied`` and does not end the reading.
    """
    client = services.store.client
    denied: set[str] = set()

    def allowed(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except StoreUnavailable as error:
            if (command := denied_command(error)) is None:
                raise
            denied.add(command)
            return None

    info, config, clients = client.run_optional(
        lambda pipeline: (pipeline.info(), pipeline.config_get("save"), pipeline.client_list())
    )
    boards = allowed(services.store.boards.all) or []
    denied.update(allowed(services.store.permissions.check) or ())
    with unavailable_as_error():
        for shard in services.topology.shards():
            denied.update(denied_subscriptions(shard.pubsub_pool, services.store.keys))
    items = sum(sum(board.counts.values()) for board in boards)
    return Facts(
        info=info or {},
        config=config,
        clients=None if clients is None else [each.get("name", "") for each in clients],
        ping_ms=allowed(lambda: _ping_ms(client)),
        clock_s=allowed(lambda: _clock_s(client)),
        budget=services.budget.limit,
        denied=sorted(denied),
        needs=worst_case(services.settings, boards=len(boards), items=items),
        boards=len(boards),
        engine=services.settings.engine,
    )


def _ping_ms(client: OpsClient) -> float:
    """The median round trip of _PINGS pings."""
    pings = []
    for _ in range(_PINGS):
        started = time.perf_counter()
        client.ping()
        pings.append(time.perf_counter() - started)
    return statistics.median(pings) * 1000


def _clock_s(client: OpsClient) -> float:
    """The lead of the server's clock over ours."""
    before = time.time()
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6 - (before + time.time()) / 2)


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
    if found := misdirection(facts.info, facts.engine):
        return Check("role", "error", found.finding, found.advice)
    if role is None:
        return Check("role", "unknown", "withheld")
    if role == "master":
        return Check("role", "ok", "primary")
    return Check("role", "warning", "a replica: a failover goes on", "Check again in some seconds.")


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
    """Whether the logs, and the records of one worker at the limit, fit into the memory."""
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
    if not facts.denied:
        return Check("rights", "ok", "all that is needed")
    rules = acl_rules(facts.denied)
    is_late = all(each[0] == "&" for each in facts.denied)
    meaning = "events are late" if is_late else "no operations"
    advice = "ACL SETUSER … with these rules, or with the rules of the README."
    return Check("rights", "error", f"missing: {rules} ({meaning})", advice)


def _connections(facts: Facts) -> Check:
    most = int(facts.info.get("maxclients", 0))
    if facts.clients is None or not most:
        advice = f"Make sure that maxclients leaves room for {facts.budget}."
        return Check("connections", "unknown", "withheld", advice)
    ours = {f"occupancy-{name}" for name in CLIENT_NAMES}
    others = sum(name not in ours for name in facts.clients)
    finding = f"budget {facts.budget} + {others} other clients, of {most}"
    if facts.budget + others > most:
        advice = (
            f"Raise maxclients to {facts.budget + others} or more, or lower OCCUPANCY_REDIS_BUDGET."
        )
        return Check("connections", "error", finding, advice)
    return Check("connections", "ok", finding)


def _round_trip(facts: Facts) -> Check:
    if facts.ping_ms is None:
        return Check("round trip", "unknown", "withheld")
    finding = f"{facts.ping_ms:.2f} ms (median of {_PINGS})"
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
    _round_trip, _clock,
)  # fmt: skip

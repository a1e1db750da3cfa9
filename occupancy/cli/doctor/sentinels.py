"""The checks of the Sentinels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from occupancy.cli.doctor.facts import SLOWEST_FAILOVER_MS, Check, Level
from occupancy.observability.servers import Answer
from occupancy.storage.topology.sentinel import Sentinel

_FEWEST = 3
Told = Mapping[str, Mapping[str, str] | None]
"""What each Sentinel says of the primary (SENTINEL MASTER), by its address; None: no answer."""


def sentinel_checks(topology: Sentinel, answers: Sequence[Answer]) -> list[Check]:
    """Every check of the Sentinels and their replicas."""
    told = {str(address): fields for address, fields in topology.sentinels().items()}
    replicas = {
        each.member.address: each.error is None
        for each in answers if each.member.role == "replica"
    }  # fmt: skip
    return [answering(told), number(told), agreement(told), quorum(told), down_after(told),
            copies(replicas)]  # fmt: skip


def _known(told: Told) -> list[Mapping[str, str]]:
    return [each for each in told.values() if each is not None]


def _count(told: Told) -> int:
    """How many Sentinels watch the primary, as they say themselves."""
    return max((int(each["num-other-sentinels"]) + 1 for each in _known(told)), default=0)


def answering(told: Told) -> Check:
    silent = [address for address, fields in told.items() if fields is None]
    finding = f"{len(told) - len(silent)} of {len(told)} in REDIS_URL answer"
    if not silent:
        return Check("sentinels", "ok", finding)
    level: Level = "error" if len(silent) == len(told) else "warning"
    advice = f"Start them, or correct REDIS_URL or its sentinel_password: {', '.join(silent)}."
    return Check("sentinels", level, finding, advice)


def number(told: Told) -> Check:
    count = _count(told)
    if not count:
        return Check("number of sentinels", "unknown", "none answers")
    if count < _FEWEST or count % 2 == 0:
        advice = "Run an odd number on machines of their own, three or more."
        return Check("number of sentinels", "warning", str(count), advice)
    return Check("number of sentinels", "ok", str(count))


def agreement(told: Told) -> Check:
    """Whether all name the same primary; one that was cut off may name an old one."""
    named = {f"{each['ip']}:{each['port']}" for each in _known(told)}
    if len(named) > 1:
        finding = f"they name {' and '.join(sorted(named))}"
        advice = "A failover is under way, or some are cut off from the others: see their logs."
        return Check("primary", "error", finding, advice)
    return Check("primary", "ok" if named else "unknown", "".join(named) or "no Sentinel names it")


def quorum(told: Told) -> Check:
    count, quorums = _count(told), {int(each["quorum"]) for each in _known(told)}
    if not quorums:
        return Check("quorum", "unknown", "none answers")
    finding = f"{' and '.join(map(str, sorted(quorums)))} of {count}"
    majority = count // 2 + 1
    if max(quorums) > count:
        advice = f"SENTINEL SET … quorum {majority}: it can never be reached."
        return Check("quorum", "error", finding, advice)
    if min(quorums) < majority or len(quorums) > 1:
        advice = f"SENTINEL SET … quorum {majority} on each: fewer may be wrong together."
        return Check("quorum", "warning", finding, advice)
    return Check("quorum", "ok", finding)


def down_after(told: Told) -> Check:
    """How long the primary must be silent before another one is promoted."""
    slowest = max((int(each["down-after-milliseconds"]) for each in _known(told)), default=None)
    if slowest is None:
        return Check("down after", "unknown", "none answers")
    finding = f"{slowest / 1000:g} s"
    if slowest > SLOWEST_FAILOVER_MS:
        advice = "SENTINEL SET … down-after-milliseconds 5000: a failover begins only then."
        return Check("down after", "warning", finding, advice)
    return Check("down after", "ok", finding)


def copies(answer_by_address: Mapping[str, bool]) -> Check:
    """Whether the replicas answer at the addresses that they announce to the Sentinels."""
    if not answer_by_address:
        advice = "Add one: without it the Sentinels have no server to promote."
        return Check("replicas", "warning", "the Sentinels know none", advice)
    silent = [address for address, has_answered in answer_by_address.items() if not has_answered]
    count = len(answer_by_address) - len(silent)
    if not silent:
        return Check("replicas", "ok", str(count))
    where = ", ".join(silent)
    finding = f"none answers at {where}"
    if count:
        finding = f"{count} of {len(answer_by_address)} answer, not {where}"
    advice = (
        "Start it. If it runs, this machine does not reach the address that it announces: set its "
        "replica-announce-ip and replica-announce-port, or OCCUPANCY_REDIS_ADDRESSES to "
        f"{silent[0]}=HOST:PORT with the address to connect to."
    )
    return Check("replicas", "warning", finding, advice)

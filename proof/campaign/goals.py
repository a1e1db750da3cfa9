"""The goals of the full run, and how far the counts are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from proof.campaign.kinds import KINDS, Kind, Part

ROUNDS_OF_A_FAILOVER = 5  # of each kind, on each server

Entry = dict[str, Any]


class Goal(NamedTuple):
    """A number that is to be reached."""

    name: str
    target: int
    part: Part  # whose rounds bring it on
    reached_by: Callable[[Entry], int]  # what an entry adds


class Standing(NamedTuple):
    """How far a goal is."""

    goal: Goal
    reached: int
    violations: int  # of the rounds that have added to it

    @property
    def share(self) -> float:
        return self.reached / self.goal.target

    @property
    def is_reached(self) -> bool:
        return self.reached >= self.goal.target


def _sum(name: str, topology: str = "single") -> Callable[[Entry], int]:
    return lambda entry: int(entry["sums"].get(name, 0)) if entry["topology"] == topology else 0


def _faults(entry: Entry) -> int:
    return sum(entry["faults"].values())


def _failovers(entry: Entry) -> int:
    is_one = entry["topology"] in ("cluster", "sentinel")
    return min(entry["rounds"], ROUNDS_OF_A_FAILOVER) if is_one else 0


def _alone(entry: Entry) -> int:
    is_alone = KINDS[entry["kind"]].part == "single faults"
    return min(entry["rounds"], 1) if is_alone else 0


def _cells(part: Part) -> int:
    return sum(len(list(each.cells())) for each in KINDS.values() if each.part == part)


FAULT_KINDS = "kinds of faults"
GOALS = [
    Goal("operations by 200 workers", 1_000_000, "several faults", _sum("operations")),
    Goal("faults", 1_000, "storms", _faults),
    Goal("each fault alone, on each set-up", _cells("single faults"), "single faults", _alone),
    Goal(FAULT_KINDS, 16, "single faults", lambda _: 0),  # counted over all entries
    Goal("answers lost, and retried", 100_000, "lost answers", _sum("replayed")),
    Goal("deliveries", 1_000_000, "reconnects", _sum("deliveries")),
    Goal("forced reconnects", 10_000, "reconnects", _sum("forced_reconnects")),
    Goal("rolling restarts", 100, "rolling restarts", _sum("rolling_restarts")),
    Goal(
        "rounds of failovers", ROUNDS_OF_A_FAILOVER * _cells("failovers"), "failovers", _failovers
    ),
    Goal("revocations at random moments", 200, "access", _sum("revocations", "access")),
    Goal("hours of a day's work", 24, "day", _sum("hours", "day")),
]


def standings(entries: Sequence[Entry]) -> list[Standing]:
    """How far each goal is."""
    found = []
    for goal in GOALS:
        if goal.name == FAULT_KINDS:
            own = [each for each in entries if each["faults"]]
            kinds = {fault_name(each, name) for each in own for name in each["faults"]}
            reached = len(kinds)
        else:
            own = [each for each in entries if goal.reached_by(each)]
            reached = sum(map(goal.reached_by, own))
        violations = sum(each["violation_count"] for each in own)
        found.append(Standing(goal, reached, violations))
    return found


def fault_name(entry: Entry, fault: str) -> str:
    """A kind of fault: those of one server, of a Cluster and of Sentinels are different."""
    return fault if entry["topology"] == "single" else f"{entry['topology']} {fault}"


def lacking(found: Sequence[Standing], parts: Sequence[Part]) -> list[Part]:
    """The parts, those first whose goals lack most; each once."""
    behind = sorted(
        (each for each in found if each.goal.part in parts), key=lambda each: each.share
    )
    return list(dict.fromkeys(each.goal.part for each in behind))


def kinds_of(part: Part, kinds: Sequence[Kind]) -> list[Kind]:
    return [each for each in kinds if each.part == part]

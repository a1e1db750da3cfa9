"""The kinds of rounds, and on which set-up a round of a kind runs.

A kind and a seed say everything about a round: the seed decides on the server and on the number of
nodes too. So ``bin/prove --only KIND --seed S`` repeats it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

from proof.access.run import PARTS as ACCESS_PARTS
from proof.failover.faults import faults_of
from proof.single.preload import has_compiler
from proof.single.run import FAULTS, SEVERAL, STORM, Plan, plans_of
from tests.support.servers import BINARIES

Part = Literal[
    "single faults", "several faults", "storms", "lost answers", "reconnects", "rolling restarts",
    "failovers", "access", "day",
]  # fmt: skip
Topology = Literal["single", "cluster", "sentinel", "access", "day"]

LOST_ANSWERS = "lost-answers"
RECONNECTS = "reconnects"
ROLLING_RESTARTS = "rolling-restarts"
DAY = "day"
ACCESS = {f"access-{part}": part for part in ACCESS_PARTS}


class SetUp(NamedTuple):
    """What a round runs on. Rounds on the same set-up may share it."""

    topology: Topology
    server: str
    nodes: int = 1
    is_strict: bool = False
    has_links: bool = False
    has_preloads: bool = False


class Kind(NamedTuple):
    """A kind of round, by its name on the command line."""

    name: str
    part: Part
    topology: Topology = "single"
    is_strict: bool = False
    fault: str = ""  # of a failover

    def cells(self) -> Iterator[tuple[str, int]]:
        """Each server and number of nodes on which this kind runs."""
        for server in BINARIES:
            if self.topology in ("cluster", "sentinel"):
                own = faults_of(self.topology, server, is_strict=self.is_strict)
                if self.fault in own:
                    yield server, 2
            elif self.topology in ("access", "day"):
                yield server, 1
            else:
                yield from ((server, nodes) for nodes in (1, 2))

    def cell_of(self, seed: int) -> tuple[str, int]:
        """The server and the number of nodes of a seed."""
        cells = list(self.cells())
        return cells[seed % len(cells)]

    def seed_after(self, seed: int, cell: tuple[str, int]) -> int:
        """The next seed of the same server and number of nodes."""
        return next(each for each in range(seed + 1, seed + 9) if self.cell_of(each) == cell)

    def plan(self, seed: int) -> Plan:
        """The faults of a round on one server."""
        if self.part == "single faults":
            return Plan((self.name,), seed)
        return next(plans_of([self.name], seed=seed, rounds=1))

    def set_up(self, seed: int) -> SetUp:
        server, nodes = self.cell_of(seed)
        has_links = has_preloads = False
        if self.part == "single faults":
            has_links, has_preloads = self.plan(seed).needs
        elif self.part in ("several faults", "storms"):  # they draw among all
            has_links, has_preloads = True, has_compiler()
        elif self.part == "lost answers":
            has_links = True
        return SetUp(self.topology, server, nodes, self.is_strict, has_links, has_preloads)


def _failovers() -> Iterator[Kind]:
    topologies: tuple[Topology, ...] = ("cluster", "sentinel")
    for topology in topologies:
        for is_strict in (False, True):
            names = dict.fromkeys(
                name for server in BINARIES
                for name in faults_of(topology, server, is_strict=is_strict)
            )  # fmt: skip
            prefix = f"{topology}-strict" if is_strict else topology
            for name in names:
                yield Kind(f"{prefix}:{name}", "failovers", topology, is_strict, name)


def _of_one_server() -> Iterator[Kind]:
    for plan in plans_of(None, seed=1, rounds=1):
        if len(plan.names) == 1:
            yield Kind(plan.names[0], "single faults")
    yield Kind(SEVERAL, "several faults")
    yield Kind(STORM, "storms")
    yield Kind(LOST_ANSWERS, "lost answers")
    yield Kind(RECONNECTS, "reconnects")
    yield Kind(ROLLING_RESTARTS, "rolling restarts")


KINDS: dict[str, Kind] = {
    each.name: each
    for each in [
        *_of_one_server(), *_failovers(), *(Kind(name, "access", "access") for name in ACCESS),
        Kind(DAY, "day", "day"),
    ]
}  # fmt: skip
assert set(FAULTS) >= {each.name for each in KINDS.values() if each.part == "single faults"}


def chosen(names: Collection[str]) -> list[Kind]:
    """The kinds with these names; the name of a failover alone means it on every set-up.

    Raises ValueError for a name that no kind has.
    """
    found = []
    for name in names:
        own = [each for each in KINDS.values() if name in (each.name, each.fault)]
        if not own:
            raise ValueError(f"{name!r} is not one of {', '.join(KINDS)}")
        found += own
    return list(dict.fromkeys(found))

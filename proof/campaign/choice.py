"""Which rounds come next: those that bring on the goal that lacks most."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from proof.campaign.counts import Counts
from proof.campaign.goals import kinds_of, lacking, standings
from proof.campaign.kinds import Kind, Part, SetUp

_MOST_ROUNDS = 8  # of a batch: then look again which goal lacks most
_LEAST_ROUNDS = 3  # a start of a set-up takes as long as a round


class Planned(NamedTuple):
    """A round to come."""

    kind: Kind
    seed: int


class Batch(NamedTuple):
    """Rounds to come on one set-up."""

    part: Part
    set_up: SetUp
    rounds: list[Planned]


def next_batch(
    counts: Counts, kinds: Sequence[Kind], servers: Collection[str], *, first_seed: int = 1,
    without: Collection[Part] = (),
) -> Batch | None:  # fmt: skip
    """The next rounds; None if no part is left.

    Of a part's kinds, those come first that have had the fewest rounds, void ones too: a round that
    is always void must not keep the others from their turn.
    """
    parts = [each for each in dict.fromkeys(kind.part for kind in kinds) if each not in without]
    for part in lacking(standings(counts.entries), parts):
        waiting = [
            (counts.attempts(kind.name, *cell), place, kind, cell)
            for place, kind in enumerate(kinds_of(part, kinds))
            for cell in kind.cells()
            if cell[0] in servers
        ]
        if not waiting:
            continue
        waiting.sort(key=lambda each: each[:2])
        planned = [
            Planned(kind, next_seed(counts, kind, cell, first_seed))
            for _, _, kind, cell in waiting
        ]  # fmt: skip
        set_up = planned[0].kind.set_up(planned[0].seed)
        same = [each for each in planned if each.kind.set_up(each.seed) == set_up]
        while len(same) < _LEAST_ROUNDS and part != "day":
            kind, seed = same[-1]
            further = kind.seed_after(seed, kind.cell_of(seed))
            if kind.set_up(further) != set_up:
                break
            same.append(Planned(kind, further))
        return Batch(part, set_up, same[:_MOST_ROUNDS])
    return None


def next_seed(counts: Counts, kind: Kind, cell: tuple[str, int], first_seed: int) -> int:
    """The seed that follows the last one on this server and number of nodes."""
    last = counts.last_seed(kind.name, *cell)
    return kind.seed_after(first_seed - 1 if last is None else max(last, first_seed - 1), cell)

"""Linearizability: is there an order of an item's operations that explains all answers?

The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with Lowe's
memory ("Testing for linearizability", 2017): each pair of what is in order already and the state
that it leaves is visited once. Operations on one item say nothing of another item, and
linearizability is local (Herlihy and Wing, 1990), so each item is judged by itself.

Why our own: no library for Python was found on PyPI that is kept up. Porcupine (Go), Knossos and
Elle (Clojure), and WGLChecker of todc-utils (Rust) would be another process in another language,
and the model too, in which each answer has to be explained. In none of them an operation without an
answer may also not happen at all; they leave that to the model. The search itself is short.

This is the reference. ``versions.py`` judges the same in one pass where answers show versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

MOST_CONFIGURATIONS = 200_000  # then the search gives up, which is a violation


class Operation(Protocol):
    """What the search must know of an operation. Without a known answer ``answered_s`` is inf."""

    @property
    def sent_s(self) -> float: ...

    @property
    def answered_s(self) -> float: ...

    @property
    def is_known(self) -> bool: ...

    @property
    def is_change(self) -> bool:
        """Whether it may leave another state than it finds. Of unknown ones nothing is asked."""

    def states_after(self, state: Any) -> Iterable[Any]:
        """The states that it may leave, if it takes effect in ``state``; none, if it cannot."""


def search(start: Any, operations: Iterable[Operation]) -> str:
    """'' if some order explains every answer; else what could not be explained.

    An operation takes effect once between ``sent_s`` and ``answered_s``; one without a known answer
    at any time after ``sent_s``, or never.
    """
    known = sorted((each for each in operations if each.is_known), key=lambda each: each.sent_s)
    unknown = sorted(
        (each for each in operations if not each.is_known), key=lambda each: each.sent_s
    )
    # A configuration: the first `first` of the known are in order, and of those behind them the
    # ones in `mask`; of the unknown the ones in `used`; and the state that they leave.
    begin = (0, 0, 0, start)
    visited = {begin}
    way = [_next(begin, known, unknown)]
    furthest = begin
    while way:
        for configuration in way[-1]:
            if configuration in visited:
                continue
            if len(visited) >= MOST_CONFIGURATIONS:
                return f"undecided after {MOST_CONFIGURATIONS} configurations"
            visited.add(configuration)
            if configuration[0] > furthest[0]:
                furthest = configuration
            if configuration[0] == len(known):
                return ""
            way.append(_next(configuration, known, unknown))
            break
        else:
            way.pop()
    if not known:
        return ""
    first, mask, _, state = furthest
    stuck = [str(each) for each in _candidates(first, mask, known)[0]][:4]
    return f"nothing explains {', '.join(stuck)}; the state before is {state}"


_Configuration = tuple[int, int, int, Any]


def _candidates(
    first: int, mask: int, known: Sequence[Operation]
) -> tuple[list[Operation], list[int], float]:
    """The known operations that may be next, their distance from ``first``, and until when.

    No operation may come after one that was sent after its answer. So the next is sent before the
    earliest answer of those that are not in order yet.
    """
    found, distances = [], []
    until_s = float("inf")
    for index in range(first, len(known)):
        each = known[index]
        if each.sent_s > until_s:
            break
        if not mask >> (index - first) & 1:
            found.append(each)
            distances.append(index - first)
            until_s = min(until_s, each.answered_s)
    return found, distances, until_s


def _next(
    configuration: _Configuration, known: Sequence[Operation], unknown: Sequence[Operation]
) -> Iterator[_Configuration]:
    """The configurations with one operation more, those that are most likely to succeed first."""
    first, mask, used, state = configuration
    found, distances, until_s = _candidates(first, mask, known)
    later: list[_Configuration] = []
    for each, distance in zip(found, distances, strict=True):
        for after in each.states_after(state):
            following = (*_with(first, mask, distance), used, after)
            if not each.is_change and after == state:
                # A reading that is right now: what explains the others also does with it in front.
                # A change that finds its effect already there may be needed later.
                yield following
                return
            later.append(following)
    for number, each in enumerate(unknown):
        if each.sent_s > until_s:
            break
        if not used >> number & 1:
            later += [
                (first, mask, used | 1 << number, after) for after in each.states_after(state)
            ]
    yield from later


def _with(first: int, mask: int, distance: int) -> tuple[int, int]:
    """``first`` and ``mask`` with one operation more."""
    mask |= 1 << distance
    while mask & 1:
        mask >>= 1
        first += 1
    return first, mask

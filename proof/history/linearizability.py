"""Linearizability: is there an order of an item's operations that explains all answers?

The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with Lowe's
memory ("Testing for linearizability", 2017): each pair of what is in order already and the state
that it leaves is visited once. Operations on one item say nothing of another item, and
linearizability is local (Herlihy and Wing, 1990), so each item is judged by itself.

Why our own: PyPI has no maintained library for it. Porcupine (Go), Knossos and Elle (Clojure), and
WGLChecker of todc-utils (Rust) need another process, and the model in another language. None of
them lets an operation without an answer never take effect; they leave that to the model. The search
itself is short.

This is the reference. ``versions.py`` judges the same in one pass where answers show versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

MOST_CONFIGURATIONS = 200_000  # then the search gives up, which is a violation


class Operation(Protocol):
    """What the search needs of an operation. ``answered_s`` is inf without a known answer."""

    @property
    def sent_s(self) -> float: ...

    @property
    def answered_s(self) -> float: ...

    @property
    def is_known(self) -> bool: ...

    @property
    def is_change(self) -> bool:
        """Whether it may change the state. The search asks only operations with a known answer."""

    def states_after(self, state: Any) -> Iterable[Any]:
        """The states that it may leave, if it takes effect in ``state``; none, if it cannot."""


def search(start: Any, operations: Iterable[Operation]) -> str:
    """Returns '' if some order explains every answer; else what no order explains.

    An operation takes effect once between ``sent_s`` and ``answered_s``; one without a known answer
    at any time after ``sent_s``, or never.
    """
    known = sorted((each for each in operations if each.is_known), key=lambda each: each.sent_s)
    unknown = sorted(
        (each for each in operations if not each.is_known), key=lambda each: each.sent_s
    )
    # A configuration is (first, mask, used, state). In order are the first `first` of the known
    # operations, those behind them with a bit in `mask`, and the unknown ones with a bit in `used`.
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
    """The known operations that may be next, their distances from ``first``, and a bound.

    The next operation was sent before the earliest answer of those that are not in order yet. The
    bound is that answer's time.
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
    """The configurations with one operation more, the most likely ones first."""
    first, mask, used, state = configuration
    found, distances, until_s = _candidates(first, mask, known)
    later: list[_Configuration] = []
    for each, distance in zip(found, distances, strict=True):
        for after in each.states_after(state):
            following = (*_with(first, mask, distance), used, after)
            if not each.is_change and after == state:
                # A reading that is right now can go first: an order of the others stays right.
                # A change that leaves the state as it is may be needed later.
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

"""Linearizability in one pass, where each answer shows the version of the item.

Each change raises the version by one, and each known answer shows the version that it has seen, or
made. So in every order that explains the answers, a call that shows version 7 stands before each
that shows version 8, and the change to a version stands before all others that show it: the history
splits at each version. That the pieces together are linearizable is the same as these three:

1. Real time: nothing that shows a version was sent after the answer of what shows a later one, or
   of what saw the version that it made. That does not depend on the states.
2. From the states that one piece may leave, the next change may be made: by the one call that says
   so; where no call does, by one without a known answer that was sent before the earliest answer of
   all that shows this version or a later one. A second call that shows the version cannot be there,
   and a call that shows another one cannot be it.
3. Every other answer that shows the version is right in the state that the change leaves. They
   change nothing, so they stand in any order that time allows, such as that of their sending.

What is carried from piece to piece are the states that are possible, each with the unknown calls
that it has used. Of unknown calls that do the same, the one that was sent first goes first: what it
can explain later, the others can too. The search is left with nothing to go back for.

Where an answer shows no version, or somebody removes the item (added again, it goes on with any
higher version), the search of ``linearizability.py`` judges the item.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from proof.history.linearizability import Operation, search
from proof.history.model.state import State
from proof.history.model.table import NO_ITEM

_MOST_STATES = 20_000  # at one version; then it is undecided, which is a violation


class Versioned(Operation, Protocol):
    """An operation that may show the version of the item."""

    @property
    def version(self) -> int | None: ...

    @property
    def is_removal(self) -> bool: ...

    @property
    def signature(self) -> Any:
        """Operations of one signature do the same."""

    @property
    def is_decided_at_once(self) -> bool:
        """Whether the answer is right in any state, and nothing is changed."""


def judge(start: State, operations: Iterable[Versioned]) -> tuple[str, bool]:
    """What no order explains, or ''; and whether one pass was enough, without a search."""
    concerned = [each for each in operations if not each.is_decided_at_once]
    if start.state == NO_ITEM or not start.is_exact or any(
        each.is_removal or (each.is_known and each.version is None) for each in concerned
    ):  # fmt: skip
        return search(start, concerned), False
    return one_pass(start, concerned), True


def one_pass(start: State, operations: Sequence[Versioned]) -> str:
    """The same as :func:`search`, where each known operation shows a version."""
    known = [each for each in operations if each.is_known]
    changes: dict[int, Versioned] = {}
    readings: dict[int, list[Versioned]] = defaultdict(list)
    for each in known:
        version = each.version
        assert version is not None
        if not each.is_change:
            readings[version].append(each)
        elif version in changes:
            return f"two calls made version {version}: {changes[version]} and {each}"
        else:
            changes[version] = each
    shown = {*changes, *readings}
    last = max(shown, default=start.version)
    if min(changes, default=last + 1) <= start.version or min(shown, default=last) < start.version:
        return f"{_first_of(changes, readings)} shows a version of before {start.version}"
    unknown = _by_signature(each for each in operations if not each.is_known)
    missing = last - start.version - len(changes)
    if missing > sum(map(len, unknown)):
        return f"{missing} versions up to {last} have no call that made them"
    latest_s = _latest(range(start.version, last + 1), changes, readings)
    for version in sorted(shown):
        for each in readings[version]:
            if each.sent_s > latest_s[version + 1]:
                return f"{each} was sent after a later version was shown"
        change = changes.get(version)
        if change is not None and change.sent_s > latest_s[version]:
            return f"{change} was sent after its version was shown"
    pieces = [
        _Piece(version, changes.get(version), readings[version], latest_s[version])
        for version in range(start.version, last + 1)
    ]
    return _replay(start, pieces, unknown)


class _Piece(NamedTuple):
    """The operations that show one version."""

    version: int
    change: Versioned | None
    readings: Sequence[Versioned]
    until_s: float  # the change was sent before it


_Possible = set[tuple[State, tuple[int, ...]]]  # states, and how many of each signature are used


def _replay(start: State, pieces: Sequence[_Piece], unknown: Sequence[Sequence[Versioned]]) -> str:
    """Carry the possible states from version to version."""
    possible: _Possible = {(start, (0,) * len(unknown))}
    for piece in pieces:
        if piece.version > start.version:
            before = possible
            if piece.change is not None:
                possible = _after(piece.change, before)
            else:
                possible = _by_an_unknown(before, unknown, piece.until_s)
            if not possible:
                culprit = piece.change or f"version {piece.version}, which no answer claims"
                return f"nothing explains {culprit}; before it {_states(before)}"
        for reading in piece.readings:
            before = possible
            possible = _after(reading, before)
            if not possible:
                return f"nothing explains {reading}; at that version {_states(before)}"
        if len(possible) > _MOST_STATES:
            return f"undecided at version {piece.version}: {len(possible)} states are possible"
    return ""


def _after(operation: Versioned, possible: _Possible) -> _Possible:
    return {(after, used) for state, used in possible for after in operation.states_after(state)}


def _by_an_unknown(
    possible: _Possible, unknown: Sequence[Sequence[Versioned]], until_s: float
) -> _Possible:
    found: _Possible = set()
    for state, used in possible:
        for number, calls in enumerate(unknown):
            if used[number] < len(calls) and calls[used[number]].sent_s <= until_s:
                now = (*used[:number], used[number] + 1, *used[number + 1 :])
                found |= {(after, now) for after in calls[used[number]].states_after(state)}
    return found


def _by_signature(unknown: Iterable[Versioned]) -> list[list[Versioned]]:
    found: dict[Any, list[Versioned]] = defaultdict(list)
    for each in sorted(unknown, key=lambda each: each.sent_s):
        found[each.signature].append(each)
    return list(found.values())


def _latest(
    versions: range, changes: dict[int, Versioned], readings: dict[int, list[Versioned]]
) -> dict[int, float]:
    """By version: when the earliest answer came that shows it or a later one."""
    latest_s = {versions.stop: math.inf}
    for version in reversed(versions):
        answers = [each.answered_s for each in readings[version]]
        if version in changes:
            answers.append(changes[version].answered_s)
        latest_s[version] = min([latest_s[version + 1], *answers])
    return latest_s


def _first_of(changes: dict[int, Versioned], readings: dict[int, list[Versioned]]) -> Versioned:
    lowest = min({*changes, *(version for version, found in readings.items() if found)})
    return changes.get(lowest) or readings[lowest][0]


def _states(possible: _Possible) -> str:
    states = {state for state, _ in possible}
    return " or ".join(str(tuple(each)) for each in list(states)[:3])

"""Checks of the streams against the log, and of the pages' models against the board."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proof.history.history import Event, History, Items, Seen, Watched, position_of, short

_TOO_SLOW = "too slowly"  # in the reason of a reset that any stream may get


def models(watchers: Sequence[Watched], items: Mapping[str, Items]) -> Iterator[str]:
    """Every watcher's model equals the board."""
    for each in watchers:
        board = items[each.board]
        for tag in sorted(board.keys() | each.model.keys()):
            if board.get(tag) != each.model.get(tag):
                yield (
                    f"{each.name}: {tag} is {short(each.model.get(tag))}, "
                    f"on the board {short(board.get(tag))}; last: {each.trail[-6:]}"
                )


def late_answers(
    watchers: Sequence[Watched], kept: Mapping[tuple[str, str, int], Mapping[str, Any]]
) -> Iterator[str]:
    """No page shows the answer of a lost operation that it took after its last snapshot.

    The server may lose it before its event reaches the page's stream, and an old primary may
    acknowledge it to a process that does not know of the promotion yet. ``kept`` are the items of
    the log by board, tag and version.
    """
    for each in watchers:
        since = max((n for n, seen in enumerate(each.trail) if seen.kind == "snapshot"), default=0)
        shown = {}  # answers by tag, until an event replaces them
        for seen in each.trail[since:]:
            if seen.kind == "answer":
                item = json.loads(seen.event)
                shown[item["tag"]] = item
            elif seen.kind == "item":
                item = json.loads(seen.event)["item"]
                if item["version"] >= shown.get(item["tag"], item)["version"]:
                    shown.pop(item["tag"], None)
        for item in shown.values():
            if kept.get((each.board, item["tag"], item["version"])) != item:
                yield f"{each.name}: took {short(item)}, which is not in the log"


def streams(history: History) -> Iterator[str]:
    """Each stream has every event of the log after its cursor, once and in order."""
    logged = {
        board: {event.cursor: event for event in events} for board, events in history.events.items()
    }
    for each in history.watchers:
        judge = _Stream(each, logged[each.board], history)
        for seen in each.trail:
            yield from judge.see(seen)
        yield from judge.end()


class _Stream:
    """Compares what one watcher saw with the log, step by step."""

    def __init__(self, watcher: Watched, logged: Mapping[str, Event], history: History) -> None:
        self._watcher, self._logged = watcher, logged
        self._may_lose = bool(history.losses)
        events = history.events[watcher.board]
        self._oldest = position_of(events[0].cursor) if events else (0, 0)
        self._last_seq = events[-1].seq if events else 0
        self._known = set(logged) | {cursor for cursor, _ in history.before[watcher.board].log}
        self._seq: int | None = None  # of the last event that it has, or that its snapshot has
        self._cursor = ""
        self._lost: Seen | None = None  # an event that is not in the log

    def see(self, seen: Seen) -> Iterator[str]:
        if seen.kind == "item":
            yield from self._event(seen)
        elif seen.kind == "snapshot" and self._seq is None:
            self._seq, self._cursor = seen.seq, seen.cursor
        elif seen.kind == "reset":
            yield from self._reset(seen)
        elif seen.kind == "ready" and self._seq not in (None, seen.seq):
            yield self._text(seen, f"is ready at seq {seen.seq}, has {self._seq}")

    def end(self) -> Iterator[str]:
        """A page with answers may end before their events come."""
        if self._lost is not None:
            yield self._text(self._lost, "is not in the log, and no reset has followed")
        elif self._seq is not None and self._seq != self._last_seq and not any(
            each.kind == "answer" for each in self._watcher.trail
        ):  # fmt: skip
            yield f"{self._watcher.name}: ends at seq {self._seq}, the log at {self._last_seq}"

    def _event(self, seen: Seen) -> Iterator[str]:
        if self._seq is not None and seen.seq != self._seq + 1:
            yield self._text(seen, f"follows seq {self._seq} ({self._cursor})")
        self._seq, self._cursor = seen.seq, seen.cursor
        entry = self._logged.get(seen.cursor)
        if entry is not None:
            if self._lost is not None:
                yield self._text(self._lost, "is not in the log, and the stream goes on after it")
                self._lost = None
            if entry.text != seen.event and _event_of(entry.text) != _event_of(seen.event):
                yield self._text(seen, f"is another event in the log: {entry.text}")
        elif position_of(seen.cursor) >= self._oldest:
            self._lost = seen

    def _reset(self, seen: Seen) -> Iterator[str]:
        if not self._may_lose:
            if self._lost is not None:
                yield self._text(self._lost, "is not in the log, though nothing may be lost")
            elif seen.event and _TOO_SLOW not in seen.event and self._cursor in self._known:
                yield self._text(seen, f"is reset, though {self._cursor} is in the log")
        self._seq, self._cursor, self._lost = seen.seq, seen.cursor, None

    def _text(self, seen: Seen, what: str) -> str:
        return (
            f"{self._watcher.name}: {seen.kind} seq {seen.seq} "
            f"({seen.cursor}, connection {seen.number}) {what}"
        )


def _event_of(text: str) -> dict[str, Any]:
    """An event without the fields that only the log has."""
    event: dict[str, Any] = json.loads(text)
    event.pop("means", None)
    return event

"""A worker's day: what they held since a moment, and how each hold ended. Read from the logs.

No index of a worker's events is kept, because every operation would pay for it. A look reads the
board's log since the moment instead, at most ``OCCUPANCY_LOG_ENTRIES``, and decodes only what
concerns the worker. An item that they held all the time has no event there; the index by holder has
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from occupancy.boards.log import Log
from occupancy.boards.queries import Queries
from occupancy.core.entities import Event, Item, Person
from occupancy.core.keys import Keys
from occupancy.core.slices import Pause
from occupancy.core.timestamps import iso_text
from occupancy.core.transitions import TRANSITIONS, Transition
from occupancy.storage.client import OpsClient

MAX_DAYS = 7  # a look may go back
_ENTRIES_AT_ONCE = 500
_TAG = re.compile(rb'"item":\{"tag":"([^"]*)"')  # the item's first field (operate/record.lua)
_TRANSITION_OF = {each.event: each for each in TRANSITIONS.values()}  # of no edit of an item


class Hold(msgspec.Struct):
    """One hold of the worker.

    ``began_at`` is None if it began before the moment, ``ended_at`` while it lasts. ``ended`` is
    the type of the event that ended it, ``ended_by`` its actor; ``is_completion``: the worker has
    completed the step.
    """

    board: str
    tag: str
    title: str
    step: str
    began_at: str | None
    ended_at: str | None = None
    ended: str | None = None
    ended_by: Person | None = None
    is_completion: bool = False


class Workday(msgspec.Struct):
    """What a worker did since ``since``, oldest first.

    ``is_whole`` is false where a log no longer has all events since then.
    """

    worker: str
    since: str
    is_whole: bool = True
    holds: list[Hold] = []


class Workdays:
    """Methods raise PoolTimeout and StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys, log: Log, queries: Queries) -> None:
        self._client = client
        self._keys = keys
        self._log = log
        self._queries = queries

    def get(self, worker: str, boards: Sequence[str], *, since_ms: int, pause: Pause) -> Workday:
        """The worker's holds on ``boards`` since a moment; ``pause`` is called between reads."""
        day = Workday(worker, iso_text(since_ms / 1000))
        for board, (cursor, _, _) in zip(boards, self._log.heads(boards), strict=True):
            still_held = self._queries.held_by(
                board, worker
            )  # before the log, which may have its end
            if int(cursor.partition("-")[0]) >= since_ms:
                self._add(day, board, since_ms, pause)
            self._add_without_events(day, board, still_held)
        day.holds.sort(key=lambda each: each.began_at or "")  # those from before come first
        return day

    def _add(self, day: Workday, board: str, since_ms: int, pause: Pause) -> None:
        held: dict[bytes, Hold] = {}
        own = b'"id":%b,' % msgspec.json.encode(day.worker)
        day.is_whole &= self._has_all_since(board, since_ms)
        for text in self._events(board, since_ms, pause):
            found = _TAG.search(text)
            tag = found[1] if found else b""
            if own in text or tag in held:
                _apply(day, held, tag, msgspec.json.decode(text, type=Event))

    def _add_without_events(self, day: Workday, board: str, tags: Sequence[str]) -> None:
        """Add those of the held items that have no event since the moment."""
        recorded = {each.tag for each in day.holds if each.board == board}
        tags = [each for each in tags if each not in recorded]
        for text in self._queries.items(board, tags) if tags else ():
            item = None if text is None else msgspec.json.decode(text, type=Item)
            if item is not None and item.holder is not None and item.holder.id == day.worker:
                began_at = item.since if item.since >= day.since else None  # its event was trimmed
                day.holds.append(Hold(board, item.tag, item.title, item.step, began_at))

    def _has_all_since(self, board: str, since_ms: int) -> bool:
        """Whether the log begins before the moment, or with the board's first event."""
        first: Any = self._client.xrange(self._keys.board(board).log, count=1)
        if not first:
            return True
        cursor, fields = first[0]
        return int(cursor.partition(b"-")[0]) < since_ms or fields.get(b"seq") == b"1"

    def _events(self, board: str, since_ms: int, pause: Pause) -> Iterator[bytes]:
        log, start = self._keys.board(board).log, str(since_ms)
        while True:
            page: Any = self._client.xrange(log, start, "+", count=_ENTRIES_AT_ONCE)
            for _, fields in page:
                if b"event" in fields:  # not the mark of a promotion
                    yield fields[b"event"]
            if len(page) < _ENTRIES_AT_ONCE:
                return
            start = f"({page[-1][0].decode()}"
            pause()


def _apply(day: Workday, held: dict[bytes, Hold], tag: bytes, event: Event) -> None:
    """Apply an event to the worker's holds: it begins one, ends one, or neither."""
    item, transition = event.item, _TRANSITION_OF.get(event.type)
    if item.holder is not None and item.holder.id == day.worker:
        if tag not in held:
            held[tag] = _begun(day, event, transition)
    elif tag in held or (
        event.actor.id == day.worker and transition is not None and transition.holder_only
    ):
        hold = held.pop(tag, None) or _new(day, event, None)
        hold.ended_at, hold.ended, hold.ended_by = event.at, event.type, event.actor
        hold.is_completion = transition is not None and transition.completions > 0


def _begun(day: Workday, event: Event, transition: Transition | None) -> Hold:
    if transition is not None and transition.target == "undone":
        last = next((each for each in reversed(day.holds) if _is_of(each, event)), None)
        if last is not None:  # the completion that ended it was a mistake
            last.ended_at = last.ended = last.ended_by = None
            last.is_completion = False
            return last
    changes_holder = transition is not None and transition.holder in ("caller", "to")
    return _new(day, event, event.at if changes_holder else None)


def _new(day: Workday, event: Event, began_at: str | None) -> Hold:
    item = event.item
    hold = Hold(event.board, item.tag, item.title, item.step, began_at)
    day.holds.append(hold)
    return hold


def _is_of(hold: Hold, event: Event) -> bool:
    return (hold.board, hold.tag) == (event.board, event.item.tag)

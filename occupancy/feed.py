"""A feed: one board's log as this process follows it, fanned out to the board's subscribers.

The feed knows its position in the log (cursor and seq) and moves it forward entry by entry,
without a gap: an entry that does not follow the position directly means that something was
missed, and the missing entries are read from the log. It keeps the latest frames in memory, so
that a browser that was away for a moment, and the thousand that come back together, are served
without asking Redis.

Invariants:

* Only the greenlet that holds ``_lock`` moves the position; the reads from Redis and the pauses
  while it is held are switch points, so nobody else may act on the position across one.
* ``_deliver`` has no switch point: between moving the position and handing the frame to all live
  subscribers nobody can join, leave or look. So at every switch point each live subscriber has
  been handed exactly the entries up to the position.
"""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING

import gevent
from gevent.lock import RLock

from . import sse
from .errors import BoardNotFound
from .records import Entry, Replay
from .store import Store

if TYPE_CHECKING:
    from .metrics import LiveMetrics
    from .subscriber import Subscriber

_CATCH_UP_ENTRIES = 100  # per round trip, so that no connection is held for long
TURN_BYTES = 16 * 1024  # handed over before the streams get their turn to write
_REMEMBERED_BYTES = 128 * 1024


class Feed:
    """One board's feed. Created by the hub with the first subscriber, dropped with the last."""

    def __init__(self, store: Store, board: str, metrics: LiveMetrics) -> None:
        self.board = board
        self.subscribers: set[Subscriber] = set()
        self.cursor = ""  # '' until the feed has been opened
        self.seq = 0
        self.resets = 0
        self._store = store
        self._metrics = metrics
        self._lock = RLock()
        self._remembered: collections.deque[tuple[str, bytes]] = collections.deque()
        self._remembered_bytes = 0
        self._before_remembered = ""  # the cursor that the first remembered frame follows

    def open(self) -> None:
        """Find the position, once; a thousand that open it together ask the log once."""
        with self._lock:
            if not self.cursor:
                self.catch_up()

    def offer(self, entry: Entry) -> None:
        """Take in an entry that was published just now."""
        with self._lock:
            if not self.cursor:
                self.catch_up()  # not opened yet: its position will be at this entry or beyond
            elif entry.seq == self.seq + 1:
                self._deliver(entry)
            elif entry.seq > self.seq or _after(entry.cursor, self.cursor):
                # A hole; or an old seq on a new entry: the log was lost and begun anew.
                self._metrics.holes.inc()
                self.catch_up()

    def catch_up(self) -> None:
        """Read and deliver what the log holds beyond the position; open the feed if it is new.

        Raises PoolTimeout or StoreUnavailable, with the position where it was: the next entry,
        or the next probe, tries again.
        """
        with self._lock:
            while True:
                try:
                    replay = self._store.replay(self.board, self.cursor, _CATCH_UP_ENTRIES)
                except BoardNotFound:  # the server was emptied under us: one reset says so
                    replay = Replay(self.cursor == "0-0", "0-0", 0, [])
                if not self.cursor:
                    self._move(replay.head_cursor, replay.head_seq)
                    return
                expected = range(self.seq + 1, self.seq + 1 + len(replay.entries))
                is_contiguous = all(
                    entry.seq == seq for entry, seq in zip(replay.entries, expected, strict=True)
                )
                is_at_end = bool(replay.entries) or replay.head_seq == self.seq
                if not (replay.is_known and is_contiguous and is_at_end):
                    self._lose(replay)
                    return
                handed_bytes = 0
                for entry in replay.entries:
                    self._deliver(entry)
                    handed_bytes += len(entry.event)
                    if handed_bytes >= TURN_BYTES:
                        handed_bytes = 0
                        gevent.sleep(0)  # else a long gap would overflow even a fast reader
                if len(replay.entries) < _CATCH_UP_ENTRIES:
                    return

    def since(self, cursor: str) -> list[bytes] | None:
        """The frames after ``cursor`` up to the position, from memory; None if it is not there."""
        if cursor == self.cursor:
            return []
        if cursor == self._before_remembered:
            return [frame for _, frame in self._remembered]
        frames: list[bytes] = []
        for remembered, frame in reversed(self._remembered):
            if remembered == cursor:
                frames.reverse()
                return frames
            frames.append(frame)
        return None

    def reset_frame(self, reason: str) -> bytes:
        """Tells a subscriber to load the snapshot and go on from the position."""
        data = {
            "cursor": self.cursor,
            "seq": self.seq,
            "snapshot": f"/api/boards/{self.board}/items",
            "reason": reason,
        }
        return sse.control_frame("reset", data, self.cursor)

    def count_reset(self) -> None:
        """One stream was told to load the snapshot again."""
        self.resets += 1
        self._metrics.resets.inc()

    def _deliver(self, entry: Entry) -> None:
        frame = sse.item_frame(entry.cursor, entry.event)
        self.cursor, self.seq = entry.cursor, entry.seq
        self._remembered.append((entry.cursor, frame))
        self._remembered_bytes += len(frame)
        while self._remembered_bytes > _REMEMBERED_BYTES:
            self._before_remembered, oldest = self._remembered.popleft()
            self._remembered_bytes -= len(oldest)
        delivered = 0
        for subscriber in self.subscribers:
            if subscriber.is_live:
                subscriber.push(frame)
                delivered += 1
        self._metrics.deliveries.inc(delivered)
        written_ms = int(entry.cursor.partition("-")[0])
        self._metrics.observe_delay(max(0.0, time.time() - written_ms / 1000))

    def _lose(self, replay: Replay) -> None:
        """The position is no longer in the log: start again from where the log ends now."""
        self._move(replay.head_cursor, replay.head_seq)
        frame = self.reset_frame("the log no longer holds the position of this stream")
        for subscriber in self.subscribers:
            if subscriber.is_live:
                subscriber.push(frame)
                self.count_reset()

    def _move(self, cursor: str, seq: int) -> None:
        self.cursor = self._before_remembered = cursor
        self.seq = seq
        self._remembered.clear()
        self._remembered_bytes = 0


def _after(cursor: str, other: str) -> bool:
    return _numbers(cursor) > _numbers(other)


def _numbers(cursor: str) -> tuple[int, int]:
    milliseconds, _, count = cursor.partition("-")
    return int(milliseconds or 0), int(count or 0)

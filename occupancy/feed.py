"""A feed: one board's log as this process follows it, fanned out to the board's subscribers.

The feed knows its position in the log (cursor and seq) and moves it forward entry by entry,
without a gap: an entry that does not follow the position directly means that something was
missed, and the missing entries are read from the log. It keeps the latest frames in memory, so
that a browser that was away for a moment, and the thousand that come back together, are served
without asking Redis.

Invariants:

* Only the greenlet that holds ``_lock`` moves the position; the reads from Redis and the pauses
  while it is held are switch points, so nobody else may act on the position across one.
* Frames are numbered as they are taken in, and ``number`` is that of the last. The pending ones,
  and those of the round that is on its way, have not reached everybody yet; each subscriber knows
  the number of the last frame that it has (or that was in what it was told when it joined). So
  who joins between an entry's arrival and its round gets it once, and a round may let others run
  in its midst.
* ``_deliver`` has no switch point: nobody can look between the new position and the new number.
* Rounds follow one another (one greenlet makes them). At a round's end every subscriber that was
  live at its beginning has all frames up to its last, or is owed a reset.
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gevent.lock import RLock

from . import sse
from .errors import BoardNotFound
from .fanout import GZIP_TURN_BYTES, TURN_BYTES, FanOut
from .records import Entry, Replay
from .sse import Payload
from .store import Store

if TYPE_CHECKING:
    from .metrics import LiveMetrics
    from .subscriber import Subscriber

_CATCH_UP_ENTRIES = 100  # per round trip, so that no connection is held for long
_STREAMS_A_LOOK = 8  # handed to before a round looks at the clock
_EVENTS_A_LOOK = 64  # counted
_SHRINKS_BY = GZIP_TURN_BYTES / TURN_BYTES * 0.8
_PART_BYTES = TURN_BYTES * 3 // 2  # an entry more than a turn has is no reason to divide it
_REMEMBERED_BYTES = 128 * 1024


class Batch(NamedTuple):
    """What a round hands out of one board."""

    frames: list[bytes]
    last: int  # the number of the last frame
    written_ms: list[int]  # when the entries among them were written to the log


class Feed:
    """One board's feed. Created by the hub with the first subscriber, dropped with the last."""

    def __init__(self, store: Store, board: str, metrics: LiveMetrics, fan_out: FanOut) -> None:
        self.board = board
        self.subscribers: set[Subscriber] = set()
        self.cursor = ""  # '' until the feed has been opened
        self.seq = 0
        self.number = 0
        self._looked_at_seq = -1
        self.resets = 0
        self.has_plain = False  # live subscribers that take what is not compressed
        self._shrinks = False  # what the last round handed out, to a fraction
        self._store = store
        self._metrics = metrics
        self._fan_out = fan_out
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._written_ms: list[int] = []  # when the pending entries were written to the log
        self._lock = RLock()
        self._remembered: collections.deque[tuple[str, bytes]] = collections.deque()
        self._remembered_bytes = 0
        self._ready = ("", b"")  # the position, and what says so
        self._before_remembered = ""  # the cursor that the first remembered frame follows

    def open(self) -> None:
        """Find the position, once; a thousand that open it together ask the log once.

        Raises BoardNotFound, PoolTimeout, StoreUnavailable.
        """
        with self._lock:
            if not self.cursor:
                replay = self._store.replay(self.board, "", _CATCH_UP_ENTRIES)
                self._move(replay.head_cursor, replay.head_seq)

    def offer(self, entry: Entry) -> None:
        """Take in an entry that was published just now."""
        with self._lock:
            if not self.cursor:
                self.catch_up()  # not opened yet: its position will be at this entry or beyond
            elif entry.seq == self.seq + 1:
                self._deliver(entry)
                self._keep_room()
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
            if not self.cursor:
                with contextlib.suppress(BoardNotFound):  # its streams are told when they open it
                    self.open()
                return
            while True:
                try:
                    replay = self._store.replay(self.board, self.cursor, _CATCH_UP_ENTRIES)
                except BoardNotFound:  # the server was emptied under us: one reset says so
                    replay = Replay(self.cursor == "0-0", "0-0", 0, [])
                expected = range(self.seq + 1, self.seq + 1 + len(replay.entries))
                is_contiguous = all(
                    entry.seq == seq for entry, seq in zip(replay.entries, expected, strict=True)
                )
                is_at_end = bool(replay.entries) or replay.head_seq == self.seq
                if not (replay.is_known and is_contiguous and is_at_end):
                    self._lose(replay)
                    return
                for entry in replay.entries:
                    self._deliver(entry)
                    self._keep_room()
                if len(replay.entries) < _CATCH_UP_ENTRIES:
                    return

    def look_after_silence(self) -> None:
        """Catch up, if nothing has come since the last look.

        While entries come, each shows by its number whether one before it is missing; and to wait
        for the lock in a storm of them would hold up the canaries.
        """
        if self.seq == self._looked_at_seq:
            self.catch_up()
        self._looked_at_seq = self.seq

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

    def announce(self, frame: bytes) -> None:
        """Tell all live streams something about themselves, in its place among the events."""
        self._pending.append(frame)
        self._pending_bytes += len(frame)
        self.number += 1
        self._fan_out.mark(self)

    def take(self) -> Batch:
        """All that is pending, for a round."""
        batch = Batch(self._pending, self.number, self._written_ms)
        self._pending, self._pending_bytes, self._written_ms = [], 0, []
        return batch

    def hand_out(self, batch: Batch, breathe: Callable[[], None]) -> None:
        """One round: hand ``batch`` to every live subscriber. ``breathe`` may switch."""
        subscribers = [each for each in self.subscribers if each.is_live]
        self.has_plain = any(not each.is_gzip for each in subscribers)
        last = batch.last - len(batch.frames)
        for part in self._parts(batch.frames):
            last += len(part.frames)
            self._hand_part(part, last, subscribers, breathe)
        self._metrics.deliveries.inc(len(batch.written_ms) * len(subscribers))
        now_s = time.time()
        for count, each in enumerate(batch.written_ms):
            if not count % _EVENTS_A_LOOK:
                breathe()
            self._metrics.observe_delay(max(0.0, now_s - each / 1000))

    def _parts(self, frames: list[bytes]) -> Iterator[Payload]:
        """``frames``, in parts of no more than a stream may be handed at a time."""
        whole = Payload(frames)
        size_bytes = len(whole.raw) if self.has_plain else len(whole.deflated)
        self._shrinks = _SHRINKS_BY * size_bytes <= len(whole.raw)
        if size_bytes <= _PART_BYTES:
            yield whole
            return
        first, size_bytes = 0, 0
        for position, frame in enumerate(frames):
            if size_bytes and size_bytes + len(frame) > TURN_BYTES:
                yield Payload(frames[first:position])
                first, size_bytes = position, 0
            size_bytes += len(frame)
        yield Payload(frames[first:])

    @staticmethod
    def _hand_part(
        part: Payload,
        last: int,
        subscribers: list[Subscriber],
        breathe: Callable[[], None],
    ) -> None:
        """Hand over frames, of which the last has that number, to those who have not got them."""
        frames = part.frames
        payloads = {last - len(frames): part}  # by the number of the frame they follow
        for count, subscriber in enumerate(subscribers):
            if not count % _STREAMS_A_LOOK:
                breathe()
            number = subscriber.number
            if number >= last:
                continue  # joined, or was reset, after the frames were taken in
            payload = payloads.get(number)
            if payload is None:
                payload = payloads[number] = Payload(frames[number - last :])
            subscriber.number = last
            subscriber.push(payload)

    def ready_frame(self) -> bytes:
        """Tells a subscriber that it is live, and where."""
        if self._ready[0] != self.cursor:  # thousands come back between two events
            position = {"cursor": self.cursor, "seq": self.seq}
            self._ready = self.cursor, sse.control_frame("ready", position, self.cursor)
        return self._ready[1]

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
        self._written_ms.append(int(entry.cursor.partition("-")[0]))
        self.announce(frame)

    def _keep_room(self) -> None:
        # Somebody who takes it as it is may have joined since the last round.
        is_small = self._shrinks and not self.has_plain
        if self._pending_bytes >= (GZIP_TURN_BYTES if is_small else TURN_BYTES):
            self._fan_out.make_room()

    def _lose(self, replay: Replay) -> None:
        """The position is no longer in the log: start again from where the log ends now."""
        self._move(replay.head_cursor, replay.head_seq)
        for subscriber in self.subscribers:
            if subscriber.is_live:
                self.count_reset()
        self.announce(self.reset_frame("the log no longer holds the position of this stream"))

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

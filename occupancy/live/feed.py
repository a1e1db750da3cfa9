"""A feed: a board that this process follows (follower.py), fanned out to the board's subscribers.

The latest frames stay in memory, so that a browser that was away for a moment, and the thousand
that come back together, are served without asking Redis.

Invariants:

* Frames are numbered as they are taken in, and ``number`` is that of the last. The pending ones,
  and those of the round that is on its way, have not reached everybody yet; each subscriber knows
  the number of the last frame that it has (or that was in what it was told when it joined). So
  who joins between an entry's arrival and its round gets it once, and a round may let others run
  in its midst.
* ``_deliver`` has no switch point: nobody can look between the new position and the new number.
* Rounds follow one another (one greenlet makes them). At a round's end every subscriber that was
  live at its beginning has all frames up to its last, or is owed a reset; also if the round fails.
* A stream that joins while ``impaired`` is set is told so after its ``ready``, and every live
  stream is told of each change, in its place among the events. So a stream that was told nothing,
  or that live delivery works again, gets events as they are published.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from occupancy.boards.store import Store
from occupancy.core.entities import Entry, Replay
from occupancy.live import sse
from occupancy.live.batches import Batch
from occupancy.live.board_log import BoardLog, numbers_of
from occupancy.live.broadcaster import GZIP_TURN_BYTES, TURN_BYTES, Broadcaster
from occupancy.live.recent_frames import RecentFrames
from occupancy.live.sse import Payload

if TYPE_CHECKING:
    from occupancy.live.subscriber import Subscriber
    from occupancy.observability.metrics import LiveMetrics

_EVENTS_A_LOOK = 64  # counted
_SHRINKS_BY = GZIP_TURN_BYTES / TURN_BYTES * 0.8
_RECOVERED = sse.control_frame("recovered", {})


class Feed(BoardLog):
    """One board's feed. Created by the hub with the first subscriber, dropped with the last."""

    def __init__(
        self, store: Store, board: str, metrics: LiveMetrics, fan_out: Broadcaster
    ) -> None:
        super().__init__(store, board, metrics)
        self.subscribers: set[Subscriber] = set()
        self.number = 0
        self.resets = 0
        self.has_plain = False  # live subscribers that take what is not compressed
        self.impaired = b""  # the frame that says so, while live delivery is impaired
        self.turns = 0  # how often that has changed
        self._shrinks = False  # what the last round handed out, to a fraction
        self._fan_out = fan_out
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._written_ms: list[int] = []  # when the pending entries were written to the log
        self._recent = RecentFrames()
        self._ready = ("", b"")  # the position, and what says so

    def since(self, cursor: str) -> list[bytes] | None:
        """The frames after ``cursor`` up to the position, from memory; None if it is not there."""
        return [] if cursor == self.cursor else self._recent.since(cursor)

    # What the streams are told

    def impair(self, frame: bytes) -> None:
        """Tell the streams by ``frame`` that delivery is impaired, until a look finds it works."""
        self._is_heard = False
        if not self.impaired:
            self.impaired = frame
            self.turns += 1
            self.announce(frame)

    def _on_current(self) -> None:
        if self.impaired and self._is_heard:
            self.impaired = b""
            self.turns += 1
            self.announce(_RECOVERED)

    def state_frame(self) -> bytes:
        """The state of live delivery, for a stream that may have missed a change of it."""
        return self.impaired or _RECOVERED

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

    def hand_out(self, batch: Batch, yield_if_due: Callable[[], None]) -> None:
        """One round: hand ``batch`` to every live subscriber. ``breathe`` may switch."""
        subscribers = [each for each in self.subscribers if each.is_live]
        self.has_plain = any(not each.is_gzip for each in subscribers)
        whole = Payload(batch.frames)
        size_bytes = len(whole.raw) if self.has_plain else len(whole.deflated)
        self._shrinks = _SHRINKS_BY * size_bytes <= len(whole.raw)
        batch.hand_out(whole, size_bytes, subscribers, yield_if_due)
        self._metrics.deliveries.inc(len(batch.written_ms) * len(subscribers))
        now_s = time.time()
        for count, each in enumerate(batch.written_ms):
            if not count % _EVENTS_A_LOOK:
                yield_if_due()
            self._metrics.observe_delay(max(0.0, now_s - each / 1000))

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
        written_ms, _ = numbers_of(entry.cursor)  # first: it fails for what is no entry
        frame = sse.item_frame(entry.cursor, entry.event)
        self.cursor, self.seq = entry.cursor, entry.seq
        self._recent.add(entry.cursor, frame)
        self._written_ms.append(written_ms)
        self.announce(frame)

    @property
    def _is_full(self) -> bool:
        # Somebody who takes it as it is may have joined since the last round.
        is_small = self._shrinks and not self.has_plain
        return self._pending_bytes >= (GZIP_TURN_BYTES if is_small else TURN_BYTES)

    def _keep_room(self) -> None:
        if self._is_full:
            self._fan_out.make_room()

    def _lose(self, replay: Replay) -> None:
        """The position is no longer in the log: start again from where the log ends now."""
        self._move(replay.head_cursor, replay.head_seq)
        for subscriber in self.subscribers:
            if subscriber.is_live:
                self.count_reset()
        self.announce(self.reset_frame("the log no longer holds the position of this stream"))

    def _move(self, cursor: str, seq: int) -> None:
        self.cursor, self.seq = cursor, seq
        self._recent.begin(cursor)

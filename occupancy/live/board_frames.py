"""The frames of one board: its log's entries as its streams get them.

The sink of a board's log. It makes a frame of each entry and of each change of live delivery, gives
it to the broadcaster, and remembers the latest ones. So a browser that was away for a moment, and a
thousand that come back together, are served without asking Redis. Invariants:

* The position moves in the same step, without a switch point, as the frame's number. Nobody sees
  the one without the other.
* A stream that joins while ``degraded`` is set gets it after its ``ready``, and every live stream
  gets each change, in its place among the events. So a stream that got neither, or ``recovered``
  last, gets events as they are published.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

from occupancy.core.entities import Entry
from occupancy.live import sse
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.observability.metrics import LiveMetrics

_RECENT_BYTES = 128 * 1024
_DEGRADED = sse.control_frame(
    "degraded",
    {"detail": "Live updates are late or stand still. What you see may be old; no event is lost."},
)
_RECOVERED = sse.control_frame("recovered", {})


class RecentFrames:
    """The latest frames of one board, without a gap, up to a bound in bytes."""

    def __init__(self) -> None:
        self._frames: collections.deque[tuple[str, bytes]] = collections.deque()
        self._bytes = 0
        self._before = ""  # the cursor that the first frame follows

    def begin(self, cursor: str) -> None:
        """Forget everything; the next frame follows ``cursor``."""
        self._frames.clear()
        self._bytes, self._before = 0, cursor

    def add(self, cursor: str, frame: bytes) -> None:
        """Keep ``frame``, which leads to ``cursor``, and drop the oldest beyond the bound."""
        self._frames.append((cursor, frame))
        self._bytes += len(frame)
        while self._bytes > _RECENT_BYTES:
            self._before, oldest = self._frames.popleft()
            self._bytes -= len(oldest)

    def since(self, cursor: str) -> list[bytes] | None:
        """The frames after ``cursor``; None if it is not here."""
        if cursor == self._before:
            return [frame for _, frame in self._frames]
        frames: list[bytes] = []
        for remembered, frame in reversed(self._frames):
            if remembered == cursor:
                frames.reverse()
                return frames
            frames.append(frame)
        return None


class BoardFrames:
    """Made with a board's first stream, dropped with its last."""

    def __init__(
        self, board: str, channel: Channel, broadcaster: Broadcaster, metrics: LiveMetrics
    ) -> None:
        self.board = board
        self.cursor = ""  # '' until the log's position is known
        self.seq = 0
        self._version_floor = 0  # of the log's board; see core/entities.py
        self.settings_version = 0  # of the board
        self.is_ended = False  # the board was removed
        self.on_end: Callable[[], None] = lambda: None  # ends the streams
        self.degraded = b""  # the frame that says so, while live delivery is impaired
        self.changes = 0  # of the state of live delivery
        self.resets = 0
        self._channel = channel
        self._broadcaster = broadcaster
        self._metrics = metrics
        self._recent = RecentFrames()
        self._ready = ("", b"")  # the position, and the frame that says so

    # The log's sink. Only ``wait_for_room`` may switch.

    @property
    def is_full(self) -> bool:
        return self._channel.is_full

    def wait_for_room(self) -> None:
        if self._channel.is_full:
            self._broadcaster.wait_for_room()

    def begin(self, cursor: str, seq: int, version_floor: int) -> None:
        self.cursor, self.seq, self._version_floor = cursor, seq, version_floor
        self._recent.begin(cursor)

    def deliver(self, entry: Entry, written_ms: int) -> None:
        frame = sse.item_frame(entry.cursor, entry.event)
        self.cursor, self.seq = entry.cursor, entry.seq
        self._recent.add(entry.cursor, frame)
        self._broadcaster.add(self._channel, frame, written_ms)

    def restart(self, cursor: str, seq: int, version_floor: int) -> None:
        self.begin(cursor, seq, version_floor)
        for subscriber in self._channel.subscribers:
            if subscriber.is_live:
                self.count_reset()
        reset = self.reset_frame("the log no longer holds the position of this stream")
        self._broadcaster.add(self._channel, reset)

    def change_state(self, *, is_degraded: bool) -> None:
        self.degraded = _DEGRADED if is_degraded else b""
        self.changes += 1
        self._broadcaster.add(self._channel, self.state_frame())

    def change_settings(self, version: int) -> None:
        """Tell the streams the new version of the settings. Without a position none is live yet."""
        self.settings_version = version
        self._ready = ("", b"")
        if self.cursor:
            frame = sse.control_frame("board", {"settings_version": version})
            self._broadcaster.add(self._channel, frame)

    def end(self) -> None:
        """End the streams, because the board was removed; they get 404 when they come back."""
        self.is_ended = True
        self.on_end()

    # For the streams. No method has a switch point.

    @property
    def number(self) -> int:
        """The number of the last frame; it leads to the position."""
        return self._channel.number

    def since(self, cursor: str) -> list[bytes] | None:
        """The frames after ``cursor`` up to the position, from memory; None if it is not there."""
        return [] if cursor == self.cursor else self._recent.since(cursor)

    def joined(self, *, is_gzip: bool) -> None:
        """A stream has gone live; ``is_gzip`` says whether it takes frames compressed."""
        self._channel.has_plain |= not is_gzip

    def count_reset(self) -> None:
        """Count one stream that must load the snapshot again."""
        self.resets += 1
        self._metrics.resets.inc()

    def ready_frame(self) -> bytes:
        """The frame that tells a stream that it is live, and at which position."""
        if self._ready[0] != self.cursor:  # thousands come back between two events
            self._ready = self.cursor, sse.control_frame("ready", self._position(), self.cursor)
        return self._ready[1]

    def reset_frame(self, reason: str) -> bytes:
        """The frame that tells a stream to load the snapshot and go on from the position."""
        snapshot = f"/api/boards/{self.board}/items"
        data = {**self._position(), "snapshot": snapshot, "reason": reason}
        return sse.control_frame("reset", data, self.cursor)

    def _position(self) -> dict[str, str | int]:
        return {
            "cursor": self.cursor, "seq": self.seq, "version_floor": self._version_floor,
            "settings_version": self.settings_version,
        }  # fmt: skip

    def state_frame(self) -> bytes:
        """The state of live delivery, for a stream that may have missed a change of it."""
        return self.degraded or _RECOVERED

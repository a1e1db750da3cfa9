"""A subscriber: the whole life of one open stream.

It reads the log from its cursor, goes live in the feed at the very point where its reading ended,
and from then on is handed frames by the feed. Its outlet writes them at once, or its greenlet does
where there is none. What cannot be written is kept up to 64 KiB; beyond that everything is dropped
and a ``reset`` says so.

Gapless by construction: going live is ``since()`` followed by ``is_live = True`` with no switch
point in between. ``since()`` answers only for a cursor that the feed knows, with all that came
after it (the pending ones too: its number says that it has them), and every later entry is pushed.
So the subscriber gets each entry after its cursor, in order, once, whatever happens in other
greenlets before or after.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from gevent.event import Event

from occupancy.core.entities import CURSOR_PATTERN
from occupancy.core.errors import BoardNotFound, PoolTimeout, StoreUnavailable
from occupancy.live import sse

if TYPE_CHECKING:
    from occupancy.boards.store import Store
    from occupancy.live.feed import Feed
    from occupancy.live.socket_writer import SocketWriter

log = logging.getLogger(__name__)

BUFFER_BYTES = 64 * 1024
_PIECE_BYTES = 16 * 1024  # per write: small enough that a reader that takes anything shows it
_REPLAY_ENTRIES = 100  # per round trip, so that no connection is held for long
STALL_S = 30.0
_BYE_RETRY_MS = (500, 6000)  # the streams of a worker that goes away come back over some seconds


class Subscriber:
    """One stream of a board: what it reads from the log, and what the feed hands to it.

    What it has is taken piece by piece, by its own greenlet (``frames``) or by its outlet.
    """

    __slots__ = (
        "_bytes", "_closing", "_has_said_bye", "_outlet", "_overflowed", "_pieces", "_store",
        "_turns", "_wake", "_writing_since", "beat", "feed", "hang_up", "is_gone", "is_gzip",
        "is_live", "number",
    )  # fmt: skip

    def __init__(self, feed: Feed, store: Store) -> None:
        self.is_live = False
        self.is_gone = False
        self.is_gzip = False  # what it takes is compressed; said before it goes live
        self.number = 0  # of the feed's last frame that it has; see feed.py
        self.beat = int(random.random() * 65536)  # noqa: S311 - when its heartbeats come, no secret
        self.hang_up: Callable[[], None] = _nothing_to_hang_up
        self.feed = feed
        self._store = store
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._overflowed = False
        self._turns = 0  # Feed.turns, as of what it was told
        self._closing = False
        self._has_said_bye = False
        self._outlet: SocketWriter | None = None
        self._wake: Event | None = None  # for its greenlet, while that waits for more
        self._writing_since: float | None = None  # monotonic; while its greenlet writes a piece

    # For the feed and the hub. None of these has a switch point.

    def push(self, payload: sse.Payload) -> None:
        """Hand over frames; the bound is kept by dropping all and remembering to say so."""
        if self._overflowed or self._closing or self.is_gone:
            return  # after the close() nothing more is for this stream; its cursor stays behind
        rest_bytes = 0
        if self._outlet is not None:
            if self._outlet.send(payload):
                return
            rest_bytes = self._outlet.rest_bytes
        pieces = [payload.deflated] if self.is_gzip else payload.frames
        self._bytes += sum(map(len, pieces))
        if self._bytes + rest_bytes > BUFFER_BYTES:
            self._overflowed = True
            self._pieces.clear()
        else:
            self._pieces += pieces
        self._rouse()

    def owe_reset(self) -> None:
        """Drop what waits, and send a reset next: the stream has a hole. Never fails."""
        if self._closing or self.is_gone:
            return  # its client comes back with the cursor that it has
        self._overflowed = True
        self._pieces.clear()
        try:
            self._rouse()
        except Exception:
            log.exception("a stream that was to be reset is hung up on")
            with contextlib.suppress(Exception):
                self.abandon()

    def heartbeat(self) -> None:
        """A sign of life, unless something waits to be written already."""
        if not self._pieces:
            self.push(sse.HEARTBEAT)

    def close(self) -> None:
        """Say bye and end: this worker process goes away, or the caller may not watch any more.

        What was handed over before still goes out; what comes after does not.
        """
        self._closing = True
        self._rouse()

    def abandon(self) -> None:
        """End without a word: the client is gone, or takes nothing any more."""
        self.is_gone = True
        if self._wake is not None:
            self._wake.set()
        self.hang_up()  # its greenlet may be waiting in a write that would never end

    def end(self) -> None:
        """The stream has ended: let go of all that it held, and be held by nothing."""
        self.is_gone = True
        self._outlet = None
        self.hang_up = _nothing_to_hang_up
        self._pieces.clear()

    def stalled_s(self, now: float) -> float:
        """How long the connection has not taken the piece that is being written."""
        since = self._outlet.waiting_since if self._outlet else self._writing_since
        return 0.0 if since is None else now - since

    def attach(self, outlet: SocketWriter) -> None:
        """From now on ``outlet`` writes what this live stream has, and no greenlet."""
        self._outlet = outlet
        self.hang_up = outlet.reset
        outlet.pump()  # what was handed over while the greenlet wrote; or the end, if it is gone

    @property
    def is_ending(self) -> bool:
        """Whether it is to get nothing more but a goodbye, if that."""
        return self._closing or self.is_gone

    def next_piece(self) -> bytes | None:
        """Take what is to be written next; ``b""`` where nothing waits, None after the bye."""
        if self.is_gone or self._has_said_bye:
            return None
        if self._overflowed:
            self._overflowed, self._bytes = False, 0
            self.feed.count_reset()
            self.number = self.feed.number  # the reset leads to the position, pending or not
            frames = self.feed.reset_frame("this connection takes the events too slowly")
            if self._turns != self.feed.turns:  # news of live delivery itself may have been dropped
                self._turns = self.feed.turns
                frames += self.feed.state_frame()
            return self.coded(frames)
        if self._pieces:
            count, size = 1, len(self._pieces[0])
            while count < len(self._pieces) and size + len(self._pieces[count]) <= _PIECE_BYTES:
                size += len(self._pieces[count])
                count += 1
            piece = b"".join(self._pieces[:count])
            del self._pieces[:count]
            self._bytes -= size
            return piece
        if self._closing:
            self._has_said_bye = True
            return self.coded(farewell())
        return b""

    def coded(self, frames: bytes) -> bytes:
        """``frames`` as this stream takes them."""
        return sse.deflated(frames) if self.is_gzip else frames

    def _rouse(self) -> None:
        if self._outlet is not None:
            self._outlet.pump()
        elif self._wake is not None:
            self._wake.set()

    # For the stream's own greenlet.

    def frames(self, cursor: str | None) -> Iterator[bytes]:
        """All that this stream writes after its head: from ``cursor``, or from now on, to its end.

        For a stream whose greenlet writes it; ``join`` and an outlet are the other way.
        """
        yield from self.join(cursor)
        while self.is_live and (piece := self.next_piece()) is not None:
            if piece:
                yield from self._written([piece])
            else:
                # Between next_piece() and wait() nobody runs, and what is set ends the wait.
                self._wake = Event()
                self._wake.wait()

    def join(self, cursor: str | None) -> Iterator[bytes]:
        """What the stream begins with: all that came after ``cursor``. It ends live, or for good.

        A cursor that is malformed or not in the log gets ``reset``. If Redis fails while the log
        is read, the stream says ``degraded`` and ends; the browser comes back with its cursor.
        """
        try:
            yield from self._written(self._join(cursor))
        except (PoolTimeout, StoreUnavailable) as error:
            yield sse.control_frame("degraded", {"detail": error.detail})
        except BoardNotFound:
            return  # removed while we read; the browser comes back and is told so

    def _written(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._writing_since = time.monotonic()
            yield piece
            self._writing_since = None

    def _join(self, cursor: str | None) -> Iterator[bytes]:
        feed = self.feed
        feed.open()
        if self._closing:
            yield farewell()
            return
        missed: list[bytes] | None = None
        reset = None
        if cursor is None:
            missed = []
        elif not re.match(CURSOR_PATTERN, cursor):
            missed, reset = [], "the cursor is not one of this board"
        while missed is None and (missed := feed.since(cursor or "")) is None:
            replay = self._store.replay(feed.board, cursor or "", _REPLAY_ENTRIES)
            if self._closing:
                yield farewell()
                return  # a slow reader of a long log would be at it for minutes
            if not replay.is_known:
                missed, reset = [], "the log does not hold this cursor (any more)"
                break
            if replay.entries:
                yield from _in_pieces(
                    [sse.item_frame(entry.cursor, entry.event) for entry in replay.entries]
                )
                cursor = replay.entries[-1].cursor
            if len(replay.entries) < _REPLAY_ENTRIES and feed.since(cursor or "") is None:
                # At the log's end, further than the feed has heard: bring it here. Reading on
                # instead would never end while others write faster than we read.
                feed.catch_up()
        # No switch point from since() to here; see the module.
        if reset is not None:
            missed = [feed.reset_frame(reset)]
            feed.count_reset()
        yield from _in_pieces(self.go_live(missed))

    def go_live(self, missed: list[bytes]) -> list[bytes]:
        """From now on the feed hands it what happens; ``missed`` is what came up to now.

        Returns the frames that the stream begins with. No switch point may lie between the
        feed's answer to ``since`` and this.
        """
        feed = self.feed
        self.number, self._turns, self.is_live = feed.number, feed.turns, True
        feed.has_plain |= not self.is_gzip
        frames = [*missed, feed.ready_frame()]
        return [*frames, feed.impaired] if feed.impaired else frames


def _nothing_to_hang_up() -> None:
    """Until the stream knows its socket, or where it has none."""


def farewell() -> bytes:
    """The end of a stream whose worker process goes away."""
    return sse.retry_frame(*_BYE_RETRY_MS) + sse.control_frame("bye", {})


def _in_pieces(frames: list[bytes]) -> Iterator[bytes]:
    piece: list[bytes] = []
    size = 0
    for frame in frames:
        if piece and size + len(frame) > _PIECE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(frame)
        size += len(frame)
    if piece:
        yield b"".join(piece)

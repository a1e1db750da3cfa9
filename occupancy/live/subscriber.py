"""A subscriber: the whole life of one stream.

It reads the log from its cursor, goes live at the point where its reading ended, and from then on
is handed frames by the broadcaster. A socket writer writes them at once, or the stream's greenlet
does where there is none. Frames that cannot be written yet are kept up to 64 KiB; beyond that all
are dropped and a ``reset`` says so.

Gapless by construction: going live is ``since()`` followed by ``is_live = True`` with no switch
point in between. ``since()`` answers only for a cursor that is in memory, with everything that came
after it (pending frames too: the stream's number says that it has them), and every later frame is
pushed. So the stream gets each entry after its cursor, in order, once.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator

from gevent.event import Event

from occupancy.core.entities import CURSOR_PATTERN
from occupancy.core.errors import BoardNotFound, PoolTimeout, StoreUnavailable
from occupancy.live import sse
from occupancy.live.board_frames import BoardFrames
from occupancy.live.board_log import PAGE_ENTRIES, BoardLog
from occupancy.live.pacing import ROUND_BYTES
from occupancy.live.socket_writer import SocketWriter

log = logging.getLogger(__name__)

BUFFER_BYTES = 2 * ROUND_BYTES
_PIECE_BYTES = 16 * 1024  # per write: small enough that a client that reads at all shows it
STALL_S = 30.0
_BYE_RETRY_MS = (500, 6000)  # the streams of a process that ends come back over some seconds


class Subscriber:
    """One stream. Its greenlet (``frames``) or its socket writer takes its pieces."""

    __slots__ = (
        "_bytes", "_changes", "_closing", "_has_said_bye", "_overflowed", "_pieces", "_wake",
        "_writer", "_writing_since", "board", "hang_up", "heartbeat_phase", "is_gone", "is_gzip",
        "is_live", "log", "number",
    )  # fmt: skip

    def __init__(self, log: BoardLog, board: BoardFrames) -> None:
        self.is_live = False
        self.is_gone = False
        self.is_gzip = False  # whether it takes frames compressed; set before it goes live
        self.number = 0  # of the last frame that it has
        self.heartbeat_phase = int(random.random() * 65536)  # noqa: S311 - spreads load, no secret
        self.hang_up: Callable[[], None] = _nothing_to_hang_up
        self.board = board
        self.log = log
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._overflowed = False
        self._changes = 0  # BoardFrames.changes, as of the last state that it got
        self._closing = False
        self._has_said_bye = False
        self._writer: SocketWriter | None = None
        self._wake: Event | None = None  # for its greenlet, while that waits for more
        self._writing_since: float | None = None  # monotonic; while its greenlet writes a piece

    # For the broadcaster, the hub and the revocation. None of these has a switch point.

    def push(self, payload: sse.Payload) -> None:
        """Take frames; beyond the bound drop all of them and owe a reset."""
        if self._overflowed or self._closing or self.is_gone:
            return  # after close() its client keeps the cursor that it has
        rest_bytes = 0
        if self._writer is not None:
            if self._writer.send(payload):
                return
            rest_bytes = self._writer.rest_bytes
        pieces = [payload.deflated] if self.is_gzip else payload.frames
        self._bytes += sum(map(len, pieces))
        if self._bytes + rest_bytes > BUFFER_BYTES:
            self._overflowed = True
            self._pieces.clear()
        else:
            self._pieces += pieces
        self._notify()

    def owe_reset(self) -> None:
        """Drop waiting frames and send a reset next: the stream has a hole. Never fails."""
        if self._closing or self.is_gone:
            return  # its client comes back with the cursor that it has
        self._overflowed = True
        self._pieces.clear()
        try:
            self._notify()
        except Exception:
            log.exception("a stream that was to be reset is hung up")
            with contextlib.suppress(Exception):
                self.abandon()

    def heartbeat(self) -> None:
        """Send a sign of life, unless frames wait to be written."""
        if not self._pieces:
            self.push(sse.HEARTBEAT)

    def close(self) -> None:
        """End with ``bye``: the process ends, or the caller may not watch any more.

        Frames taken before still go out, later ones do not.
        """
        self._closing = True
        self._notify()

    def abandon(self) -> None:
        """End without ``bye``: the client is gone, or reads nothing any more."""
        self.is_gone = True
        if self._wake is not None:
            self._wake.set()
        self.hang_up()  # its greenlet may be waiting in a write that would never end

    def end(self) -> None:
        """Drop all references: the stream has ended."""
        self.is_gone = True
        self._writer = None
        self.hang_up = _nothing_to_hang_up
        self._pieces.clear()

    def stalled_s(self, now: float) -> float:
        """How long the connection has not taken the present piece, in seconds."""
        since = self._writer.waiting_since if self._writer else self._writing_since
        return 0.0 if since is None else now - since

    def attach(self, writer: SocketWriter) -> None:
        """Let ``writer`` write this live stream from now on, without a greenlet."""
        self._writer = writer
        self.hang_up = writer.reset
        writer.pump()  # frames taken while the greenlet wrote; or the end, if it is gone

    @property
    def is_ending(self) -> bool:
        """Whether it gets nothing more, except perhaps ``bye``."""
        return self._closing or self.is_gone

    def next_piece(self) -> bytes | None:
        """The bytes to write next; ``b""`` where nothing waits, None after ``bye``."""
        if self.is_gone or self._has_said_bye:
            return None
        if self._overflowed:
            self._overflowed, self._bytes = False, 0
            self.board.count_reset()
            self.number = self.board.number  # the reset leads to the position, pending or not
            frames = self.board.reset_frame("this connection takes the events too slowly")
            if self._changes != self.board.changes:  # the frame that said so may have been dropped
                self._changes = self.board.changes
                frames += self.board.state_frame()
            return self.coded(frames)
        if self._pieces:
            pieces = next(sse.grouped(self._pieces, _PIECE_BYTES))
            del self._pieces[: len(pieces)]
            piece = b"".join(pieces)
            self._bytes -= len(piece)
            return piece
        if self._closing:
            self._has_said_bye = True
            return self.coded(farewell())
        return b""

    def coded(self, frames: bytes) -> bytes:
        """``frames``, compressed if the stream takes them so."""
        return sse.deflated(frames) if self.is_gzip else frames

    def _notify(self) -> None:
        if self._writer is not None:
            self._writer.pump()
        elif self._wake is not None:
            self._wake.set()

    # For the stream's own greenlet.

    def frames(self, cursor: str | None) -> Iterator[bytes]:
        """The whole body, for a stream whose greenlet writes it."""
        yield from self.join(cursor)
        while self.is_live and (piece := self.next_piece()) is not None:
            if piece:
                yield from self._written([piece])
            else:
                # No switch point lies between next_piece() and wait(), so no wake-up is lost.
                self._wake = Event()
                self._wake.wait()

    def join(self, cursor: str | None) -> Iterator[bytes]:
        """The beginning of the body: everything after ``cursor``. The stream is live then, or over.

        A cursor that is malformed or not in the log gets ``reset``. If Redis fails while the log
        is read, the stream ends with ``degraded``; the browser comes back with its cursor.
        """
        try:
            yield from self._written(self._join(cursor))
        except (PoolTimeout, StoreUnavailable) as error:
            yield sse.control_frame("degraded", {"detail": error.detail})
        except BoardNotFound:
            return  # removed meanwhile; the browser comes back and gets 404

    def _written(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._writing_since = time.monotonic()
            yield piece
            self._writing_since = None

    def _join(self, cursor: str | None) -> Iterator[bytes]:
        board = self.board
        self.log.open()
        if self._closing:
            yield farewell()
            return
        missed: list[bytes] | None = None
        reset = None
        if cursor is None:
            missed = []
        elif not re.match(CURSOR_PATTERN, cursor):
            missed, reset = [], "the cursor is not one of this board"
        while missed is None and (missed := board.since(cursor or "")) is None:
            replay = self.log.read_page(cursor or "")
            if self._closing:
                yield farewell()
                return  # a slow client would read a long log for minutes
            if not replay.is_known:
                missed, reset = [], "the log does not hold this cursor (any more)"
                break
            if replay.entries:
                frames = [sse.item_frame(each.cursor, each.event) for each in replay.entries]
                yield from map(b"".join, sse.grouped(frames, _PIECE_BYTES))
                cursor = replay.entries[-1].cursor
            if len(replay.entries) < PAGE_ENTRIES and board.since(cursor or "") is None:
                # At the log's end, beyond the position: move the position here. Reading on instead
                # would never end while others write faster than we read.
                self.log.catch_up()
        # No switch point from since() to here; see the module.
        if reset is not None:
            missed = [board.reset_frame(reset)]
            board.count_reset()
        yield from map(b"".join, sse.grouped(self.go_live(missed), _PIECE_BYTES))

    def go_live(self, missed: list[bytes]) -> list[bytes]:
        """Get later frames from the broadcaster; ``missed`` is everything up to now.

        Returns the frames that the stream begins with. No switch point may lie between the answer
        of ``since`` and this.
        """
        board = self.board
        self.number, self._changes, self.is_live = board.number, board.changes, True
        board.joined(is_gzip=self.is_gzip)
        frames = [*missed, board.ready_frame()]
        return [*frames, board.degraded] if board.degraded else frames


def _nothing_to_hang_up() -> None:
    """The stream does not know its socket yet, or has none."""


def farewell() -> bytes:
    """The frames that end a stream whose process ends."""
    return sse.retry_frame(*_BYE_RETRY_MS) + sse.control_frame("bye", {})

"""A subscriber: the whole life of one open stream.

It reads the log from its cursor, goes live in the feed at the very point where its reading ended,
and from then on is handed frames by the feed, which its greenlet writes. What it cannot write is
kept up to 64 KiB; beyond that everything is dropped and a ``reset`` says so.

Gapless by construction: going live is ``since()`` followed by ``is_live = True`` with no switch
point in between. ``since()`` answers only for a cursor that the feed knows, with all that came
after it, and every later entry is pushed. So the subscriber gets each entry after its cursor,
in order, once, whatever happens in other greenlets before or after.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gevent.event import Event

from . import sse
from .errors import BoardNotFound, PoolTimeout, StoreUnavailable
from .model import CURSOR_PATTERN

if TYPE_CHECKING:
    from .feed import Feed
    from .store import Store

BUFFER_BYTES = 64 * 1024
_PIECE_BYTES = 16 * 1024  # per write: small enough that a reader that takes anything shows it
_REPLAY_ENTRIES = 100  # per round trip, so that no connection is held for long
STALL_S = 30.0
_BYE_RETRY_MS = (500, 6000)  # the streams of a worker that goes away come back over some seconds


class Subscriber:
    """One stream of a board. ``frames()`` is what its greenlet writes; the rest is for the feed."""

    def __init__(self, feed: Feed, store: Store) -> None:
        self.is_live = False
        self.is_gone = False
        self.writing_since: float | None = None  # monotonic; while the connection takes a piece
        self._feed = feed
        self._store = store
        self._frames: list[bytes] = []
        self._bytes = 0
        self._overflowed = False
        self._closing = False
        self._wake = Event()
        self.hang_up: Callable[[], None] = _nothing_to_hang_up
        self.beat = random.randrange(1 << 16)  # noqa: S311 - when its heartbeats come, no secret

    # For the feed and the hub. None of these has a switch point.

    def push(self, frame: bytes) -> None:
        """Hand over a frame; the bound is kept by dropping all and remembering to say so."""
        if self._overflowed or self._closing:
            return  # after the close() nothing more is for this stream; its cursor stays behind
        self._bytes += len(frame)
        if self._bytes > BUFFER_BYTES:
            self._overflowed = True
            self._frames.clear()
        else:
            self._frames.append(frame)
        self._wake.set()

    def heartbeat(self) -> None:
        """A sign of life, unless something waits to be written already."""
        if not self._frames:
            self.push(sse.HEARTBEAT)

    def close(self) -> None:
        """Say bye and end: this worker process goes away, or the caller may not watch any more.

        What was handed over before still goes out; what comes after does not.
        """
        self._closing = True
        self._wake.set()

    def abandon(self) -> None:
        """End without a word: the client is gone, or takes nothing any more."""
        self.is_gone = True
        self._wake.set()
        self.hang_up()  # its greenlet may be waiting in a write that would never end

    def stalled_s(self, now: float) -> float:
        """How long the connection has not taken the piece that is being written."""
        return 0.0 if self.writing_since is None else now - self.writing_since

    # For the stream's own greenlet.

    def frames(self, cursor: str | None) -> Iterator[bytes]:
        """All that this stream writes after its head: from ``cursor``, or from now on, to its end.

        A cursor that is malformed or not in the log gets ``reset``. If Redis fails while the log
        is read, the stream says ``degraded`` and ends; the browser comes back with its cursor.
        """
        try:
            for piece in self._pieces(cursor):
                self.writing_since = time.monotonic()
                yield piece
                self.writing_since = None
        except (PoolTimeout, StoreUnavailable) as error:
            yield sse.control_frame("degraded", {"detail": error.detail})
        except BoardNotFound:
            return  # removed while we read; the browser comes back and is told so

    def _pieces(self, cursor: str | None) -> Iterator[bytes]:
        yield from self._join(cursor)
        while True:
            # set() between wait() and clear() is impossible: neither clear() nor what follows
            # up to the emptied buffer has a switch point.
            self._wake.wait()
            self._wake.clear()
            if self.is_gone:
                return
            frames, self._frames, self._bytes = self._frames, [], 0
            if self._overflowed:
                self._overflowed = False
                frames = [self._feed.reset_frame("this connection takes the events too slowly")]
                self._feed.count_reset()
            yield from _in_pieces(frames)
            if self._closing:
                yield farewell()
                return

    def _join(self, cursor: str | None) -> Iterator[bytes]:
        feed = self._feed
        feed.open()
        if self._closing:
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
        self.is_live = True
        position = {"cursor": feed.cursor, "seq": feed.seq}
        ready = sse.control_frame("ready", position, feed.cursor)
        if reset is not None:
            missed = [feed.reset_frame(reset)]
            feed.count_reset()
        yield from _in_pieces([*missed, ready])


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

"""Images: large boards as this process remembers them, brought up to date from their logs.

Reading ten thousand items, sorting, joining and compressing them costs 10 ms, and when a plant's
browsers all reload, each of them asks for it. The log says cheaply what has happened since the
last one asked: each event carries its whole item. So the board as it was at a cursor, and the
entries after that cursor up to the log's head, are the board as it is at the head; both are read
in one script, at one instant. Every request asks the log, so each sees its own writes.

Concurrency. Only the calls of the store, and waiting for a look, are switch points. So:

* A listing is never changed. A newer one takes its place, in one assignment, after everything
  that it is made of has been read: nobody can see it half-made, whatever is under way.
* A look into the log has a greenlet of its own and serves all who came before it began, because
  only that is sure to see what was written before they came. Of an image there is one look under
  way and one that waits for its end, at most: of a thousand that ask at once, one reads and one
  compresses; nobody overtakes; and whoever is killed while they wait hinders nobody.
* That an image is dropped (unused, or for want of room) while a look is under way is of no
  consequence: the look puts it back. If two images of a board come to be so, each is right by
  itself, and which of them is kept does not matter: what is remembered is only where a look
  begins, and never taken for the present.

What the log cannot tell makes the board be read as a whole: a cursor that it does not know, more
entries than are worth following, a hole in ``seq``, an event that does not fit the image. And a
repair (reconcile.py) mends items without an event: an image is not followed for ever.
"""

from __future__ import annotations

import bisect
import re
import time
from typing import TYPE_CHECKING, Any

import gevent
import msgspec
from gevent.lock import BoundedSemaphore
from isal import isal_zlib

from occupancy.boards.records import Snapshot
from occupancy.core.entities import Replay
from occupancy.core.errors import OccupancyError
from occupancy.core.slices import Pause, no_pause, sliced

if TYPE_CHECKING:
    from occupancy.boards.store import Store

_MOST_ENTRIES = 300  # followed at a time: that many cost a fifth of what ten thousand items do
_MOST_BYTES = 64 * 1024 * 1024  # of all images, each counted as if it had been sent in plain too
_ITEM_BYTES = 48  # what CPython and the list add to an item
_UNUSED_S = 60.0
_SWEEP_S = 15.0
_FOLLOWED_S = 180.0

_COMPRESSED_BYTES = 1400  # what fits into a packet gains nothing
_COMPRESSED_ITEMS = 200  # at a time: takes less than SLICE_S
_GZIP = 16 + 15  # zlib's way to ask for gzip's header and the largest window

# As operate.lua renders it. In a JSON text a quotation mark that is preceded by no backslash
# begins or ends a string, so no name, title or attribute can pass for what surrounds it.
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_EVENT = re.compile(
    rb'\{"seq":[0-9]+,"type":"([^"\\]+)","board":"[^"\\]*","at":"[^"\\]*"'
    rb',"actor":\{(?:[^"{}]*' + _STRING + rb')*\},"means":"[^"\\]*"'
    rb',"item":((\{"tag":"[^"\\]+").*\})\}',
    re.DOTALL,
)


class SnapshotResponse:
    """The answer of a snapshot: its JSON and the same compressed, each made once, when asked for.

    ``size`` is what the items' texts have together, where somebody keeps count of it.
    """

    def __init__(self, snapshot: Snapshot, size: int = 0) -> None:
        self.snapshot = snapshot
        self.size = size
        self._plain: bytes | None = None
        self._packed: bytes | None = None
        self._packing = BoundedSemaphore(1)

    @property
    def cursor(self) -> str:
        return self.snapshot.cursor

    def plain(self) -> bytes:
        """The JSON text."""
        if self._plain is None:
            self._plain = self._joined()
        return self._plain

    def packed(self, pause: Pause = no_pause) -> bytes | None:
        """The JSON text as gzip; None where it is too short for that.

        ``pause`` lets others run. Callers that come meanwhile wait; if the one that compresses is
        killed, the next begins anew.
        """
        if self._packed is None:
            with self._packing:
                if self._packed is None:
                    self._packed = self._compressed(pause)
        return self._packed or None

    def _compressed(self, pause: Pause) -> bytes:
        parts = self._parts()
        if len(parts) <= _COMPRESSED_ITEMS and sum(map(len, parts)) < _COMPRESSED_BYTES:
            return b""
        compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
        compressed = []
        groups = range(0, len(parts), _COMPRESSED_ITEMS)
        for first in sliced(groups, pause, looked_after=1):
            text = b",".join(parts[first : first + _COMPRESSED_ITEMS])
            is_last = first + _COMPRESSED_ITEMS >= len(parts)
            compressed.append(compressor.compress(text if is_last else text + b","))
        compressed.append(compressor.flush())
        return b"".join(compressed)

    def after(self, replay: Replay) -> SnapshotResponse | None:
        """The board at the end of ``replay``, the entries after this one's cursor.

        None where they do not lead from here to the log's head, or do not fit.
        """
        entries = replay.entries
        end = entries[-1] if entries else self.snapshot
        if not replay.is_known or (end.cursor, end.seq) != (replay.head_cursor, replay.head_seq):
            return None
        if not entries:
            return self
        items, seq, size = self.snapshot.items.copy(), self.snapshot.seq, self.size
        for entry in entries:
            seq += 1
            event = _EVENT.fullmatch(entry.event)
            if entry.seq != seq or event is None:
                return None
            kind, item, beginning = event.groups()
            # The items sort as their beginnings do, see Store.whole; and before what begins so
            # there is only what is less than the beginning.
            position = bisect.bisect_left(items, beginning)
            is_there = position < len(items) and items[position].startswith(beginning)
            if is_there == (kind == b"item.added"):
                return None
            if is_there:
                size -= len(items[position])
            if kind == b"item.removed":
                del items[position]
                continue
            items[position : position + is_there] = [item]
            size += len(item)
        return SnapshotResponse(Snapshot(end.cursor, seq, items, None), size)

    def _joined(self) -> bytes:
        return b",".join(self._parts())  # copies the text, which may be megabytes, once

    def _parts(self) -> list[bytes]:
        """The JSON text in parts, with commas between them."""
        snapshot = self.snapshot
        begin = b'{"cursor":"%b","seq":%d,"items":[' % (snapshot.cursor.encode(), snapshot.seq)
        end = b'],"next":%b}' % msgspec.json.encode(snapshot.next)
        if not snapshot.items:
            return [begin + end]
        parts = snapshot.items.copy()
        parts[0] = begin + parts[0]
        parts[-1] += end
        return parts


class _CachedBoard:
    """What is remembered of one board."""

    def __init__(self) -> None:
        self.lock = BoundedSemaphore(1)  # held by the look that is under way
        self.next_look: Any = None  # a greenlet, which has not begun to read
        self.listing: SnapshotResponse | None = None
        self.read_s = 0.0  # when the whole board was read; the rest is from the log
        self.used_s = 0.0

    @property
    def size(self) -> int:
        if self.listing is None:
            return 0
        return 2 * self.listing.size + _ITEM_BYTES * len(self.listing.snapshot.items)


class SnapshotCache:
    """The images of one process. Methods raise what the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._images: dict[str, _CachedBoard] = {}  # the one used last comes last
        self._sweeper: gevent.Greenlet | None = None

    @property
    def size(self) -> int:
        """The bytes that all images take, at most."""
        return sum(image.size for image in self._images.values())

    def has(self, board: str) -> bool:
        """Whether there is an image of the board, so that ``find`` reads only the log."""
        return board in self._images

    def find(self, board: str, known_cursor: str = "") -> SnapshotResponse | None:
        """The whole board as it was at some instant since the call, or its first page.

        Returns None if it has not changed since ``known_cursor``. Raises BoardNotFound. One round
        trip, but two for a large board that must be read, and a third where it is none any more.
        """
        image = self._images.get(board)
        if image is None:
            is_large, snapshot = self._store.look(board, known_cursor)
            if not is_large:
                return SnapshotResponse(snapshot) if snapshot is not None else None
            image = self._images.setdefault(
                board, _CachedBoard()
            )  # others may have come to know it too
            self._keep(board, image)
        listing = self._current(board, image)
        if listing is None:
            snapshot = self._store.snapshot(board, known_cursor=known_cursor)
            return SnapshotResponse(snapshot) if snapshot is not None else None
        return listing if listing.cursor != known_cursor else None

    def _current(self, board: str, image: _CachedBoard) -> SnapshotResponse | None:
        """What a look finds that begins after the call; None where the board is no large one.

        A failure is shared too: else those who wait would, one after the other, wait for a server
        that does not answer.
        """
        if image.next_look is None:
            image.next_look = gevent.spawn(self._look, board, image)
        found: SnapshotResponse | OccupancyError | None = image.next_look.get()
        if isinstance(found, OccupancyError):
            raise type(found)(found.detail, **found.extra) from found.__cause__
        return found

    def _look(self, board: str, image: _CachedBoard) -> SnapshotResponse | OccupancyError | None:
        with image.lock:
            image.next_look = None  # who comes from now on may have written what this one misses
            try:
                image.listing = self._brought_up(board, image)
            except OccupancyError as error:  # the listing is none the worse for it
                return error.with_traceback(None)
            if image.listing is not None:
                self._keep(board, image)
            elif self._images.get(board) is image:
                del self._images[board]
            return image.listing

    def _brought_up(self, board: str, image: _CachedBoard) -> SnapshotResponse | None:
        """The listing as it is now: from the log if possible. None: the board is no large one."""
        now_s = time.monotonic()
        listing = image.listing
        if listing is not None and now_s - image.read_s < _FOLLOWED_S:
            listing = listing.after(self._store.replay(board, listing.cursor, _MOST_ENTRIES))
            if listing is not None:
                return listing if self._store.is_large(len(listing.snapshot.items)) else None
        snapshot = self._store.whole(board)
        if snapshot is None:
            return None
        image.read_s = now_s
        return SnapshotResponse(snapshot, sum(map(len, snapshot.items)))

    def _keep(self, board: str, image: _CachedBoard) -> None:
        """Keep it as the one used last; those that were not for longest make room."""
        image.used_s = time.monotonic()
        self._images.pop(board, None)
        self._images[board] = image
        size = self.size
        while size > _MOST_BYTES:
            size -= self._images.pop(next(iter(self._images))).size
        if not self._sweeper:
            self._sweeper = gevent.spawn(self._sweep)

    def _sweep(self) -> None:
        """Drop what is not used, until nothing is left."""
        while self._images:
            gevent.sleep(_SWEEP_S)
            until_s = time.monotonic() - _UNUSED_S
            for board in [name for name, each in self._images.items() if each.used_s <= until_s]:
                del self._images[board]

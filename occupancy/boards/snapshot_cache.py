"""The snapshot cache: large boards as this process remembers them, updated from their logs.

Reading ten thousand items, sorting, joining and compressing them costs 10 ms. Each event in the log
has its whole item, so a board at a cursor, and the entries from there to the log's head, give the
board at the head. Every request reads the log, so each sees its own writes.

Concurrency. Only reads from the server, and waiting for one, are switch points. So:

* A response never changes. A newer one replaces it in one assignment, when all of it has been read.
* A read of the log has a greenlet of its own and serves all requests that came before it began. For
  each board there is at most one read under way and one that waits for its end: of a thousand
  requests at once, one reads and one compresses. Killing a waiting request hinders no other.
* A board may be dropped while a read is under way: the read puts it back. If a board is there
  twice, either may be kept: a remembered response is only where a read begins.

The board is read as a whole where the log cannot tell: an unknown cursor, too many entries, a hole
in ``seq``, an event that does not fit; and every three minutes, because a repair (reconcile.py)
mends items without an event.
"""

from __future__ import annotations

import bisect
import time
from typing import Any

import gevent
import msgspec
from gevent.lock import BoundedSemaphore
from isal import isal_zlib

from occupancy.boards.log import Log
from occupancy.boards.queries import Queries
from occupancy.boards.records import Snapshot, event_item_of, page_start, tag_of
from occupancy.boards.search import filter_by, select
from occupancy.core.entities import MAX_SNAPSHOT_ITEMS, TAG_PATTERN, Replay
from occupancy.core.errors import OccupancyError
from occupancy.core.slices import Pause, no_pause, sliced
from occupancy.core.transitions import PUT, REMOVE

_MAX_ENTRIES = 300  # in one update: they cost a fifth of what ten thousand items do
_MAX_CACHE_BYTES = 64 * 1024 * 1024  # of all boards, each counted as if its text were kept as well
_ITEM_OVERHEAD_BYTES = 48  # what CPython and the list add to an item
_UNUSED_S = 60.0
_SWEEP_S = 15.0
_MAX_FOLLOWED_S = 180.0  # from one reading of the whole board to the next

_MIN_COMPRESSED_BYTES = 1400  # a response that fits into a packet gains nothing
_ITEMS_PER_PIECE = 200  # compressing them takes less than SLICE_S
_GZIP_WINDOW_BITS = 16 + 15  # zlib's way to ask for gzip's header and the largest window


class SnapshotResponse:
    """A snapshot as JSON and as the same compressed, each made once, when it is asked for."""

    def __init__(self, snapshot: Snapshot, size: int = 0) -> None:
        self.snapshot = snapshot
        self.size = size  # the sum of the items' lengths in bytes, where it is counted
        self._plain: bytes | None = None
        self._packed: bytes | None = None
        self._packing = BoundedSemaphore(1)

    @property
    def cursor(self) -> str:
        return self.snapshot.cursor

    def plain(self) -> bytes:
        """The JSON text."""
        if self._plain is None:
            self._plain = b",".join(self._parts())  # copies megabytes, once
        return self._plain

    def packed(self, pause: Pause = no_pause) -> bytes | None:
        """The JSON text as gzip; None where it is too short for that.

        ``pause`` lets others run. Other callers wait meanwhile; if the one that compresses is
        killed, the next begins anew.
        """
        if self._packed is None:
            with self._packing:
                if self._packed is None:
                    self._packed = self._compressed(pause)
        return self._packed or None

    def _compressed(self, pause: Pause) -> bytes:
        parts = self._parts()
        if len(parts) <= _ITEMS_PER_PIECE and sum(map(len, parts)) < _MIN_COMPRESSED_BYTES:
            return b""
        compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP_WINDOW_BITS)
        compressed = []
        for first in sliced(range(0, len(parts), _ITEMS_PER_PIECE), pause, check_every=1):
            text = b",".join(parts[first : first + _ITEMS_PER_PIECE])
            is_last = first + _ITEMS_PER_PIECE >= len(parts)
            compressed.append(compressor.compress(text if is_last else text + b","))
        compressed.append(compressor.flush())
        return b"".join(compressed)

    def after(self, replay: Replay) -> SnapshotResponse | None:
        """The board at the end of ``replay``; None where its entries do not lead there."""
        entries = replay.entries
        end = entries[-1] if entries else self.snapshot
        if not replay.is_known or (end.cursor, end.seq) != (replay.head_cursor, replay.head_seq):
            return None
        if not entries:
            return self
        items, seq, size = self.snapshot.items.copy(), self.snapshot.seq, self.size
        for entry in entries:
            seq += 1
            try:
                event = event_item_of(entry.event)
                tag = tag_of(event.item)
                position = bisect.bisect_left(items, tag, key=tag_of)
                is_there = position < len(items) and tag_of(items[position]) == tag
            except msgspec.MsgspecError:
                return None
            if entry.seq != seq or is_there == (event.type == PUT.added_event):
                return None
            if is_there:
                size -= len(items[position])
            if event.type == REMOVE.event:
                del items[position]
                continue
            item = bytes(event.item)
            items[position : position + is_there] = [item]
            size += len(item)
        return SnapshotResponse(
            msgspec.structs.replace(self.snapshot, cursor=end.cursor, seq=seq, items=items), size
        )

    def _parts(self) -> list[bytes]:
        """The JSON text in parts, with commas between them."""
        snapshot = self.snapshot
        begin = b'{"cursor":"%b","seq":%d,"version_floor":%d,"items":[' % (
            snapshot.cursor.encode(), snapshot.seq, snapshot.version_floor,
        )  # fmt: skip
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
        self.lock = BoundedSemaphore(1)  # held by the read that is under way
        self.next_read: Any = None  # its greenlet, which has not begun yet
        self.response: SnapshotResponse | None = None
        self.read_s = 0.0  # when the whole board was read; the rest is from the log
        self.used_s = 0.0

    @property
    def size(self) -> int:
        if self.response is None:
            return 0
        return 2 * self.response.size + _ITEM_OVERHEAD_BYTES * len(self.response.snapshot.items)


class SnapshotCache:
    """One per process. Methods raise what queries do."""

    def __init__(self, queries: Queries, log: Log) -> None:
        self._queries = queries
        self._log = log
        self._boards: dict[str, _CachedBoard] = {}  # the one used last comes last
        self._sweeper: gevent.Greenlet | None = None

    @property
    def size(self) -> int:
        """The bytes that all boards take, at most."""
        return sum(each.size for each in self._boards.values())

    def select(
        self,
        board: str,
        *,
        state: str | None = None,
        holder: str | None = None,
        text: str | None = None,
        limit: int = MAX_SNAPSHOT_ITEMS,
        page: str | None = None,
        known_cursor: str = "",
        pause: Pause,
    ) -> Snapshot | None:
        """The same as ``Queries.snapshot``, from memory if the board is a large one."""
        start = page_start(page, TAG_PATTERN) if page else ""
        if board in self._boards or self._queries.is_large(self._queries.count(board)):
            response = self.find(board, known_cursor)
            if response is None:
                return None
            if response.snapshot.next is None:
                return select(
                    response.snapshot, filter_by(state, holder), text,
                    start=start, limit=limit, pause=pause,
                )  # fmt: skip
        return self._queries.snapshot(
            board, state=state, holder=holder, text=text, limit=limit, page=page,
            known_cursor=known_cursor, pause=pause,
        )  # fmt: skip

    def find(self, board: str, known_cursor: str = "") -> SnapshotResponse | None:
        """The whole board at some instant after the call, or its first page.

        Returns None if it has not changed since ``known_cursor``. Raises BoardNotFound. One round
        trip, but two for a large board that must be read, and a third where it is none any more.
        """
        cached = self._boards.get(board)
        if cached is None:
            is_large, snapshot = self._queries.read_page(board, known_cursor)
            if not is_large:
                return SnapshotResponse(snapshot) if snapshot is not None else None
            cached = self._boards.setdefault(board, _CachedBoard())  # or another request has
            self._keep(board, cached)
        response = self._current(board, cached)
        if response is None:
            snapshot = self._queries.snapshot(board, known_cursor=known_cursor)
            return SnapshotResponse(snapshot) if snapshot is not None else None
        return response if response.cursor != known_cursor else None

    def _current(self, board: str, cached: _CachedBoard) -> SnapshotResponse | None:
        """The result of a read that begins after the call; None where the board is no large one."""
        # A failure is shared too, or all waiting requests would wait for the server one by one.
        if cached.next_read is None:
            cached.next_read = gevent.spawn(self._read, board, cached)
        found: SnapshotResponse | OccupancyError | None = cached.next_read.get()
        if isinstance(found, OccupancyError):
            raise type(found)(found.detail, **found.extra) from found.__cause__
        return found

    def _read(self, board: str, cached: _CachedBoard) -> SnapshotResponse | OccupancyError | None:
        with cached.lock:
            cached.next_read = None  # later callers may have written what this one misses
            try:
                cached.response = self._updated(board, cached)
            except OccupancyError as error:  # the kept response is still right
                return error.with_traceback(None)
            if cached.response is not None:
                self._keep(board, cached)
            elif self._boards.get(board) is cached:
                del self._boards[board]
            return cached.response

    def _updated(self, board: str, cached: _CachedBoard) -> SnapshotResponse | None:
        """The response as it is now: from the log if possible. None: the board is no large one."""
        now_s = time.monotonic()
        response = cached.response
        if response is not None and now_s - cached.read_s < _MAX_FOLLOWED_S:
            response = response.after(self._log.replay(board, response.cursor, _MAX_ENTRIES))
            if response is not None:
                return response if self._queries.is_large(len(response.snapshot.items)) else None
        snapshot = self._queries.whole(board)
        if snapshot is None:
            return None
        cached.read_s = now_s
        return SnapshotResponse(snapshot, sum(map(len, snapshot.items)))

    def _keep(self, board: str, cached: _CachedBoard) -> None:
        """Keep it as the one used last; drop those used longest ago to make room."""
        cached.used_s = time.monotonic()
        self._boards.pop(board, None)
        self._boards[board] = cached
        size = self.size
        while size > _MAX_CACHE_BYTES:
            size -= self._boards.pop(next(iter(self._boards))).size
        if not self._sweeper:
            self._sweeper = gevent.spawn(self._sweep)

    def _sweep(self) -> None:
        """Drop boards that are not used, until none is left."""
        while self._boards:
            gevent.sleep(_SWEEP_S)
            until_s = time.monotonic() - _UNUSED_S
            for board in [name for name, each in self._boards.items() if each.used_s <= until_s]:
                del self._boards[board]

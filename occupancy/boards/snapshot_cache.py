"""The snapshot cache: large boards as this process remembers them, updated from their logs.

Reading ten thousand items, sorting, joining and compressing them costs 10 ms, and when a plant's
browsers all reload, each of them asks for it. The log says cheaply what has happened since: each
event carries its whole item. So the board as it was at a cursor, and the entries after that cursor
up to the log's head, are the board as it is at the head; both are read in one script, at one
instant. Every request reads the log, so each sees its own writes.

Concurrency. Only reads from the server, and waiting for one, are switch points. So:

* A response is never changed. A newer one takes its place, in one assignment, after everything
  that it is made of has been read: nobody can see it half-made.
* A read of the log has a greenlet of its own and serves all that came before it began, because
  only that is sure to see what was written before they came. For each board there is at most one
  read under way and one that waits for its end: of a thousand requests at once, one reads and one
  compresses; nobody overtakes; and a request that is killed while it waits hinders nobody.
* A board may be dropped (unused, or for want of room) while a read is under way: the read puts it
  back. If a board comes to be there twice, each is right by itself, and it does not matter which
  is kept: what is remembered is only where a read begins, and never taken for the present.

Where the log does not tell, the board is read as a whole: a cursor that it does not know, more
entries than are worth following, a hole in ``seq``, an event that does not fit. And a repair
(reconcile.py) mends items without an event: no board is followed for ever.
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
from occupancy.boards.records import Snapshot, event_item_of, item_key_of, page_start
from occupancy.boards.search import filter_by, select
from occupancy.core.entities import MAX_SNAPSHOT_ITEMS, TAG_PATTERN, Replay
from occupancy.core.errors import OccupancyError
from occupancy.core.slices import Pause, no_pause, sliced
from occupancy.core.transitions import PUT, REMOVE

_MOST_ENTRIES = 300  # followed at a time: that many cost a fifth of what ten thousand items do
_MOST_BYTES = 64 * 1024 * 1024  # of all boards, each counted as if its text were kept as well
_ITEM_BYTES = 150  # what CPython and the two lists add to an item and its tag
_UNUSED_S = 60.0
_SWEEP_S = 15.0
_FOLLOWED_S = 180.0

_COMPRESSED_BYTES = 1400  # what fits into a packet gains nothing
_COMPRESSED_ITEMS = 200  # at a time: takes less than SLICE_S
_GZIP = 16 + 15  # zlib's way to ask for gzip's header and the largest window


class SnapshotResponse:
    """A snapshot as JSON and as the same compressed, each made once, when it is asked for.

    ``size`` is the sum of the items' lengths in bytes, where it is counted.
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
        if len(parts) <= _COMPRESSED_ITEMS and sum(map(len, parts)) < _COMPRESSED_BYTES:
            return b""
        compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, _GZIP)
        compressed = []
        groups = range(0, len(parts), _COMPRESSED_ITEMS)
        for first in sliced(groups, pause, check_every=1):
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
        snapshot, size = self.snapshot, self.size
        tags, items, seq = snapshot.tags.copy(), snapshot.items.copy(), snapshot.seq
        for entry in entries:
            seq += 1
            try:
                event = event_item_of(entry.event)
                tag = item_key_of(event.item).tag.encode()
            except msgspec.MsgspecError:
                return None
            position = bisect.bisect_left(tags, tag)
            is_there = position < len(tags) and tags[position] == tag
            if entry.seq != seq or is_there == (event.type == PUT.added_event):
                return None
            if is_there:
                size -= len(items[position])
            if event.type == REMOVE.event:
                del tags[position], items[position]
                continue
            item = bytes(event.item)
            tags[position : position + is_there] = [tag]
            items[position : position + is_there] = [item]
            size += len(item)
        return SnapshotResponse(Snapshot(end.cursor, seq, tags, items, None), size)

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
        self.response: SnapshotResponse | None = None
        self.read_s = 0.0  # when the whole board was read; the rest is from the log
        self.used_s = 0.0

    @property
    def size(self) -> int:
        if self.response is None:
            return 0
        return 2 * self.response.size + _ITEM_BYTES * len(self.response.snapshot.items)


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
            is_large, snapshot = self._queries.look(board, known_cursor)
            if not is_large:
                return SnapshotResponse(snapshot) if snapshot is not None else None
            cached = self._boards.setdefault(board, _CachedBoard())  # another may have put it
            self._keep(board, cached)
        response = self._current(board, cached)
        if response is None:
            snapshot = self._queries.snapshot(board, known_cursor=known_cursor)
            return SnapshotResponse(snapshot) if snapshot is not None else None
        return response if response.cursor != known_cursor else None

    def _current(self, board: str, cached: _CachedBoard) -> SnapshotResponse | None:
        """The result of a look that begins after the call; None where the board is no large one.

        A failure is shared too: else those that wait would, one after the other, wait for a server
        that does not answer.
        """
        if cached.next_look is None:
            cached.next_look = gevent.spawn(self._look, board, cached)
        found: SnapshotResponse | OccupancyError | None = cached.next_look.get()
        if isinstance(found, OccupancyError):
            raise type(found)(found.detail, **found.extra) from found.__cause__
        return found

    def _look(self, board: str, cached: _CachedBoard) -> SnapshotResponse | OccupancyError | None:
        with cached.lock:
            cached.next_look = None  # later callers may have written what this one misses
            try:
                cached.response = self._updated(board, cached)
            except OccupancyError as error:  # the response that is kept stays right
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
        if response is not None and now_s - cached.read_s < _FOLLOWED_S:
            response = response.after(self._log.replay(board, response.cursor, _MOST_ENTRIES))
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
        while size > _MOST_BYTES:
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

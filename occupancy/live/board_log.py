"""A follower: this process's position in one board's log, moved on entry by entry without a gap.

Each published entry names the one that it follows. The follower delivers an entry that follows its
position (cursor and seq); an entry further on means that something was missed. A greenlet of its
own reads that from the log, because ``offer`` never waits.

Invariants:

* The position is moved by the greenlet that holds ``_lock``, or by ``offer`` while nobody holds
  it. Reads from Redis and waits for room are switch points, and happen under the lock; ``offer``
  has no switch point. So nobody else acts on the position across one.
* Entries are taken in in the order of their offers. An entry waits in ``_kept`` while the lock is
  held, while there is no room, and while others wait already. ``_catch_up_alone`` takes them in; it
  runs whenever one waits or ``_is_behind`` is set. Beyond a bound all that waits is dropped, and
  ``_is_behind`` says that the log has it.
* ``_is_behind`` is cleared before the log is read, never after: what is dropped while the answer
  is under way is read once more. If a read fails it is set again, so that another greenlet's read
  that failed does not count as a success.
* So no entry is lost: it is delivered, or older than the position, or waits, or is still to be
  read. If ``_catch_up_alone`` fails, all that waits is dropped and the position stays. Then the
  next entry does not follow it, and the next probe finds the log's end elsewhere: each starts it
  again.
"""

from __future__ import annotations

import abc
import collections
import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import gevent
from gevent.lock import Semaphore

from occupancy.core.entities import Entry, Replay
from occupancy.core.errors import BoardNotFound, PoolTimeout, StoreUnavailable

if TYPE_CHECKING:
    from occupancy.boards.store import Store
    from occupancy.observability.metrics import LiveMetrics

log = logging.getLogger(__name__)

_CATCH_UP_ENTRIES = 100  # per round trip, so that no connection is held for long
_KEPT_BYTES = 1024 * 1024  # of entries that wait; some rounds of a busy board


class BoardLog(abc.ABC):
    """Follows one board in one process; a subclass delivers the entries."""

    def __init__(self, store: Store, board: str, metrics: LiveMetrics) -> None:
        self.board = board
        self.cursor = ""  # '' until it has been opened
        self.seq = 0
        self._store = store
        self._metrics = metrics
        self._lock = Semaphore(1)
        self._kept: collections.deque[tuple[str, Entry]] = collections.deque()
        self._kept_bytes = 0
        self._is_behind = False
        self._catching_up: gevent.Greenlet | None = None
        self._failure: type[Exception] | None = None  # of the last time that it caught up
        self._looked_at_seq = -1
        self._is_heard = False  # whether the reader heard publications at the last look

    # What a subclass does. Only ``_keep_room`` may switch.

    @abc.abstractmethod
    def _deliver(self, entry: Entry) -> None:
        """Move the position to ``entry``, which follows it. Raises ValueError for no entry."""

    @abc.abstractmethod
    def _lose(self, replay: Replay) -> None:
        """The position is no longer in the log: start again from where the log ends now."""

    @abc.abstractmethod
    def _move(self, cursor: str, seq: int) -> None:
        """Begin at a position, without what came before."""

    @abc.abstractmethod
    def _on_current(self) -> None:
        """Called when the position was the log's end a moment ago."""

    @property
    @abc.abstractmethod
    def _is_full(self) -> bool:
        """Whether there is room for no more entries right now."""

    @abc.abstractmethod
    def _keep_room(self) -> None:
        """Wait for room, for a bounded time."""

    # The position

    def open(self) -> None:
        """Find the position, once; a thousand that open it together ask the log once.

        Raises BoardNotFound, PoolTimeout, StoreUnavailable.
        """
        if self.cursor:
            return
        with self._alone():
            if not self.cursor:
                replay = self._store.replay(self.board, "", _CATCH_UP_ENTRIES)
                self._move(replay.head_cursor, replay.head_seq)

    def offer(self, previous: str, entry: Entry) -> None:
        """Take in an entry that was published just now, after ``previous``. No switch point.

        Raises ValueError, with nothing changed, if ``entry`` is none.
        """
        if self._kept or self._lock.locked() or self._is_full:
            self._keep(previous, entry)
        elif not self._take_in(previous, entry):
            self.catch_up_soon()

    def catch_up_soon(self) -> None:
        """Read and deliver what the log holds beyond the position, in a greenlet. No switch point.

        If that fails, the next entry or probe tries again.
        """
        self._is_behind = True
        self._begin_catching_up()

    def catch_up(self) -> None:
        """Read and deliver what the log holds beyond the position.

        For a stream that has read further than the feed. Raises PoolTimeout or StoreUnavailable,
        with the position where it was.
        """
        with self._alone():
            self._read_log()

    def stop(self) -> None:
        """End the greenlet that catches up: this process ends."""
        if self._catching_up is not None:
            self._catching_up.kill()

    def is_silent(self) -> bool:
        """Whether no entry has come since the last call.

        While entries come, each shows whether one before it is missing.
        """
        is_silent = self.seq == self._looked_at_seq
        self._looked_at_seq = self.seq
        return is_silent

    def compare(self, asked_at: str, head: tuple[str, int], *, is_live: bool) -> None:
        """Catch up if the log's end is not the position. No switch point.

        ``head`` is the log's end (cursor and seq), asked for when the position was ``asked_at``.
        ``is_live``: the reader has heard all that was published since.
        """
        self._is_heard = is_live
        has_gone_on = self.cursor != asked_at and not _after(head[0], self.cursor)
        if has_gone_on or head == (self.cursor, self.seq):
            self._on_current()
        else:
            self.catch_up_soon()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            finally:
                if self._kept or self._is_behind:
                    self._begin_catching_up()

    def _keep(self, previous: str, entry: Entry) -> None:
        self._kept.append((previous, entry))
        self._kept_bytes += len(entry.event)
        if self._kept_bytes > _KEPT_BYTES:
            self._drop_kept()
            self._is_behind = True
        self._begin_catching_up()

    def _drop_kept(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0

    def _begin_catching_up(self) -> None:
        if self._catching_up is None:
            self._catching_up = gevent.spawn(self._catch_up_alone)

    def _catch_up_alone(self) -> None:
        """Catch up until nothing waits and nothing is missing, or a read fails."""
        try:
            while self._kept or self._is_behind:
                with self._lock:
                    if self._is_behind:
                        self._read_log()
                    self._take_in_kept()
            self._on_current()
            self._failure = None
        except Exception as error:  # the next entry or probe tries again
            # One line: entries may come by the hundred a second while the log cannot be read.
            is_new, self._failure = self._failure is not type(error), type(error)
            if is_new and isinstance(error, PoolTimeout | StoreUnavailable):
                log.warning("missed events of %s not read yet: %s", self.board, error)
            elif is_new:
                log.exception("missed events of %s not read yet", self.board)
        finally:
            # Only after a failure is there any; else nobody has run since the loop found none.
            self._drop_kept()
            self._is_behind = False
            self._catching_up = None

    def _take_in_kept(self) -> None:
        """Take in what waits, under the lock, up to the first entry that shows a hole."""
        while self._kept:
            self._keep_room()
            if not self._kept:
                return  # dropped meanwhile
            previous, entry = self._kept.popleft()
            self._kept_bytes -= len(entry.event)
            with contextlib.suppress(ValueError):  # no entry, but something was published
                if self._take_in(previous, entry):
                    continue
            self._is_behind = True
            return

    def _take_in(self, previous: str, entry: Entry) -> bool:
        """Deliver ``entry`` if it is the next; False if it shows that something is missing."""
        if not self.cursor:
            return True  # not open: whoever opens it reads the position then
        if previous == self.cursor and entry.seq == self.seq + 1:
            self._deliver(entry)
            return True
        # Beyond a hole; or an old seq on a new entry: the log was lost and begun anew.
        if entry.seq > self.seq or _after(entry.cursor, self.cursor):
            self._metrics.holes.inc()
            return False
        return True  # an old one: the log was read beyond it before it was heard

    def _read_log(self) -> None:
        """Deliver what the log has, under the lock. Raises PoolTimeout or StoreUnavailable."""
        try:
            while self._read_page():
                pass
        except BaseException:  # also a kill while it waits for room
            self._is_behind = True  # another greenlet may rely on this read
            raise

    def _read_page(self) -> bool:
        """Deliver the next entries; whether there may be more."""
        self._is_behind = False
        if not self.cursor:
            return False  # whoever opens it reads the position then
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
            return False
        for entry in replay.entries:
            self._deliver(entry)
            self._keep_room()
        return len(replay.entries) == _CATCH_UP_ENTRIES


def _after(cursor: str, other: str) -> bool:
    return numbers_of(cursor) > numbers_of(other)


def numbers_of(cursor: str) -> tuple[int, int]:
    """A cursor's milliseconds and count. Raises ValueError for what is no cursor."""
    milliseconds, _, count = cursor.partition("-")
    return int(milliseconds), int(count)

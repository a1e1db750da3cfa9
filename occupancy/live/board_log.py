"""This process's position in one board's log, moved on entry by entry without a gap.

Each published entry names the entry that it follows. One that follows the position (cursor and seq)
is handed to the *sink*. One further on means that an entry was missed; a separate greenlet then
reads the log, because ``offer`` never waits.

Invariants:

* The position is moved by the greenlet that holds ``_lock``, or by ``offer`` while nobody holds
  it. Reads from Redis and waits for room are switch points and happen under the lock; ``offer``
  has no switch point. So nobody else acts on the position across a switch point.
* Entries are taken in the order of their offers. An entry waits in ``_kept`` while the lock is
  held, while the sink is full, and while others wait already. ``_catch_up_alone`` takes them in; it
  runs whenever an entry waits or ``_is_behind`` is set. Beyond a bound all waiting entries are
  dropped, and ``_is_behind`` says that they are to be read from the log.
* ``_is_behind`` is cleared before the log is read, never after: an entry dropped while the answer
  is on its way causes another read. If a read fails, it is set again, so that a read that failed in
  one greenlet does not count as a success for another.
* So no entry is lost: it is delivered, or older than the position, or waits, or is still to be
  read. If ``_catch_up_alone`` fails, all waiting entries are dropped and the position stays. Then
  the next entry does not follow it, and the next probe finds the log's end elsewhere; either starts
  it again.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import gevent
from gevent.lock import Semaphore

from occupancy.core.entities import Entry, Replay
from occupancy.core.errors import BoardNotFound, BoardRemoved, PoolTimeout, StoreUnavailable
from occupancy.live.board_frames import BoardFrames
from occupancy.observability.metrics import LiveMetrics

log = logging.getLogger(__name__)

PAGE_ENTRIES = 100  # per round trip, so that no connection is held for long
_KEPT_BYTES = 1024 * 1024  # of entries that wait; some rounds of a busy board


class LogReader(Protocol):
    """Reads the boards' logs. Raises PoolTimeout and StoreUnavailable."""

    def replay(self, board: str, cursor: str, count: int) -> Replay:
        """Up to ``count`` entries after ``cursor``; '' is the log's end. Raises BoardNotFound."""

    def heads(self, boards: Sequence[str]) -> list[tuple[str, int, int]]:
        """Cursor and seq of each log's last entry, and the version of the board's settings.

        ``("0-0", 0, 0)`` where there is none.
        """

    def promote(self, boards: Sequence[str]) -> None:
        """Mark the logs of a server that was promoted, so that their streams are reset."""


class BoardLog:
    """Follows one board's log and hands its entries to ``sink``."""

    def __init__(
        self, store: LogReader, board: str, sink: BoardFrames, metrics: LiveMetrics
    ) -> None:
        self.board = board
        self.cursor = ""  # '' until ``open``
        self.seq = 0
        self.settings_version = 0  # of the board
        self.followed_since = time.monotonic()
        self.settled: int | None = None  # number of the subscription since which none is missing
        self.incarnation = 0  # of the server, when its mark was last looked for
        self.has_incarnation = False  # it is known; the position is not older
        self.is_degraded = False  # the sink has been told that entries may come late
        self._store = store
        self._sink = sink
        self._metrics = metrics
        self._lock = Semaphore(1)
        self._kept: collections.deque[tuple[str, Entry]] = collections.deque()
        self._kept_bytes = 0
        self._is_behind = False
        self._catching_up: gevent.Greenlet | None = None
        self._failure: type[Exception] | None = None  # of the last catch-up
        self._silent_at_seq = -1
        self._is_heard = False  # whether the reader heard publications at the last probe

    def open(self) -> None:
        """Find the position, once; a thousand greenlets that do it together ask the log once.

        Raises BoardNotFound, PoolTimeout, StoreUnavailable.
        """
        if self.cursor:
            return
        with self._alone():
            if not self.cursor:
                self._store.promote([self.board])  # it may have happened while nobody watched
                replay = self.read_page("")
                self.cursor, self.seq = replay.head_cursor, replay.head_seq
                self.note_settings(replay.settings_version)
                self._sink.begin(self.cursor, self.seq, replay.version_floor)

    def read_page(self, cursor: str) -> Replay:
        """Up to PAGE_ENTRIES entries after ``cursor``, wherever the position is.

        Raises BoardNotFound, PoolTimeout, StoreUnavailable.
        """
        return self._store.replay(self.board, cursor, PAGE_ENTRIES)

    def offer(self, previous: str, entry: Entry) -> None:
        """Take an entry published just now, after the cursor ``previous``. No switch point.

        Raises ValueError, with nothing changed, if ``entry`` has no valid cursor.
        """
        if self._kept or self._lock.locked() or self._sink.is_full:
            self._keep(previous, entry)
        elif not self._take_in(previous, entry):
            self.catch_up_soon()

    def catch_up_soon(self) -> None:
        """``catch_up`` in a greenlet; if it fails, the next entry or probe tries again."""
        self._is_behind = True
        self._begin_catching_up()

    def catch_up(self) -> None:
        """Deliver what the log holds beyond the position.

        Raises PoolTimeout or StoreUnavailable, with the position where it was.
        """
        with self._alone():
            self._read_log()

    def stop(self) -> None:
        """End the greenlet that catches up; the process ends."""
        if self._catching_up is not None:
            self._catching_up.kill()

    def note_settings(self, version: int) -> None:
        """Note the version of the settings, and tell the streams a new one. No switch point.

        It comes from publications, from the probe, and from each read of the log. An answer that
        was on its way may bring an older version: then streams are told once more than necessary.
        """
        if version != self.settings_version:
            self.settings_version = version
            self._sink.change_settings(version)

    def is_silent(self) -> bool:
        """Whether no entry has come since the last call; each shows whether one is missing."""
        before, self._silent_at_seq = self._silent_at_seq, self.seq
        return before == self.seq

    def degrade(self) -> None:
        """Entries may come late, until a probe finds that publications are heard again."""
        self._is_heard = False
        if not self.is_degraded:
            self.is_degraded = True
            self._sink.change_state(is_degraded=True)

    def compare(self, asked_at: str, head: tuple[str, int], *, is_live: bool) -> None:
        """Catch up if the log's end is not the position. No switch point.

        ``head`` is the log's end (cursor and seq), read after the position was ``asked_at``.
        ``is_live`` says whether the reader has heard everything published since.
        """
        self._is_heard = is_live
        has_gone_on = self.cursor != asked_at and not _after(head[0], self.cursor)
        if has_gone_on or head == (self.cursor, self.seq):
            self._recover_if_heard()
        else:
            self.catch_up_soon()

    def _recover_if_heard(self) -> None:
        """Called when the position was the log's end a moment ago."""
        if self.is_degraded and self._is_heard:
            self.is_degraded = False
            self._sink.change_state(is_degraded=False)

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
            self._kept.clear()
            self._kept_bytes, self._is_behind = 0, True
        self._begin_catching_up()

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
            self._recover_if_heard()
            self._failure = None
        except Exception as error:  # the next entry or probe tries again
            # One line per kind of failure: entries may come a hundred times per second meanwhile.
            is_new, self._failure = self._failure is not type(error), type(error)
            if is_new and isinstance(error, PoolTimeout | StoreUnavailable):
                log.warning("missed events of %s not read yet: %s", self.board, error)
            elif is_new:
                log.exception("missed events of %s not read yet", self.board)
        finally:
            # Entries wait only after a failure; else nobody ran since the loop found none.
            self._kept.clear()
            self._kept_bytes, self._is_behind = 0, False
            self._catching_up = None

    def _take_in_kept(self) -> None:
        """Take in waiting entries, under the lock, up to the first that shows a hole."""
        while self._kept:
            self._sink.wait_for_room()
            if not self._kept:
                return  # they were dropped meanwhile
            previous, entry = self._kept.popleft()
            self._kept_bytes -= len(entry.event)
            with contextlib.suppress(ValueError):  # no valid entry, but something was published
                if self._take_in(previous, entry):
                    continue
            self._is_behind = True
            return

    def _take_in(self, previous: str, entry: Entry) -> bool:
        """Deliver ``entry`` if it is the next; False if it shows that an entry is missing."""
        if not self.cursor:
            return True  # ``open`` will read the position
        if previous == self.cursor and entry.seq == self.seq + 1:
            self._deliver(entry)
            return True
        # An entry beyond a hole; or an old seq on a new entry, because the log was lost.
        if entry.seq > self.seq or _after(entry.cursor, self.cursor):
            self._metrics.holes.inc()
            return False
        return True  # an old entry: the log was read beyond it before it was heard

    def _deliver(self, entry: Entry) -> None:
        """Move the position to ``entry``. Raises ValueError for an invalid cursor."""
        written_ms, _ = _numbers_of(entry.cursor)  # first, because it may fail
        self.cursor, self.seq = entry.cursor, entry.seq
        self._sink.deliver(entry, written_ms)

    def _read_log(self) -> None:
        """Deliver what the log has, under the lock. Raises PoolTimeout or StoreUnavailable."""
        try:
            while self._deliver_page():
                pass
        except BaseException:  # also a kill while it waits for room
            self._is_behind = True  # another greenlet may rely on this read
            raise

    def _deliver_page(self) -> bool:
        """Deliver the next entries; returns whether there may be more."""
        self._is_behind = False
        if not self.cursor:
            return False  # ``open`` will read the position
        try:
            replay = self.read_page(self.cursor)
        except BoardRemoved:
            self._sink.end()
            return False
        except BoardNotFound:  # the server was emptied under us: one reset says so
            replay = Replay(self.cursor == "0-0", "0-0", 0, [], 0)
        self.note_settings(replay.settings_version)
        expected = range(self.seq + 1, self.seq + 1 + len(replay.entries))
        is_contiguous = all(
            entry.seq == seq for entry, seq in zip(replay.entries, expected, strict=True)
        )
        is_at_end = bool(replay.entries) or replay.head_seq == self.seq
        if not (replay.is_known and is_contiguous and is_at_end):
            self.cursor, self.seq = replay.head_cursor, replay.head_seq
            self._sink.restart(self.cursor, self.seq, replay.version_floor)
            return False
        for entry in replay.entries:
            self._deliver(entry)
            self._sink.wait_for_room()
        return len(replay.entries) == PAGE_ENTRIES


def _after(cursor: str, other: str) -> bool:
    return _numbers_of(cursor) > _numbers_of(other)


def _numbers_of(cursor: str) -> tuple[int, int]:
    """A cursor's milliseconds and count. Raises ValueError for an invalid cursor."""
    milliseconds, _, count = cursor.partition("-")
    return int(milliseconds), int(count)

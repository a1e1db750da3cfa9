"""The queue for connections: first come, first served, and operations before reads.

redis-py hands a freed connection to the greenlet that runs next, so one busy greenlet starves all
waiters. :class:`FairQueue` hands it to the longest waiter. It has two lines: in one line, each
operation would wait behind a whole flood of reads.
"""

from __future__ import annotations

import collections
import queue
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import gevent
from gevent.event import AsyncResult
from gevent.local import local
from redis.connection import Connection

from occupancy.core.errors import PoolTimeout

_WAITS_KEPT = 1024  # for the percentiles
READ_SHARE = 4  # every fourth returned connection goes to a waiting read, if there is one
_PEAK_S = 5  # a poll every two seconds misses no peak
T = TypeVar("T")


class _Priority(local):  # type: ignore[misc] # gevent has no types
    is_read = False


_priority = _Priority()  # per greenlet


def set_priority(*, is_read: bool) -> None:
    """Set the line in which the current greenlet waits from now on: that of reads, or the first."""
    _priority.is_read = is_read


def run_side_by_side(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of ``calls``; the first error is raised when all have ended.

    The first runs in the current greenlet, each other one in a greenlet of its own, which waits in
    the same line. If the current one is killed, the others are too.
    """
    if len(calls) <= 1:
        return [each() for each in calls]
    is_read = _priority.is_read

    def run(call: Callable[[], T]) -> T | Exception:
        set_priority(is_read=is_read)
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - raised below
            return error

    others = [gevent.spawn(run, each) for each in calls[1:]]
    try:
        results = [run(calls[0]), *(each.get() for each in others)]
    finally:
        gevent.killall(others, block=False)  # none, unless this one is killed
    for each in results:
        if isinstance(each, Exception):
            raise each
    return results


class FairQueue:
    """A fair queue with the part of queue.Queue's interface that the pool uses.

    Invariant: while a greenlet waits, ``queue`` is empty; a put goes straight to the longest waiter
    of a line. So later callers, including the one that just returned it, queue behind the waiters.

    The first line is for everything except reads. A put serves it, unless it is empty, or
    READ_SHARE - 1 puts in a row have skipped waiting reads. So an operation waits for those before
    it and for a third as many reads, and the last of n reads for at most READ_SHARE * n puts. Only
    the wait is a switch point: a put chooses the line and takes out its first waiter in one step.

    Idle connections are used last in, first out, so no more are opened than the load needs.
    """

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.queue: list[Connection | None] = []
        self.acquired = 0
        self.timeouts = 0
        self.waits_ms: collections.deque[float] = collections.deque(maxlen=_WAITS_KEPT)
        self._first: collections.deque[AsyncResult] = collections.deque()
        self._reads: collections.deque[AsyncResult] = collections.deque()
        self._skipped_reads = 0  # puts in a row that went to the first line while reads waited
        self._peaks: collections.deque[tuple[int, int, int]] = collections.deque(maxlen=_PEAK_S)

    def get(self, timeout: float | None = None) -> Connection | None:
        """The next connection, or None as a place to open one; waits ``timeout`` seconds.

        Raises PoolTimeout when every connection stayed busy for the whole wait.
        """
        if self.queue:
            self.acquired += 1
            self.waits_ms.append(0.0)
            connection = self.queue.pop()
            self._note_peak(time.monotonic())
            return connection
        started = time.monotonic()
        turn: AsyncResult = AsyncResult()
        line = self._reads if _priority.is_read else self._first
        line.append(turn)
        self._note_peak(started)
        try:
            turn.wait(timeout=timeout)
        except BaseException:  # thrown in from outside: the greenlet is killed, or a gevent.Timeout
            # There is no switch point up to the raise. Either we got nothing and leave the line,
            # or we got a connection while the exception was on its way and pass it on.
            if turn.ready():
                self.put_nowait(turn.value)
            else:
                line.remove(turn)
            raise
        if not turn.ready():
            line.remove(turn)
            self.timeouts += 1
            raise PoolTimeout(
                f"All connections to the store ({self.maxsize}) stayed busy for {timeout:g} s. "
                "Try again in a moment.",
                retry_after=1,
            )
        self.acquired += 1
        self.waits_ms.append((time.monotonic() - started) * 1000)
        handed: Connection | None = turn.value
        return handed

    def put_nowait(self, connection: Connection | None) -> None:
        """Return a connection (or a place to open one); it goes to the longest waiter."""
        line = self._next_line()
        if line:
            line.popleft().set(connection)
        elif len(self.queue) >= self.maxsize:
            raise queue.Full
        else:
            self.queue.append(connection)

    def _next_line(self) -> collections.deque[AsyncResult]:
        if not self._reads:
            self._skipped_reads = 0
            return self._first
        if self._first and self._skipped_reads < READ_SHARE - 1:
            self._skipped_reads += 1
            return self._first
        self._skipped_reads = 0
        return self._reads

    @property
    def waiting(self) -> int:
        return len(self._first) + len(self._reads)

    def _note_peak(self, now: float) -> None:
        second, in_use, waiting = int(now), self.maxsize - len(self.queue), self.waiting
        if self._peaks and self._peaks[-1][0] == second:
            _, most_in_use, most_waiting = self._peaks.pop()
            in_use, waiting = max(in_use, most_in_use), max(waiting, most_waiting)
        self._peaks.append((second, in_use, waiting))

    def peak(self) -> dict[str, int]:
        """The most connections in use and the most waiters at once, in the last _PEAK_S seconds."""
        oldest = int(time.monotonic()) - _PEAK_S
        recent = [each for each in self._peaks if each[0] > oldest]
        return {
            "in_use": max((each[1] for each in recent), default=self.maxsize - len(self.queue)),
            "waiting": max((each[2] for each in recent), default=self.waiting),
        }

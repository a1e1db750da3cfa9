"""The queue for connections: first come, first served, and operations before reads.

redis-py hands a freed connection to whoever runs next, so one busy greenlet starves all waiters.
:class:`TurnQueue` hands it to the longest waiter. It has two lines, because a flood of reads would
otherwise keep each operation waiting behind all of them.
"""

from __future__ import annotations

import collections
import queue
import time

from gevent.event import AsyncResult
from gevent.local import local
from redis.connection import Connection

from occupancy.core.errors import PoolTimeout

_WAITS_KEPT = 1024  # the waits that the percentiles are taken over
READS_PART = 4  # one of so many connections that come back goes to the reads that wait, if any
_PEAK_S = 5  # who looks every two seconds sees the worst of what came in between


class _Priority(local):  # type: ignore[misc] # gevent has no types
    is_read = False


_priority = _Priority()  # of each greenlet


def set_priority(*, is_read: bool) -> None:
    """Set the line in which the present greenlet waits from now on: that of reads, or the first."""
    _priority.is_read = is_read


class FairQueue:
    """A queue with the part of queue.Queue's interface that the pool uses, fair to its waiters.

    Invariant: while anybody waits, ``queue`` is empty; a put goes straight to the longest
    waiter of a line. So whoever comes later, the greenlet that just gave the connection back
    included, stands behind those who wait.

    The first line is for operations and for all else that is no read. A put serves it, unless
    nobody waits there, or READS_PART - 1 puts in a row have passed waiting reads by. So an
    operation waits for those before it and for a third as many reads, and the last of n reads is
    served after READS_PART * n puts, however many operations come. Only the wait itself is a
    switch point: a put chooses the line and takes its first waiter out in one step.

    Idle connections are used last in, first out: few stay busy, and connections beyond those are
    never opened.
    """

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.queue: list[Connection | None] = []
        self.acquired = 0
        self.timeouts = 0
        self.waits_ms: collections.deque[float] = collections.deque(maxlen=_WAITS_KEPT)
        self._first: collections.deque[AsyncResult] = collections.deque()
        self._reads: collections.deque[AsyncResult] = collections.deque()
        self._passed_by = 0  # puts in a row that went to the first line while reads waited
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
            # No switch point up to the raise, so one of two cases stands: nobody has handed us
            # anything and we leave the line; or somebody has while the exception was already on
            # its way, and what we were handed goes to the next in line.
            if turn.ready():
                self.put_nowait(turn.value)
            else:
                line.remove(turn)
            raise
        if not turn.ready():
            line.remove(turn)
            self.timeouts += 1
            raise PoolTimeout(
                f"All {self.maxsize} connections to the store stayed busy for {timeout:g} s. "
                "Try again in a moment.",
                retry_after=1,
            )
        self.acquired += 1
        self.waits_ms.append((time.monotonic() - started) * 1000)
        handed: Connection | None = turn.value
        return handed

    def put_nowait(self, connection: Connection | None) -> None:
        """Give a connection (or a place to open one) back; it goes to the longest waiter."""
        line = self._next_line()
        if line:
            line.popleft().set(connection)
        elif len(self.queue) >= self.maxsize:
            raise queue.Full
        else:
            self.queue.append(connection)

    def _next_line(self) -> collections.deque[AsyncResult]:
        if not self._reads:
            self._passed_by = 0
            return self._first
        if self._first and self._passed_by < READS_PART - 1:
            self._passed_by += 1
            return self._first
        self._passed_by = 0
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
        """The most that were in use, and that waited, at once within the last seconds."""
        oldest = int(time.monotonic()) - _PEAK_S
        recent = [each for each in self._peaks if each[0] > oldest]
        return {
            "in_use": max((each[1] for each in recent), default=self.maxsize - len(self.queue)),
            "waiting": max((each[2] for each in recent), default=self.waiting),
        }

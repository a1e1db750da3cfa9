"""The pool: who waits for a connection gets it in turn, and no slot is ever lost.

redis-py's BlockingConnectionPool with three changes, each for a measured trap:

* **Turn.** redis-py hands a freed connection to whoever runs next, so one busy greenlet starves
  all waiters. :class:`TurnQueue` hands it to the greenlet that waits longest.
* **Operations first.** A flood of reads would keep each operation waiting behind all of them. So
  who reads says that it gives way, and stands in a line of its own, which gets what the other line
  does not want, and one connection of READS_PART in any case.
* **Whole.** A greenlet killed while it waits, while it connects or in the middle of a command
  must neither lose the slot nor give back a connection with a half-read reply.
* **Right server.** After a failover that closes nothing, a connection goes on to lead to the old
  primary, which answers READONLY for ever. One such answer gives up every connection that is as
  old as the one that got it.
"""

from __future__ import annotations

import collections
import contextlib
import math
import queue
import socket
import time
from collections.abc import Iterable
from typing import Any

import gevent.socket
import redis
from gevent.event import AsyncResult
from gevent.local import local
from redis.connection import BlockingConnectionPool, Connection

from .errors import PoolTimeout

_WAITS_KEPT = 1024  # the waits that the percentiles are taken over
READS_PART = 4  # of so many connections that are given back, waiting reads get one at least
_PEAK_S = 5  # who looks every two seconds sees the worst of what came in between


class _Manners(local):  # type: ignore[misc] # gevent has no types
    gives_way = False


_manners = _Manners()  # of each greenlet


def give_way(gives_way: bool) -> None:
    """Say whether what this greenlet does next is a read, which lets operations go first."""
    _manners.gives_way = gives_way


class TurnQueue:
    """A queue with the part of queue.Queue's interface that the pool uses, fair to its waiters.

    Invariant: while anybody waits, ``queue`` is empty; a put goes straight to the longest
    waiter of a line. So whoever comes later, the greenlet that just gave the connection back
    included, stands behind those who wait. There are two lines, operations (and all that does not
    give way) and reads. Each put goes to the first line, but to reads where nobody stands there, or
    where READS_PART - 1 in a row have passed them by: of the operations each waits for those before
    it and a third as many reads, and of n reads the last has its turn after READS_PART * n puts,
    however many operations come. Choosing the line and taking its first waiter out are one step
    without a switch point, as is all in here but the wait itself.

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
        self._passed_by = 0  # how often in a row reads were, while some waited
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
        line = self._reads if _manners.gives_way else self._first
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


class TurnPool(BlockingConnectionPool):
    """A BlockingConnectionPool that is fair, stays whole, and keeps count; see the module.

    It is made after the fork (the web server refuses --preload), so it does not ask at each command
    in which process it is, as redis-py's does.
    """

    pool: TurnQueue

    def __init__(self, *, size: int, wait_s: float, **connection_kwargs: Any) -> None:
        self._is_draining = False
        # Goes up whenever the address may lead to another server than before. Invariant: a
        # connection has the generation that stood *before* it began to connect, so one that is
        # opened while the generation goes up counts as old.
        self.generation = 0
        super().__init__(  # type: ignore[no-untyped-call] # redis-py has not typed it
            max_connections=size, timeout=wait_s, queue_class=TurnQueue, **connection_kwargs
        )
        # A keyword that the connection does not take would cost a slot at each attempt: find
        # out now. Nothing is connected by making one.
        self.connection_class(**self.connection_kwargs)

    def get_connection(self, command_name: str | None = None, *keys: Any, **options: Any) -> Any:
        """A connected connection without unread replies, in turn.

        Raises PoolTimeout, or redis's ConnectionError and TimeoutError if the server cannot be
        reached.
        """
        deadline = time.monotonic() + self.timeout
        connection: Any = self.pool.get(timeout=self.timeout)
        try:
            if connection is None:
                connection = self.make_connection()  # type: ignore[no-untyped-call] # as above
                connection.generation, connection.is_misled = self.generation, False
            connection.slot_deadline = deadline  # one wait for the turn and the slot together
            if connection.generation != self.generation:
                # Closed by ``renew``; or still open, because it was on its way to us when that ran.
                self._begin_anew(connection)
            connection.connect()
            if connection.generation != self.generation or _is_stale(connection):
                # Once: while every command is refused, the generation goes up all the time.
                self._begin_anew(connection)
                connection.connect()
        except BaseException:
            # Also for a kill in the middle of the handshake: redis-py would give back a
            # connection that looks connected but has not been authenticated yet.
            if connection is not None:
                self._begin_anew(connection)
            self.pool.put_nowait(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Give a connection back, closed if its server is wrong; the longest waiter gets it."""
        if connection.is_misled and connection.generation == self.generation:
            self.renew()
        if (
            self._is_draining
            or connection.generation != self.generation
            or connection.should_reconnect()
        ):
            connection.disconnect()
        self.pool.put_nowait(connection)

    def renew(self) -> None:
        """Use no connection again that is open now: the address may lead to another server.

        The idle ones are closed here, those in use when they come back, those on their way to a
        waiter when it gets them. Nothing here switches, and no place changes hands.
        """
        self.generation += 1
        for connection in self.pool.queue:
            if connection is not None:
                connection.disconnect()

    def hang_up(self) -> None:
        """Renew, and end the reads of the connections in use: each raises ConnectionError.

        For connections that read for ever. One that is just being opened has no socket yet that
        could be shut down; its generation tells ``get_connection`` to open it once more.
        """
        self.renew()
        for connection in self._connections:
            if connection._sock is not None:
                with contextlib.suppress(OSError):  # the server has hung up before
                    connection._sock.shutdown(socket.SHUT_RDWR)

    def _begin_anew(self, connection: Any) -> None:
        connection.disconnect()
        connection.generation, connection.is_misled = self.generation, False

    def drain(self) -> None:
        """From now on keep no idle connection open: the next generation of workers needs them."""
        self._is_draining = True
        for connection in self.pool.queue:
            if connection is not None:
                connection.disconnect()

    def stats(self) -> dict[str, Any]:
        """The pool's figures; waits in milliseconds, over the last 1,024 acquisitions."""
        free = self.pool.queue
        return {
            "max": self.max_connections,
            "in_use": self.max_connections - len(free),
            "idle": sum(1 for each in free if each is not None and each.is_connected),
            "waiting": self.pool.waiting,
            "peak": self.pool.peak(),
            "acquired": self.pool.acquired,
            "timeouts": self.pool.timeouts,
            "wait_ms": percentiles(self.pool.waits_ms),
        }


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """What half of the values, 99 of 100 and all of them keep to; 0 where there is none."""
    ordered = sorted(values)
    return {
        name: _percentile(ordered, share)
        for name, share in (("p50", 0.50), ("p99", 0.99), ("max", 1.0))
    }


def _is_stale(connection: Any) -> bool:
    """Whether the server has closed the connection, or left an unread reply on it.

    A peek: redis-py's ``can_read`` polls, which under gevent is a turn of the event loop. It is
    asked where there is no plain socket of gevent's to peek at: TLS, the command line, a fake.
    """
    if type(connection._sock) is not gevent.socket.socket:
        try:
            return bool(connection.can_read())
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            return True
    try:
        connection._sock._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:  # nothing came: what the parser holds came before
        return bool(connection._parser._reader.has_data())
    except OSError:
        pass
    return True  # a byte, or the end


def _percentile(ordered: list[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)

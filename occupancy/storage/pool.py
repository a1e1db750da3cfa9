"""The pool: who waits for a connection gets it in turn, and no slot is ever lost.

redis-py's BlockingConnectionPool with three changes, each for a measured trap:

* **Turn.** The longest waiter gets a freed connection, operations before reads (turn_queue.py).
* **Whole.** A greenlet killed while it waits, while it connects or in the middle of a command
  must neither lose the slot nor give back a connection with a half-read reply.
* **Right server.** After a failover that closes nothing, connections still lead to the old
  primary, which answers READONLY for ever. One such answer retires every connection that is as old
  as the one that got it.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Iterable
from typing import Any

import gevent.socket
import redis
from redis.connection import BlockingConnectionPool

from occupancy.storage.fair_queue import FairQueue


class FairPool(BlockingConnectionPool):
    """A BlockingConnectionPool that is fair, stays whole, and keeps count; see the module.

    It is made after the fork (the web server refuses --preload), so it does not ask at each command
    in which process it is, as redis-py's does.
    """

    pool: FairQueue

    def __init__(self, *, size: int, wait_s: float, **connection_kwargs: Any) -> None:
        self._is_draining = False
        # Goes up whenever the address may lead to another server than before. Invariant: a
        # connection has the generation that stood *before* it began to connect, so one that is
        # opened while the generation goes up counts as old.
        self.generation = 0
        super().__init__(  # type: ignore[no-untyped-call] # redis-py has not typed it
            max_connections=size, timeout=wait_s, queue_class=FairQueue, **connection_kwargs
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
        """Retire every connection that is open now: the address may lead to another server.

        Closes the idle ones here, those in use when they come back, and those on their way to a
        waiter when it gets them. No switch point, and no place changes hands.
        """
        self.generation += 1
        for connection in self.pool.queue:
            if connection is not None:
                connection.disconnect()

    def hang_up(self) -> None:
        """Renew, and end the reads of the connections in use: each raises ConnectionError.

        For connections that read for ever. One that is being opened has no socket yet to shut
        down; ``get_connection`` sees by its generation to open it once more.
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

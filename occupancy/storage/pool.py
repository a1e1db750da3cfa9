"""The connection pool: callers wait in turn, and no slot is ever lost.

redis-py's BlockingConnectionPool with three changes, each for a measured defect:

* **Fair.** The longest waiter gets a freed connection, operations before reads (fair_queue.py).
* **Complete.** A greenlet killed while it waits, connects or runs a command neither loses the slot
  nor returns a connection with a half-read reply.
* **Right server.** After a failover that closes nothing, the old primary answers READONLY for ever.
  One such reply retires every connection of the same age or older.
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
    """A BlockingConnectionPool that is fair and complete, and keeps statistics; see the module.

    Made after the fork (the web server refuses --preload), it never checks the process id.
    """

    pool: FairQueue

    def __init__(self, *, size: int, wait_s: float, **connection_kwargs: Any) -> None:
        self._is_draining = False
        # Incremented whenever the address may lead to another server. Invariant: a connection has
        # the generation from *before* it began to connect, so a connection that is being opened
        # during an increment counts as old.
        self.generation = 0
        self._followed_generation = 0
        self.incarnation = 0  # the server's failover epoch, as far as the topology knows
        super().__init__(  # type: ignore[no-untyped-call] # untyped in redis-py
            max_connections=size, timeout=wait_s, queue_class=FairQueue, **connection_kwargs
        )
        # An unknown keyword would cost a slot at each attempt, so it fails here instead. Making a
        # connection object opens nothing.
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
                connection.generation, connection.has_wrong_server = self.generation, False
                connection.incarnation = 0  # the server's failover epoch, where it has one
            connection.slot_deadline = deadline  # one wait for the turn and the slot together
            if connection.generation != self.generation:
                # Closed by ``renew``, or still open because it was on its way to us when that ran.
                self._reset(connection)
            try:
                connection.connect()
            except (redis.ConnectionError, redis.TimeoutError):
                if connection.generation == self.generation:
                    raise
                # It was being opened while the generation changed; nothing was sent on it.
            if connection.generation != self.generation or _is_stale(connection):
                # Once: while every command is refused, the generation changes all the time.
                self._reset(connection)
                connection.connect()
        except BaseException:
            # Also for a kill during the handshake: redis-py would return a connection that looks
            # connected but is not authenticated.
            if connection is not None:
                self._reset(connection)
            self.pool.put_nowait(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Return a connection to the longest waiter; closes it if it leads to the wrong server."""
        if connection.has_wrong_server and connection.generation == self.generation:
            self.renew()
        if (
            self._is_draining
            or connection.generation != self.generation
            or connection.should_reconnect()
        ):
            connection.disconnect()
        self.pool.put_nowait(connection)

    def renew(self) -> None:
        """Retire every open connection: the address may lead to another server.

        Idle connections are closed here, those in use when they are returned, and those on their
        way to a waiter when it gets them. No switch point, and no place changes hands.
        """
        self.generation += 1
        for connection in self.pool.queue:
            if connection is not None:
                connection.disconnect()

    def hang_up(self) -> None:
        """Renew, and end the reads of the connections in use: each raises ConnectionError.

        For connections that read for ever, and for a server whose answers are worth nothing now.
        A connection that is being opened has no socket to shut down yet; ``get_connection`` opens
        it again because of its generation.
        """
        self.renew()
        for connection in self._connections:
            if connection._sock is not None:
                connection.is_hung_up = True  # a reply that has arrived could be read still
                with contextlib.suppress(OSError):  # the server has closed it already
                    connection._sock.shutdown(socket.SHUT_RDWR)

    def follow(self, ops_pool: FairPool) -> None:
        """Hang up if ``ops_pool`` has moved to another server since the last call.

        To be called after a successful write: operations, and so a new connection, lead to the
        primary then. The old server may be a replica that gets no publications. A canary that
        arrives by the new connection hides no gap: the log is read after a reconnect.
        """
        if self._followed_generation != ops_pool.generation:
            self.hang_up()
            # After hang_up, which raises the generation too if one pool serves both.
            self._followed_generation = ops_pool.generation

    def _reset(self, connection: Any) -> None:
        connection.disconnect()
        connection.generation, connection.has_wrong_server = self.generation, False

    def drain(self) -> None:
        """Keep no idle connection open from now on: the next processes need the slots."""
        self._is_draining = True
        for connection in self.pool.queue:
            if connection is not None:
                connection.disconnect()

    def stats(self) -> dict[str, Any]:
        """The pool's statistics; waits in milliseconds, over the last 1,024 acquisitions."""
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
    """The median, the 99th percentile and the maximum; 0 without values."""
    ordered = sorted(values) or [0.0]
    return {
        name: round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)
        for name, share in (("p50", 0.50), ("p99", 0.99), ("max", 1.0))
    }


def _is_stale(connection: Any) -> bool:
    """Whether the server has closed the connection, or left an unread reply on it.

    It peeks, because redis-py's ``can_read`` polls, which under gevent is a turn of the event loop.
    ``can_read`` remains for sockets that are not gevent's own: TLS, the command line, a fake.
    """
    if type(connection._sock) is not gevent.socket.socket:
        try:
            return bool(connection.can_read())
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            return True
    try:
        connection._sock._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:  # nothing has arrived; the parser may hold earlier bytes
        return bool(connection._parser._reader.has_data())
    except OSError:
        pass
    return True  # a byte, or the end of the stream


def read_first(connection: Any) -> None:
    """Read this connection first when data has arrived on several at once.

    So an event reaches a few streams before the answer to its operation is sent. The answer would
    wake its client, and the client's next request would be served before the streams.
    """
    reading = getattr(connection._sock, "_read_event", None)
    if reading is not None:  # a socket of gevent's
        reading.priority = gevent.get_hub().loop.MAXPRI

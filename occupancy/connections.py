"""The two connection pools: operations wait in turn, streams share one connection per process.

Both pools are redis-py's BlockingConnectionPool with three changes, each for a measured trap:

* **Turn.** redis-py hands a freed connection to whoever runs next, so one busy greenlet starves
  all waiters. :class:`TurnQueue` hands it to the greenlet that waits longest.
* **Whole.** A greenlet killed while it waits, while it connects or in the middle of a command
  must neither lose the slot nor give back a connection with a half-read reply.
* **Bounded.** Every open connection holds a slot of the deployment's budget (budget.py).

There are no retries: a command whose answer was lost may have run, and EVAL must not run twice.
"""

from __future__ import annotations

import collections
import contextlib
import math
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import redis
from gevent.event import AsyncResult
from redis.backoff import NoBackoff
from redis.connection import (
    BlockingConnectionPool,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.retry import Retry

from .budget import Slots
from .errors import OccupancyError, PoolTimeout, SettingError, StoreUnavailable
from .settings import Settings

_WAITS_KEPT = 1024  # the waits that the percentiles are taken over
_SLOT_POLL_S = 0.02  # slots are short only for moments of an unusual overlap: polling will do


class TurnQueue:
    """A queue with the part of queue.Queue's interface that the pool uses, fair to its waiters.

    Invariant: while anybody waits, ``queue`` is empty; a put goes straight to the longest
    waiter. So whoever comes later, the greenlet that just gave the connection back included,
    stands behind those who wait. Idle connections are used last in, first out: few stay busy,
    and connections beyond those are never opened.
    """

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.queue: list[Connection | None] = []
        self.acquired = 0
        self.timeouts = 0
        self.waits_ms: collections.deque[float] = collections.deque(maxlen=_WAITS_KEPT)
        self._waiters: collections.deque[AsyncResult] = collections.deque()

    def get(self, block: bool = True, timeout: float | None = None) -> Connection | None:
        """The next connection, or None as a place to open one; waits ``timeout`` seconds.

        Raises PoolTimeout when every connection stayed busy for the whole wait.
        """
        if self.queue:
            self.acquired += 1
            self.waits_ms.append(0.0)
            return self.queue.pop()
        started = time.monotonic()
        turn: AsyncResult = AsyncResult()
        self._waiters.append(turn)
        try:
            turn.wait(timeout=timeout)
        except BaseException:  # thrown in from outside: the greenlet is killed, or a gevent.Timeout
            # No switch point up to the raise, so one of two cases stands: nobody has handed us
            # anything and we leave the line; or somebody has while the exception was already on
            # its way, and what we were handed goes to the next in line.
            if turn.ready():
                self.put_nowait(turn.value)
            else:
                self._waiters.remove(turn)
            raise
        if not turn.ready():
            self._waiters.remove(turn)
            self.timeouts += 1
            raise PoolTimeout(
                f"All {self.maxsize} connections to the store stayed busy for {timeout:g} s. "
                "Try again in a moment.",
                retry_after=1,
            )
        self.acquired += 1
        self.waits_ms.append((time.monotonic() - started) * 1000)
        connection: Connection | None = turn.value
        return connection

    def put_nowait(self, connection: Connection | None) -> None:
        """Give a connection (or a place to open one) back; it goes to the longest waiter."""
        if self._waiters:
            self._waiters.popleft().set(connection)
        elif len(self.queue) >= self.maxsize:
            raise queue.Full
        else:
            self.queue.append(connection)

    @property
    def waiting(self) -> int:
        return len(self._waiters)


class TurnPool(BlockingConnectionPool):
    """A BlockingConnectionPool that is fair, stays whole, and keeps count; see the module."""

    pool: TurnQueue

    def __init__(self, *, size: int, wait_s: float, **connection_kwargs: Any) -> None:
        self._is_draining = False
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
        self._checkpid()
        deadline = time.monotonic() + self.timeout
        connection: Any = self.pool.get(timeout=self.timeout)
        try:
            if connection is None:
                connection = self.make_connection()  # type: ignore[no-untyped-call] # as above
            connection.slot_deadline = deadline  # one wait for the turn and the slot together
            connection.connect()
            if _is_stale(connection):
                connection.disconnect()
                connection.connect()
        except BaseException:
            # Also for a kill in the middle of the handshake: redis-py would give back a
            # connection that looks connected but has not been authenticated yet.
            if connection is not None:
                connection.disconnect()
            self.pool.put_nowait(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        """Give a connection back; the longest waiter gets it."""
        self._checkpid()
        if not self.owns_connection(connection):  # it was made before a fork
            return
        if self._is_draining or connection.should_reconnect():
            connection.disconnect()
        self.pool.put_nowait(connection)

    def drain(self) -> None:
        """From now on keep no idle connection open: the next generation of workers needs them."""
        self._is_draining = True
        for connection in self.pool.queue:
            if connection is not None:
                connection.disconnect()

    def stats(self) -> dict[str, Any]:
        """The pool's figures; waits in milliseconds, over the last 1,024 acquisitions."""
        waits = sorted(self.pool.waits_ms)
        free = self.pool.queue
        return {
            "max": self.max_connections,
            "in_use": self.max_connections - len(free),
            "idle": sum(1 for each in free if each is not None and each.is_connected),
            "waiting": self.pool.waiting,
            "acquired": self.pool.acquired,
            "timeouts": self.pool.timeouts,
            "wait_ms": {
                "p50": _percentile(waits, 0.50),
                "p99": _percentile(waits, 0.99),
                "max": _percentile(waits, 1.0),
            },
        }


def _is_stale(connection: Any) -> bool:
    """Whether the server has closed the connection, or left an unread reply on it."""
    try:
        return bool(connection.can_read())
    except (redis.ConnectionError, redis.TimeoutError, OSError):
        return True


def _percentile(ordered: list[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)


class _Slotted:
    """Mixin for redis-py's connections: holds a slot of the budget while the socket is open."""

    slot_deadline = 0.0  # monotonic; until when connecting may wait for a slot

    def __init__(self, *, slots: Slots, **kwargs: Any) -> None:
        self._slots = slots
        self._slot: int | None = None
        super().__init__(**kwargs)

    def _connect(self) -> Any:
        while (slot := self._slots.take()) is None:
            if time.monotonic() > self.slot_deadline:
                raise PoolTimeout(
                    f"All {len(self._slots)} connections that OCCUPANCY_REDIS_BUDGET allows here "
                    "stayed open for the whole wait. Try again in a moment.",
                    retry_after=1,
                )
            gevent.sleep(_SLOT_POLL_S)
        self._slot = slot
        try:
            return super()._connect()  # type: ignore[misc] # the mixin's other half has it
        except BaseException:
            self._give_back_slot()
            raise

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().disconnect(*args, **kwargs)  # type: ignore[misc] # as above
        finally:
            self._give_back_slot()

    def _give_back_slot(self) -> None:
        # Also called by redis-py's __del__ on an object whose __init__ has failed.
        slot, self._slot = getattr(self, "_slot", None), None
        if slot is not None:
            self._slots.give_back(slot)


class SlottedConnection(_Slotted, Connection):
    pass


class SlottedSSLConnection(_Slotted, SSLConnection):
    pass


class SlottedUnixConnection(_Slotted, UnixDomainSocketConnection):
    pass


_SLOTTED = {
    Connection: SlottedConnection,
    SSLConnection: SlottedSSLConnection,
    UnixDomainSocketConnection: SlottedUnixConnection,
}


def make_pool(
    settings: Settings, slots: Slots, *, name: str, size: int, silence_s: float | None = None
) -> TurnPool:
    """A pool of ``size`` connections that the server lists as ``occupancy-<name>``.

    ``silence_s`` is how long a read may wait, for connections that read for long; by default
    OCCUPANCY_REDIS_TIMEOUT_S.
    """
    try:
        options = dict(parse_url(settings.server_url))
    except ValueError as error:  # names the option, not its value
        raise SettingError(f"REDIS_URL is not allowed: {error}") from error
    kind = options.pop("connection_class", Connection)
    try:
        return TurnPool(
            size=size,
            wait_s=settings.pool_wait_s,
            connection_class=_SLOTTED[kind],
            slots=slots,
            client_name=f"occupancy-{name}",
            protocol=2,  # RESP3 brings maintenance notifications, which skip the unread-reply check
            driver_info=None,  # saves two round trips at each connect
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=settings.redis_timeout_s,
            socket_timeout=silence_s or settings.redis_timeout_s,
            **options,
        )
    except TypeError as error:
        raise SettingError(f"REDIS_URL has an option that is not known: {error}.") from error


# What a server answers that is there but cannot serve: classes where redis-py has one (it takes
# the code off their text), and the codes of those that it has none for.
_TEMPORARY = (
    redis.ConnectionError,  # AuthenticationError and BusyLoadingError are kinds of it
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
    redis.exceptions.TryAgainError,
)
_TEMPORARY_CODES = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "BUSY", "NOAUTH")


@contextlib.contextmanager
def unavailable_as_error() -> Iterator[None]:
    """Raises StoreUnavailable for every way in which Redis cannot serve right now.

    Other errors of redis-py are mistakes of ours and pass through.
    """
    try:
        yield
    except redis.TimeoutError as error:
        raise StoreUnavailable(
            "The store did not answer in time. Try again in a moment.",
            retry_after=2,
        ) from error
    except _TEMPORARY as error:
        raise _unavailable() from error
    except redis.ResponseError as error:
        if str(error).startswith(_TEMPORARY_CODES):
            raise _unavailable() from error
        raise


def _unavailable() -> OccupancyError:
    return StoreUnavailable(
        "The store cannot take this right now; nothing is lost. Try again in a moment.",
        retry_after=2,
    )


class OpsClient(redis.Redis):
    """redis-py's client with the errors of occupancy."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with unavailable_as_error():
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # as above

    def ask(self, fill: Callable[[Any], object], *, transaction: bool = False) -> list[Any]:
        """Send the commands that ``fill`` puts into a pipeline in one round trip.

        Returns their replies; raises the first error among them.
        """
        with unavailable_as_error(), self.pipeline(transaction=transaction) as pipeline:
            fill(pipeline)
            # raise_on_error would put the command, with what a caller sent, before the code.
            replies: list[Any] = pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, redis.RedisError):
                    raise reply
            return replies

"""The connections to the server: two separate pools inside one budget, and the client.

Operations wait in turn for a connection of the *ops* pool; all streams of a process share the one
connection of the *pubsub* pool (pool.py). Every open connection holds a slot of the budget
(budget.py) and names its pool to the server.

Nothing is retried: a command whose reply was lost may have run, and EVAL must not run twice.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

import gevent
import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry

from occupancy.core.errors import PoolTimeout, SettingError
from occupancy.core.settings import Settings
from occupancy.storage.budget import Slots
from occupancy.storage.pool import FairPool
from occupancy.storage.server_errors import is_withheld, is_wrong_server, unavailable_as_error

Fill = Callable[[Any], object]  # puts commands into a pipeline

_SLOT_POLL_S = 0.02  # slots run short only for moments of an unusual overlap, so polling is enough


class _Slotted:
    """Mixin for redis-py's connections: holds a slot of the budget while the socket is open.

    It also records a reply that comes from the wrong server (pool.py).
    """

    slot_deadline = 0.0  # monotonic; connecting waits for a slot until then
    has_wrong_server = False

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
            return super()._connect()  # type: ignore[misc] # defined by the class it is mixed into
        except BaseException as error:
            _close_half_open(error)
            self._give_back_slot()
            raise

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc] # as above
        except redis.RedisError as error:
            self.has_wrong_server = self.has_wrong_server or is_wrong_server(error)
            raise

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().disconnect(*args, **kwargs)  # type: ignore[misc] # as above
        finally:
            self._give_back_slot()

    def _give_back_slot(self) -> None:
        # redis-py's __del__ also calls this on an object whose __init__ failed.
        slot, self._slot = getattr(self, "_slot", None), None
        if slot is not None:
            self._slots.give_back(slot)


def _close_half_open(error: BaseException) -> None:
    """Close the socket that a killed greenlet was connecting.

    redis-py closes it only after an OSError. Left open, the server would still count the
    connection after its slot is free. Only the frame that made the socket refers to it.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        half_open = frame.f_locals.get("sock")
        if half_open is not None:
            half_open.close()


_SLOTTED = {
    kind: type(f"Slotted{kind.__name__}", (_Slotted, kind), {})
    for kind in (Connection, SSLConnection, UnixDomainSocketConnection)
}


def _options_of(settings: Settings) -> dict[str, Any]:
    try:
        return dict(parse_url(settings.server_url))
    except ValueError as error:  # names the option, not its value
        raise SettingError(f"REDIS_URL is not allowed: {error}") from error


def database_of(settings: Settings) -> int:
    """The number of the database that every connection selects. Raises SettingError."""
    return _options_of(settings).get("db") or 0


def make_pool(
    settings: Settings, slots: Slots, *, name: str, size: int, silence_s: float | None = None
) -> FairPool:
    """A pool of ``size`` connections that the server lists as ``occupancy-<name>``.

    ``silence_s`` bounds the wait of a read, for connections that subscribe; by default it is
    OCCUPANCY_REDIS_TIMEOUT_S. Raises SettingError for a URL that redis-py does not accept.
    """
    options = _options_of(settings)
    kind = options.pop("connection_class", Connection)
    try:
        return FairPool(
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
        raise SettingError(f"REDIS_URL has an unknown option: {error}.") from error


class OpsClient(redis.Redis):
    """redis-py's client with occupancy's errors, and without redis-py's work around a command.

    Its retries (none here), telemetry and bookkeeping cost as much as the command itself.
    """

    on_refused_publications: Callable[[int], None] = staticmethod(lambda count: None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        pool = self.connection_pool
        with unavailable_as_error():
            connection = pool.get_connection()
            try:
                # Both close the connection on any exception, GreenletExit included.
                connection.send_command(*args)
                return self.parse_response(connection, args[0], **options)  # type: ignore[no-untyped-call] # untyped in redis-py
            finally:
                pool.release(connection)

    def run_pipeline(self, fill: Fill, *, transaction: bool = False) -> list[Any]:
        """The replies to ``fill``'s commands, in one round trip. Raises the first error in them."""
        with unavailable_as_error():
            return _checked(self._replies(fill, transaction=transaction))

    def read_atomically(self, fill: Fill) -> list[Any]:
        """Like ``run_pipeline``, for reads of one state: nothing changes between them.

        A full server refuses everything in a transaction, reads included. The reads are then sent
        without a transaction: while the server is full, no operation takes effect either. If
        memory becomes free just then, an operation may fall between two reads. So ``fill`` reads
        a board's position first: the events after that position include the operation.
        """
        with unavailable_as_error():
            try:
                return _checked(self._replies(fill, transaction=True))
            except redis.exceptions.OutOfMemoryError:
                return _checked(self._replies(fill, transaction=False))

    def run_optional(self, fill: Fill) -> list[Any]:
        """Like ``run_pipeline``, with None in place of each reply that the server withholds.

        Managed servers withhold INFO, CONFIG and CLIENT LIST, by ACL or by disabling them.
        """
        with unavailable_as_error():
            replies = self._replies(fill, transaction=False)
            return _checked([None if is_withheld(reply) else reply for reply in replies])

    def _replies(self, fill: Fill, *, transaction: bool) -> list[Any]:
        with self.pipeline(transaction=transaction) as pipeline:
            fill(pipeline)
            # raise_on_error would put the command, with the caller's data, before the error code.
            replies: list[Any] = pipeline.execute(raise_on_error=False)
            return replies


def _checked(replies: list[Any]) -> list[Any]:
    """``replies``; raises the first error among them."""
    for reply in replies:
        if isinstance(reply, redis.RedisError):
            raise reply
    return replies

"""The connections: two distinct pools inside one budget, and a client with our errors.

Operations wait in turn for a connection of the *ops* pool; all streams of a process share the one
of the *pubsub* pool (pools.py). Every open connection holds a slot of the deployment's budget
(budget.py) and tells the server its pool's name.

There are no retries: a command whose answer was lost may have run, and EVAL must not run twice.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any

import gevent
import redis
from redis.backoff import NoBackoff
from redis.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.retry import Retry

from occupancy.core.errors import PoolTimeout, SettingError
from occupancy.core.settings import Settings
from occupancy.storage.budget import Slots
from occupancy.storage.pool import FairPool
from occupancy.storage.server_errors import is_withheld, tells_of_wrong_server, unavailable_as_error

_SLOT_POLL_S = 0.02  # slots are short only for moments of an unusual overlap: polling will do


class _Slotted:
    """Mixin for redis-py's connections: holds a slot of the budget while the socket is open.

    Notes when an answer says that it leads to the wrong server (pools.py).
    """

    slot_deadline = 0.0  # monotonic; until when connecting may wait for a slot
    is_misled = False

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
        except BaseException as error:
            _close_half_open(error)
            self._give_back_slot()
            raise

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc] # as above
        except redis.RedisError as error:
            self.is_misled = self.is_misled or tells_of_wrong_server(error)
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


def _close_half_open(error: BaseException) -> None:
    """Close the socket that a killed greenlet was connecting.

    redis-py does so after an OSError only; else the server would go on counting the connection
    when its slot is given back already. Nothing but the frame that made it knows it.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        half_open = frame.f_locals.get("sock")
        if half_open is not None:
            half_open.close()


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


def database_of(settings: Settings) -> int:
    """The number of the database that every connection of a pool selects."""
    try:
        return parse_url(settings.server_url).get("db") or 0
    except ValueError as error:  # names the option, not its value
        raise SettingError(f"REDIS_URL is not allowed: {error}") from error


def make_pool(
    settings: Settings, slots: Slots, *, name: str, size: int, silence_s: float | None = None
) -> FairPool:
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
        raise SettingError(f"REDIS_URL has an option that is not known: {error}.") from error


class OpsClient(redis.Redis):
    """redis-py's client with the errors of occupancy, and without what it does around a command.

    Retries, which there are none of here, telemetry and bookkeeping cost as much as sending the
    command and reading its reply.
    """

    on_refused_publications: Callable[[int], None] = staticmethod(lambda count: None)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        pool = self.connection_pool
        with unavailable_as_error():
            connection = pool.get_connection()
            try:
                # Whatever is thrown in the midst of either, they close the connection.
                connection.send_command(*args)
                return self.parse_response(connection, args[0], **options)  # type: ignore[no-untyped-call] # redis-py has not typed it
            finally:
                pool.release(connection)

    def ask(self, fill: Callable[[Any], object], *, transaction: bool = False) -> list[Any]:
        """Send the commands that ``fill`` puts into a pipeline in one round trip.

        Returns their replies; raises the first error among them.
        """
        with unavailable_as_error():
            return self._ask(fill, transaction=transaction)

    def read_at_once(self, fill: Callable[[Any], object]) -> list[Any]:
        """Like ``ask``, for reads that belong together: nothing is changed between them.

        A full server refuses whatever stands in a transaction, reads too. Then they are sent
        without one, because reading goes on: as long as it is full no operation takes effect
        either. Should it get room just then, an operation may fall between two of the reads; so
        ``fill`` reads a board's position first, and what follows is told by the events after it.
        """
        with unavailable_as_error():
            try:
                return self._ask(fill, transaction=True)
            except redis.exceptions.OutOfMemoryError:
                return self._ask(fill, transaction=False)

    def _ask(self, fill: Callable[[Any], object], *, transaction: bool) -> list[Any]:
        with self.pipeline(transaction=transaction) as pipeline:
            fill(pipeline)
            # raise_on_error would put the command, with what a caller sent, before the code.
            replies: list[Any] = pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, redis.RedisError):
                    raise reply
            return replies

    def ask_what_it_tells(self, fill: Callable[[Any], object]) -> list[Any]:
        """Like ``ask``, with None in place of each reply that the server withholds.

        It does so where the user lacks the right (ACL) or the command is not there: managed servers
        withhold INFO, CONFIG and CLIENT LIST.
        """
        with unavailable_as_error(), self.pipeline(transaction=False) as pipeline:
            fill(pipeline)
            replies: list[Any] = pipeline.execute(raise_on_error=False)
            told = [None if is_withheld(reply) else reply for reply in replies]
            for reply in told:
                if isinstance(reply, redis.RedisError):
                    raise reply
            return told

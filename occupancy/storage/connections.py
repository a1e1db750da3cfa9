"""The connections to a server: two separate pools inside one budget.

Operations wait in turn for a connection of the *ops* pool; all streams of a process share the one
connection of the *pubsub* pool (pool.py). Every open connection holds a slot of the budget
(budget.py) and names its pool to the server.
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

from occupancy.core import server_url
from occupancy.core.errors import PoolTimeout, SettingError
from occupancy.core.server_url import Address
from occupancy.core.settings import Settings
from occupancy.storage.budget import Slots
from occupancy.storage.pool import FairPool
from occupancy.storage.server_errors import is_wrong_server

_SLOT_POLL_S = 0.02  # slots run short only for moments of an unusual overlap, so polling is enough


Locate = Callable[[Any], None]
"""Sets the address of a connection that is about to be opened; may wait, and raises our errors."""
Greet = Callable[[Any], int]
"""Asks a server that has just been connected to whether it is the right one.

Takes the connection, returns the server's failover epoch, and raises redis's errors.
"""


class _Slotted:
    """Mixin for redis-py's connections: holds a slot of the budget while the socket is open.

    It also records a reply that comes from the wrong server (pool.py), and the server's failover
    epoch when the connection was made: a *promotion* of another server always makes a new one.
    """

    slot_deadline = 0.0  # monotonic; connecting waits for a slot until then
    has_wrong_server = False
    is_hung_up = False  # by ``FairPool.hang_up``: a reply that has arrived already counts as lost

    def __init__(self, *, slots: Slots, locate: Locate | None = None, **kwargs: Any) -> None:
        self._slots = slots
        self._locate = locate
        self._slot: int | None = None
        super().__init__(**kwargs)

    def _connect(self) -> Any:
        if self._locate is not None:
            self._locate(self)
        while (slot := self._slots.take()) is None:
            if time.monotonic() > self.slot_deadline:
                raise PoolTimeout(
                    f"All connections ({len(self._slots)}) that OCCUPANCY_REDIS_BUDGET allows here "
                    "stayed open for the whole wait. Try again in a moment.",
                    retry_after=1,
                )
            gevent.sleep(_SLOT_POLL_S)
        self._slot = slot
        self.is_hung_up = False
        try:
            return super()._connect()  # type: ignore[misc] # defined by the class it is mixed into
        except BaseException as error:
            close_half_open(error)
            self._give_back_slot()
            raise

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            reply = super().read_response(*args, **kwargs)  # type: ignore[misc] # as above
        except redis.RedisError as error:
            self.has_wrong_server = self.has_wrong_server or is_wrong_server(error)
            raise
        if self.is_hung_up:
            raise redis.ConnectionError("the server is not used any more")
        return reply

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


def close_half_open(error: BaseException) -> None:
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
    url = settings.server_url
    if settings.engine != "single":
        url = server_url.parse(url).base_url
    try:
        return dict(parse_url(url))
    except ValueError as error:  # names the option, not its value
        raise SettingError(f"REDIS_URL is not allowed: {error}") from error


def sentinel_connection_of(settings: Settings) -> tuple[type[Connection], dict[str, Any]]:
    """redis-py's class and options for a connection to a Sentinel: TLS as to the servers.

    Raises SettingError.
    """
    options = _options_of(settings)
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    return options.get("connection_class", Connection), tls


def database_of(settings: Settings) -> int:
    """The number of the database that every connection selects. Raises SettingError."""
    return _options_of(settings).get("db") or 0


def make_pool(
    settings: Settings, slots: Slots, *, name: str, size: int, silence_s: float | None = None,
    timeout_s: float | None = None, address: Address | None = None,
    locate: Locate | None = None, greet: Greet | None = None,
) -> FairPool:  # fmt: skip
    """A pool of ``size`` connections that the server lists as ``occupancy-<name>``.

    ``silence_s`` bounds the wait of a read, for connections that subscribe; by default it is
    OCCUPANCY_REDIS_TIMEOUT_S. ``timeout_s``, where given, bounds each wait. ``address`` is the
    server's where REDIS_URL names several, or ``locate`` finds it at each connect; ``greet`` makes
    sure of the server. Raises SettingError for a URL that redis-py does not accept.
    """
    options = _options_of(settings)
    if address is not None:
        options.update(host=address.host, port=address.port)
    kind = options.pop("connection_class", Connection)

    def on_connect(connection: Any) -> None:
        connection.on_connect_check_health()
        if greet is not None:
            connection.incarnation = greet(connection)

    try:
        return FairPool(
            size=size,
            wait_s=timeout_s or settings.pool_wait_s,
            connection_class=_SLOTTED[kind],
            slots=slots,
            locate=locate,
            client_name=f"occupancy-{name}",
            protocol=2,  # RESP3 brings maintenance notifications, which skip the unread-reply check
            driver_info=None,  # saves two round trips at each connect
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=timeout_s or settings.redis_timeout_s,
            socket_timeout=timeout_s or silence_s or settings.redis_timeout_s,
            redis_connect_func=on_connect,
            **options,
        )
    except TypeError as error:
        raise SettingError(f"REDIS_URL has an unknown option: {error}.") from error

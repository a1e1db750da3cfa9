"""The live reader: reads what the server publishes, and waits for nothing but its socket.

One greenlet, on the one connection of the *pubsub* pool. It hands what it hears to functions that
do not wait either: else one board's trouble would hold up every other board and the announcements
of changed access. A connection that is silent for longer than the canaries allow (prober.py) is
dead: a half-open TCP connection reports no error by itself. Its read times out (services.py), and
it is replaced.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any, Protocol

import gevent
import redis

from occupancy.core.errors import OccupancyError
from occupancy.core.keys import Keys
from occupancy.live.broadcaster import A_MOMENT_S
from occupancy.observability.metrics import LiveMetrics
from occupancy.storage.pool import FairPool

log = logging.getLogger(__name__)

PROBE_S = 2.0
SILENCE_S = 3 * PROBE_S  # without a canary or anything else: the live connection is dead
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 2.0
_MESSAGES_A_TURN = 100  # and then others run


class Listener(Protocol):
    """Gets what the reader hears. No method may switch."""

    def on_entry(self, board: str, payload: bytes) -> None:
        """Something was published for ``board``."""

    def on_access_changed(self, payload: bytes | None) -> None:
        """Somebody's access has changed; None: announcements of that may have been missed."""

    def on_subscribed(self) -> None:
        """The reader hears publications from now on; earlier ones may be missed."""

    def on_unreachable(self, why: object) -> None:
        """The reader has failed twice in a row without hearing anything."""


class Reader:
    """The reader of one worker process. ``run`` is its greenlet."""

    def __init__(
        self, pool: FairPool, keys: Keys, metrics: LiveMetrics, listener: Listener, *, process: str
    ) -> None:
        self._pool = pool
        self._metrics = metrics
        self._listener = listener
        self._canary_channel = keys.canary_channel(process)
        self._access_channel = keys.access_channel
        self._live_channel = keys.live_channel
        self._subscriptions = 0  # so far
        self._is_subscribed = False
        self.heard_at = time.monotonic()  # when anything came, or the reader began
        self._failure = "not connected yet"

    @property
    def trouble(self) -> str | None:
        """Why the reader hears nothing right now; None while it does."""
        if not self._is_subscribed:
            return self._failure
        silent_s = time.monotonic() - self.heard_at
        if silent_s > SILENCE_S:
            return f"nothing, not even a canary, came for {silent_s:.0f} s"
        return None

    @property
    def subscription(self) -> int | None:
        """The number of the present subscription; None while the reader hears nothing.

        While it stays the same, everything that was published has come, or will.
        """
        return None if self.trouble else self._subscriptions

    def run(self) -> None:
        """Read, and connect again whenever that fails, for ever."""
        self.heard_at = time.monotonic()
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                self._listen()
            except Exception as error:  # whatever it was, live delivery goes on
                if not isinstance(error, redis.RedisError | OccupancyError | OSError):
                    log.exception("the reader of the live connection failed")
                was_subscribed, self._is_subscribed = self._is_subscribed, False
                self._failure = "the live connection is lost"  # why stands in the log
                if isinstance(error, redis.exceptions.NoPermissionError):
                    self._failure = f"the store's user may not listen: {error}"
                if was_subscribed:
                    backoff_s = _FIRST_BACKOFF_S
                    self._metrics.reconnects.inc()
                    log.warning("live connection lost, connecting again: %s", error)
                else:
                    self._listener.on_unreachable(error)
            gevent.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            backoff_s = min(backoff_s * 2, _LAST_BACKOFF_S)

    def _listen(self) -> None:
        """Read the live connection until it fails; returns only by an exception."""
        connection = self._pool.get_connection()
        try:
            _read_first(connection)
            connection.send_command("SUBSCRIBE", self._canary_channel, self._access_channel)
            connection.send_command("PSUBSCRIBE", self._live_channel + "*")
            unconfirmed, count = 3, 0
            while True:
                message = connection.read_response()
                self.heard_at = time.monotonic()
                kind = message[0]
                if kind == b"pmessage":
                    board = message[2].decode()[len(self._live_channel) :]
                    self._listener.on_entry(board, message[3])
                elif kind == b"message":
                    if message[1].decode() == self._access_channel:
                        self._listener.on_access_changed(message[2])
                elif kind in (b"subscribe", b"psubscribe"):
                    unconfirmed -= 1
                    if not unconfirmed:
                        self._on_subscribed()
                count += 1
                if not count % _MESSAGES_A_TURN:
                    # A read that finds something does not switch: in a flood nobody else would run.
                    gevent.sleep(A_MOMENT_S)
        finally:
            # Not only released: a subscribed connection must not be used for anything else.
            connection.disconnect()
            self._pool.release(connection)

    def _on_subscribed(self) -> None:
        self._is_subscribed = True
        self._subscriptions += 1
        # First: nothing more for those who may not watch any more.
        self._listener.on_access_changed(None)
        self._listener.on_subscribed()


def _read_first(connection: Any) -> None:
    """Of all that has arrived at once, read this connection first.

    So an event is handed to the few who watch before the answer to its operation is; the answer
    would wake its client, and the client's next request would come before them.
    """
    reading = getattr(connection._sock, "_read_event", None)
    if reading is not None:  # a socket of gevent's
        reading.priority = gevent.get_hub().loop.MAXPRI

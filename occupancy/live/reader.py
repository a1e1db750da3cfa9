"""The reader: reads publications from the server, and waits for nothing but its socket.

One greenlet, on the one connection of the *pubsub* pool. It hands each message to a listener that
does not wait either. A connection that is silent for longer than the canaries allow (see ``probe``)
is dead: a half-open TCP connection reports no error by itself. Its read times out, because the pool
sets that timeout, and it is replaced.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any, Protocol

import gevent

from occupancy.core.entities import Entry
from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.keys import Keys
from occupancy.live.pacing import POLL_S
from occupancy.observability.metrics import LiveMetrics
from occupancy.storage.pool import FairPool
from occupancy.storage.server_errors import denied_command, server_text, unavailable_as_error

log = logging.getLogger(__name__)

PROBE_S = 2.0
SILENCE_S = 3 * PROBE_S  # without a canary or anything else: the live connection is dead
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 2.0
_MESSAGES_PER_TURN = 100  # before others run


class Listener(Protocol):
    """Gets the messages that the reader reads. No method may switch."""

    def on_entry(self, board: str, payload: bytes) -> None: ...  # see ``published_entry``
    def on_access_changed(self, payload: bytes | None, /) -> None: ...  # None: some may be missed
    def on_subscribed(self) -> None: ...  # earlier publications may be missed
    def on_unreachable(self, why: object) -> None: ...  # failed twice without reading anything


class Reader:
    """One per process. ``run`` is its greenlet."""

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
        self.heard_at = time.monotonic()  # when a message came, or the reader began
        self._failure = "not connected yet"

    @property
    def trouble(self) -> str | None:
        """Why the reader hears no publications right now; None while it does."""
        if not self._is_subscribed:
            return self._failure
        silent_s = time.monotonic() - self.heard_at
        if silent_s > SILENCE_S:
            return f"nothing, not even a canary, came for {silent_s:.0f} s"
        return None

    @property
    def subscription(self) -> int | None:
        """The number of the present subscription; None while the reader hears nothing.

        While it stays the same, every publication has come or will come.
        """
        return None if self.trouble else self._subscriptions

    def run(self) -> None:
        """Read, and connect again whenever that fails, for ever."""
        self.heard_at = time.monotonic()
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                self._listen()
            except Exception as error:  # live delivery goes on after any failure
                if not (isinstance(error, OccupancyError | OSError) or server_text(error)):
                    log.exception("the reader of the live connection failed")
                cause = error.__cause__ or error
                was_subscribed, self._is_subscribed = self._is_subscribed, False
                self._failure = "the live connection is lost"  # the log says why
                if isinstance(error, StoreUnavailable) and denied_command(error):
                    self._failure = f"the store's user may not listen: {cause}"
                if was_subscribed:
                    backoff_s = _FIRST_BACKOFF_S
                    self._metrics.reconnects.inc()
                    log.warning("live connection lost, connecting again: %s", cause)
                else:
                    self._listener.on_unreachable(cause)
            gevent.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            backoff_s = min(backoff_s * 2, _LAST_BACKOFF_S)

    def _listen(self) -> None:
        """Read the live connection until it fails; returns only by an exception."""
        connection = self._pool.get_connection()
        try:
            with unavailable_as_error():
                self._read(connection)
        finally:
            # Not only released: a subscribed connection must not be used for anything else.
            connection.disconnect()
            self._pool.release(connection)

    def _read(self, connection: Any) -> None:
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
            if not count % _MESSAGES_PER_TURN:
                # A read that finds data does not switch: in a flood no other greenlet would run.
                gevent.sleep(POLL_S)

    def _on_subscribed(self) -> None:
        self._is_subscribed = True
        self._subscriptions += 1
        # First, so that streams whose access ended get nothing more.
        self._listener.on_access_changed(None)
        self._listener.on_subscribed()


def published_entry(payload: bytes) -> tuple[str, Entry]:
    """The cursor that a published entry follows, and the entry.

    Raises ValueError for a payload of another format.
    """
    previous, cursor, seq, event = payload.split(b" ", 3)
    return previous.decode("ascii"), Entry(cursor.decode("ascii"), int(seq), event)


def _read_first(connection: Any) -> None:
    """Read this connection first when data has arrived on several at once.

    So an event reaches a few streams before the answer to its operation is sent. The answer would
    wake its client, and the client's next request would be served before the streams.
    """
    reading = getattr(connection._sock, "_read_event", None)
    if reading is not None:  # a socket of gevent's
        reading.priority = gevent.get_hub().loop.MAXPRI

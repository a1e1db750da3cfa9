"""The reader: reads publications from one server, and waits for nothing but its socket.

One greenlet, on the one connection of the server's *pubsub* pool. It hands each message to a listener
that does not wait either. A connection that is silent for longer than the canaries or pings allow (see
``probe``) is dead: a half-open TCP connection reports no error by itself. Its read times out, because
the pool sets that timeout, and it is replaced.

On a single server one pattern has the channels of all boards. A Cluster has no sharded pattern: the
reader subscribes to each watched board. The server ends a subscription (``sunsubscribe``) when the
board's slot moves away, and refuses one whose slot it does not have; ``keep_subscribed`` tries again.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any, Protocol

import gevent
from gevent.event import Event
from gevent.lock import Semaphore

from occupancy.core.entities import Entry
from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.keys import Keys
from occupancy.live.pacing import POLL_S
from occupancy.observability.metrics import LiveMetrics
from occupancy.storage.pool import FairPool
from occupancy.storage.server_errors import (
    ReplyError,
    denied_command,
    server_text,
    unavailable_as_error,
)  # fmt: skip

log = logging.getLogger(__name__)

PROBE_S = 2.0
SILENCE_S = 3 * PROBE_S  # without a canary, a pong or anything else: the live connection is dead
RETRY_S = 0.25  # until a subscription that is not confirmed is asked for again
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 2.0
_MESSAGES_PER_TURN = 100  # before others run
_CONFIRMATIONS = (b"subscribe", b"psubscribe", b"ssubscribe")


class Listener(Protocol):
    """Gets the messages that the reader reads. No method may switch."""

    def on_entry(self, board: str, payload: bytes) -> None: ...  # see ``published_entry``
    def on_access_changed(self, payload: bytes | None, /) -> None: ...  # None: some may be missed
    def on_subscribed(self) -> None: ...  # earlier publications may be missed
    def on_unsubscribed(self) -> None: ...  # a slot has moved away
    def on_unreachable(self, why: object) -> None: ...  # failed twice without reading anything


class Reader:
    """One per server and process. ``run`` is its greenlet."""

    def __init__(
        self, pool: FairPool, keys: Keys, metrics: LiveMetrics, listener: Listener, *,
        process: str, is_sharded: bool,
    ) -> None:  # fmt: skip
        self._pool = pool
        self._metrics = metrics
        self._listener = listener
        self._keys = keys
        self._is_sharded = is_sharded
        self._canary_channel = keys.canary_channel(process)
        self._subscriptions = 0  # so far
        self._subscribed: dict[str, int] = {}  # channel or pattern → number of its subscription
        self._wanted: dict[str, str] = {}  # channel or pattern → the command that subscribes to it
        self._board_of: dict[str, str] = {}  # sharded channel → its board
        self._connection: Any = None
        self._sending = Semaphore(1)
        self._is_wanting = Event()  # what is wanted has changed
        self.heard_at = time.monotonic()  # when a message came, or the reader began
        self._failure = "not connected yet"
        if not is_sharded:
            self._wanted = {
                self._canary_channel: "SUBSCRIBE", keys.access_channel: "SUBSCRIBE",
                keys.live_channel + "*": "PSUBSCRIBE",
            }  # fmt: skip

    @property
    def trouble(self) -> str | None:
        """Why the reader hears no publications right now; None while it does."""
        if self._connection is None or (not self._is_sharded and self._missing()):
            return self._failure
        silent_s = time.monotonic() - self.heard_at
        if silent_s > SILENCE_S:
            return f"nothing, not even a canary, came for {silent_s:.0f} s"
        return None

    def subscription_of(self, board: str) -> int | None:
        """The number of the subscription that brings the board's entries; None without one.

        While it stays the same, every publication has come or will come.
        """
        if self.trouble:
            return None
        channel = self._keys.board(board).channel
        return self._subscribed.get(channel if self._is_sharded else self._keys.live_channel + "*")

    # Sharded channels

    def watch(self, board: str) -> None:
        """Want a board's entries; ``on_subscribed`` says that they come. No switch point."""
        channel = self._keys.board(board).channel
        self._board_of[channel], self._wanted[channel] = board, "SSUBSCRIBE"
        self._is_wanting.set()

    def unwatch(self, board: str) -> None:
        """Want a board's entries no more. No switch point."""
        channel = self._keys.board(board).channel
        self._wanted.pop(channel, None)
        self._board_of.pop(channel, None)
        self._is_wanting.set()

    def follow_access(self, *, is_here: bool) -> None:
        """Want the announcements of access, or not: one server has them. No switch point."""
        if is_here and self._keys.access_channel not in self._wanted:
            self._wanted[self._keys.access_channel] = "SSUBSCRIBE"
            self._is_wanting.set()
        elif not is_here and self._wanted.pop(self._keys.access_channel, None):
            self._is_wanting.set()

    def keep_subscribed(self) -> None:
        """Have the server's subscriptions become the wanted ones, for ever.

        A subscription that is not confirmed is asked for again after RETRY_S.
        """
        while True:
            self._is_wanting.wait(RETRY_S)
            self._is_wanting.clear()
            for channel in self._missing():
                self._send("SSUBSCRIBE", channel)
            for channel in [each for each in self._subscribed if each not in self._wanted]:
                self._subscribed.pop(channel, None)
                self._send("SUNSUBSCRIBE", channel)

    def ping(self) -> None:
        """Have the server answer, which shows that the connection is alive."""
        self._send("PING")

    def _missing(self) -> list[str]:
        return [each for each in self._wanted if each not in self._subscribed]

    def _send(self, *command: str) -> None:
        """Send a command on the live connection, if there is one; the reader gets the reply."""
        connection = self._connection
        if connection is None:
            return  # all that is wanted is asked for at the next connect
        try:
            with self._sending:  # half of a command must not be followed by another one
                connection.send_command(*command)
        except Exception as error:  # noqa: BLE001 - the reader finds the connection closed
            log.info("%s was not sent on the live connection: %s", command[0], error)

    # Reading

    def run(self) -> None:
        """Read, and connect again whenever that fails, for ever."""
        self.heard_at = time.monotonic()
        backoff_s = _FIRST_BACKOFF_S
        while True:
            was_subscribed = False
            try:
                self._listen()
            except Exception as error:  # live delivery goes on after any failure
                if not (isinstance(error, OccupancyError | OSError) or server_text(error)):
                    log.exception("the reader of the live connection failed")
                cause = error.__cause__ or error
                was_subscribed = bool(self._subscribed)
                self._subscribed.clear()
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
            self._connection = None
            # Not only released: a subscribed connection must not be used for anything else.
            connection.disconnect()
            self._pool.release(connection)

    def _read(self, connection: Any) -> None:
        _read_first(connection)
        self._connection = connection
        for channel in list(self._wanted):
            self._send(self._wanted[channel], channel)
        count = 0
        while True:
            try:
                message = connection.read_response()
            except ReplyError:
                if not self._is_sharded:
                    raise
                self.heard_at = time.monotonic()
                self._listener.on_unsubscribed()  # a subscription is refused: the slot is elsewhere
                continue
            self.heard_at = time.monotonic()
            self._take(message[0], message)
            count += 1
            if not count % _MESSAGES_PER_TURN:
                # A read that finds data does not switch: in a flood no other greenlet would run.
                gevent.sleep(POLL_S)

    def _take(self, kind: bytes, message: Any) -> None:
        if kind == b"pmessage":
            board = message[2].decode()[len(self._keys.live_channel) :]
            self._listener.on_entry(board, message[3])
        elif kind == b"smessage" and (board := self._board_of.get(message[1].decode())):
            self._listener.on_entry(board, message[2])
        elif kind in (b"message", b"smessage"):
            if message[1].decode() == self._keys.access_channel:
                self._listener.on_access_changed(message[2])
        elif kind in _CONFIRMATIONS:
            self._on_confirmed(message[1].decode())
        elif kind == b"sunsubscribe" and message[1] is not None:
            if self._subscribed.pop(message[1].decode(), None) is not None:
                self._listener.on_unsubscribed()

    def _on_confirmed(self, channel: str) -> None:
        if channel not in self._wanted:
            return  # unwatched meanwhile
        self._subscriptions += 1
        self._subscribed[channel] = self._subscriptions
        if not self._is_sharded and self._missing():
            return
        if channel == self._keys.access_channel or not self._is_sharded:
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

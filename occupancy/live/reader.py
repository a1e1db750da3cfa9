"""The reader: reads publications from one server, and waits for nothing but its socket.

One greenlet, on the one connection of the server's *pubsub* pool. It hands each message to a
listener that does not wait either. A connection that is silent for longer than the canaries (see
``feed``) allow is dead: a half-open TCP connection reports no error by itself. Its read times out,
because the pool sets that timeout, and it is replaced.

On a single server one pattern has the channels of all boards. A Cluster has no sharded pattern: the
reader subscribes to each watched board. The server ends a subscription (``sunsubscribe``) when the
board's slot moves away, and refuses one whose slot it does not have. Invariants there:

* Only ``keep_subscribed`` subscribes and unsubscribes, and replies come in order. So a channel in
  ``_subscribed`` was subscribed when the server sent the last message that was read.
* A subscription's number is unique in the process. While it stays, no publication is missed.
"""

from __future__ import annotations

import itertools
import logging
import random
import time
from typing import Any, Protocol

import gevent
from gevent.event import Event
from gevent.lock import Semaphore

from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.keys import Keys
from occupancy.live.pacing import POLL_S
from occupancy.observability.metrics import LiveMetrics
from occupancy.storage.pool import FairPool, read_first
from occupancy.storage.server_errors import (
    ReplyError,
    denied_command,
    is_elsewhere,
    server_text,
    unavailable_as_error,
)  # fmt: skip

log = logging.getLogger(__name__)

PROBE_S = 2.0
SILENCE_S = 3 * PROBE_S  # without a canary, a pong or anything else: the live connection is dead
RETRY_S = 0.5  # until a subscription that is not confirmed is asked for again
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 2.0
_MESSAGES_PER_TURN = 100  # before others run
_CONFIRMATIONS = (b"subscribe", b"psubscribe", b"ssubscribe")
_numbers = itertools.count(1)  # of subscriptions, of all readers


class Listener(Protocol):
    """Gets the messages that the reader reads. No method may switch."""

    def on_entry(self, board: str, payload: bytes) -> None: ...
    def on_access_changed(self, payload: bytes | None, /) -> None: ...  # None: some may be missed
    def on_subscribed(self) -> None: ...  # earlier publications may be missed
    def on_unsubscribed(self) -> None: ...  # a slot is elsewhere
    def on_unreachable(self, why: object) -> None: ...  # failed twice without reading anything


class Reader:
    """One per server and process. ``run`` and, in a Cluster, ``keep_subscribed`` are greenlets."""

    def __init__(
        self, pool: FairPool, keys: Keys, metrics: LiveMetrics, listener: Listener, *,
        process: str, is_sharded: bool,
    ) -> None:  # fmt: skip
        self._pool = pool
        self._metrics = metrics
        self._listener = listener
        self._keys = keys
        self._is_sharded = is_sharded
        self._access_channel, self._live_channel = keys.access_channel, keys.live_channel
        self._pattern = keys.live_channel + "*"
        self._wanted: dict[str, str] = {}  # channel or pattern → its board, where it has one
        self._subscribed: dict[str, int] = {}  # channel or pattern → number of its subscription
        self._asked_at: dict[str, float] = {}  # not confirmed yet (monotonic)
        self._connection: Any = None
        self._sending = Semaphore(1)
        self._has_changed = Event()  # something is to be subscribed or unsubscribed
        self._hurry = Event()  # ends the pause before the next connect
        self.heard_at = time.monotonic()  # when a message came, or the reader connected or began
        self._failure = "not connected yet"
        if not is_sharded:
            channels = (keys.canary_channel(process), keys.access_channel, self._pattern)
            self._wanted = dict.fromkeys(channels, "")

    @property
    def trouble(self) -> str | None:
        """Why nothing published is heard right now; None while some is (``subscription_of``)."""
        if self._connection is None or not (self._is_sharded or self._is_complete):
            return self._failure
        silent_s = time.monotonic() - self.heard_at
        if silent_s > SILENCE_S:
            return f"nothing, not even a canary, came for {silent_s:.0f} s"
        return None

    def subscription_of(self, board: str) -> int | None:
        """The number of the subscription that brings the board's entries; None without one."""
        if self.trouble:
            return None
        channel = self._keys.board(board).channel if self._is_sharded else self._pattern
        return self._subscribed.get(channel)

    @property
    def _is_complete(self) -> bool:
        return len(self._subscribed) >= len(self._wanted)

    def want(self, channel: str, board: str = "") -> None:
        """Subscribe soon to a board's channel, or to that of access; no switch point."""
        if channel not in self._wanted:
            self._wanted[channel] = board
            self._has_changed.set()

    def want_no_more(self, channel: str) -> None:
        """Unsubscribe soon; no switch point, because streams end inside the event loop."""
        if self._wanted.pop(channel, None) is not None:
            self._has_changed.set()

    def lacks(self, channel: str) -> bool:
        """Whether a channel is wanted and not subscribed."""
        return channel in self._wanted and channel not in self._subscribed

    def keep_subscribed(self) -> None:
        """Keep the server's subscriptions equal to the wanted ones, for ever."""
        while True:
            self._has_changed.wait(RETRY_S if self._asked_at else None)
            self._has_changed.clear()
            if self._connection is not None:  # else all is asked for when it is connected
                self.send(*self._changes())

    def _changes(self) -> list[tuple[str, str]]:
        """The commands that are due now, noted as sent. No switch point."""
        now = time.monotonic()
        lacking = [each for each in self._wanted if self.lacks(each)]
        missing = [each for each in lacking if now - self._asked_at.get(each, 0.0) >= RETRY_S]
        superfluous = (self._subscribed.keys() | self._asked_at.keys()) - self._wanted.keys()
        for each in missing:
            self._asked_at[each] = now
        for each in superfluous:
            self._subscribed.pop(each, None)
            self._asked_at.pop(each, None)
        unsubscribe = [("SUNSUBSCRIBE", each) for each in superfluous]
        return [("SSUBSCRIBE", each) for each in missing] + unsubscribe

    def send(self, *commands: tuple[str, ...]) -> None:
        """Send commands on the live connection, if there is one; ``run`` reads the replies."""
        with self._sending:  # half of a command must not be followed by another one
            connection = self._connection
            # redis-py connects a closed connection again, and nobody would read it.
            if not commands or connection is None or connection._sock is None:
                return
            try:
                connection.send_packed_command(connection.pack_commands(commands))
            except Exception as error:  # noqa: BLE001 - it is closed now, as ``run`` finds
                log.info("%s was not sent on the live connection: %s", commands[0][0], error)

    def connect_now(self) -> None:
        """Do not pause before the next connect: the server may be another one now."""
        self._hurry.set()

    def run(self) -> None:
        """Read, and connect again whenever that fails, for ever."""
        self.heard_at = time.monotonic()
        backoff_s = _FIRST_BACKOFF_S
        while True:
            self._hurry.clear()
            try:
                self._listen()
            except Exception as error:  # live delivery goes on after any failure
                if not (isinstance(error, OccupancyError | OSError) or server_text(error)):
                    log.exception("the reader of the live connection failed")
                cause = error.__cause__ or error
                # An ACL may allow some of a single server's subscriptions and refuse the others.
                was_subscribed = bool(self._subscribed) and (self._is_sharded or self._is_complete)
                self._subscribed.clear()
                self._asked_at.clear()
                self._failure = "the live connection is lost"  # the log says why
                if isinstance(error, StoreUnavailable) and denied_command(error):
                    self._failure = f"the store's user may not listen: {cause}"
                if was_subscribed:
                    backoff_s = _FIRST_BACKOFF_S
                    self._metrics.reconnects.inc()
                    log.warning("live connection lost, connecting again: %s", cause)
                else:
                    self._listener.on_unreachable(cause)
            self._hurry.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
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
        read_first(connection)
        self._connection, self.heard_at = connection, time.monotonic()
        if self._is_sharded:
            self._has_changed.set()
        else:
            *channels, pattern = self._wanted
            connection.send_command("SUBSCRIBE", *channels)
            connection.send_command("PSUBSCRIBE", pattern)
        count = 0
        while True:
            try:
                message = connection.read_response()
            except ReplyError as error:
                if not is_elsewhere(error):
                    raise
                self.heard_at = time.monotonic()
                self._listener.on_unsubscribed()
                continue
            self.heard_at = time.monotonic()
            kind = message[0]
            if kind == b"pmessage":
                board = message[2].decode()[len(self._live_channel) :]
                self._listener.on_entry(board, message[3])
            else:
                self._take(kind, message)
            count += 1
            if not count % _MESSAGES_PER_TURN:
                # A read that finds data does not switch: in a flood no other greenlet would run.
                gevent.sleep(POLL_S)

    def _take(self, kind: bytes, message: Any) -> None:
        if kind == b"smessage" and (board := self._wanted.get(message[1].decode())):
            self._listener.on_entry(board, message[2])
        elif kind in (b"message", b"smessage"):
            if message[1].decode() == self._access_channel:
                self._listener.on_access_changed(message[2])
        elif kind in _CONFIRMATIONS:
            self._on_confirmed(message[1].decode())
        elif kind == b"sunsubscribe" and message[1].decode() in self._subscribed:
            # The server has ended it: what we end is gone already when its reply comes.
            del self._subscribed[message[1].decode()]
            self._has_changed.set()
            self._listener.on_unsubscribed()

    def _on_confirmed(self, channel: str) -> None:
        self._asked_at.pop(channel, None)
        if channel in self._subscribed:
            return  # asked for twice; it has gone on meanwhile
        self._subscribed[channel] = next(_numbers)
        if channel not in self._wanted:
            self._has_changed.set()  # unwatched meanwhile
        elif self._is_sharded or self._is_complete:
            if channel == self._access_channel or not self._is_sharded:
                # First, so that streams whose access ended get nothing more.
                self._listener.on_access_changed(None)
            self._listener.on_subscribed()

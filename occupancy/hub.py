"""The hub: one Redis connection per worker process, fanned out to all of its streams.

One greenlet reads the subscribed connection and offers each published entry to its board's feed
(feed.py), which fills holes from the log; so nothing rests on a published message arriving. What
the feeds take in, the fan-out hands to the streams (fanout.py). Two more greenlets keep that
honest: the *prober* sends a canary through Redis back to the reader every two seconds and reads
what the log holds beyond the position of each feed that was silent; the *pulse* sends heartbeats
and ends streams whose connection takes no byte.

A connection that stays silent for longer than the canaries allow is dead (a half-open TCP
connection never reports an error by itself), and is replaced; every feed is then caught up from
the log before the hub calls itself live again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any

import gevent
import redis

from . import sse
from .errors import OccupancyError, PoolTimeout, StoreUnavailable
from .fanout import FEW_STREAMS, OTHERS_TURN_S, FanOut
from .feed import Feed
from .keys import Keys
from .metrics import LiveMetrics
from .pools import TurnPool, percentiles
from .records import Entry
from .store import Store
from .subscriber import STALL_S, Subscriber

log = logging.getLogger(__name__)

PROBE_S = 2.0
SILENCE_S = 3 * PROBE_S  # without a canary: the live connection is dead
HEARTBEAT_S = 15
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.1, 2.0
_SLOW_S = 1.0
_STREAMS_A_LOOK = 200  # and then the others get their turn


class Hub:
    """Live delivery of one worker process."""

    def __init__(
        self,
        store: Store,
        pool: TurnPool,
        keys: Keys,
        metrics: LiveMetrics,
        *,
        process: str,
        on_access_changed: Callable[[bytes | None], None],
        on_probe: Callable[[], None],
    ) -> None:
        self.is_draining = False
        self._store = store
        self._pool = pool
        self._keys = keys
        self._metrics = metrics
        self._canary_channel = keys.canary_channel(process)
        self._on_access_changed = on_access_changed
        self._on_probe = on_probe
        self._fan_out = FanOut()
        self._feeds: dict[str, Feed] = {}
        self._greenlets: list[gevent.Greenlet] = []
        self._past_resets = 0  # of feeds that were dropped
        self._slow = 0  # streams, at the last beat
        self._is_degraded = False
        self._canary_at: float | None = None  # monotonic; None while not connected
        self._failure = "not connected yet"

    # Life

    def start(self) -> None:
        """Begin to follow Redis; does nothing if it runs already."""
        if not self._greenlets and not self.is_draining:
            works = (self._follow, self._fan_out.run, self._probe_forever, self._pulse)
            self._greenlets = [gevent.spawn(each) for each in works]

    def drain(self, timeout_s: float = 3.0) -> None:
        """Say bye on every stream and give the connection back.

        A stream that has not ended after ``timeout_s`` takes nothing any more: it is hung up.
        """
        self.is_draining = True
        for subscriber in self._subscribers():
            subscriber.close()
        with gevent.Timeout(timeout_s, False):
            while self.open_streams:
                gevent.sleep(0.05)
        for subscriber in self._subscribers():
            subscriber.abandon()
        gevent.killall(self._greenlets)
        self._pool.drain()

    @property
    def is_running(self) -> bool:
        """Whether it follows Redis, or tries to."""
        return bool(self._greenlets) and not self.is_draining

    @property
    def trouble(self) -> str | None:
        """Why live delivery does not work right now; None while it does."""
        if self._canary_at is None:
            return self._failure
        silent_s = time.monotonic() - self._canary_at
        if silent_s > SILENCE_S:
            return f"no canary came back for {silent_s:.0f} s"
        return None

    # Streams

    def subscribe(self, board: str) -> Subscriber:
        """A subscriber of ``board``, until ``unsubscribe``.

        Registered before it reads anything, so that its feed cannot be dropped meanwhile.
        """
        self.start()
        feed = self._feeds.get(board)
        if feed is None:
            feed = self._feeds[board] = Feed(self._store, board, self._metrics, self._fan_out)
        subscriber = Subscriber(feed, self._store)
        feed.subscribers.add(subscriber)
        if self.is_draining:
            subscriber.close()
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Its stream has ended."""
        feed = subscriber.feed
        feed.subscribers.discard(subscriber)
        if not feed.subscribers and self._feeds.get(feed.board) is feed:
            self._past_resets += feed.resets
            del self._feeds[feed.board]

    def followed(self, board: str) -> Feed | None:
        """The board's feed, if it is open: somebody here watches the board, so it exists."""
        feed = self._feeds.get(board)
        return feed if feed is not None and feed.cursor else None

    @property
    def open_streams(self) -> int:
        return sum(len(feed.subscribers) for feed in self._feeds.values())

    @property
    def is_watched_by_few(self) -> bool:
        """Whether there are streams, and so few that they are told of each event at once."""
        return 0 < self.open_streams <= FEW_STREAMS

    def figures(self) -> dict[str, Any]:
        """Open streams, those whose connection does not take what was written, and resets.

        And how long after being written an event is handed to the streams, over the last minute;
        None where there was no event.
        """
        delays_ms = self._metrics.recent_delays_ms()
        return {
            "open": self.open_streams,
            "slow": self._slow,
            "resets": self.resets,
            "delay_ms": percentiles(delays_ms) if delays_ms else None,
        }

    @property
    def resets(self) -> int:
        """Streams told to load the snapshot again, since this process began."""
        return sum(feed.resets for feed in self._feeds.values()) + self._past_resets

    def _subscribers(self) -> list[Subscriber]:
        return [each for feed in self._feeds.values() for each in feed.subscribers]

    # The reader

    def _follow(self) -> None:
        backoff_s = _FIRST_BACKOFF_S
        while True:
            try:
                self._listen()
            except Exception as error:  # whatever it was, live delivery goes on
                if not isinstance(error, redis.RedisError | OccupancyError | OSError):
                    log.exception("the reader of the live connection failed")
                was_connected, self._canary_at = self._canary_at is not None, None
                self._failure = "the live connection is lost"  # why stands in the log
                if isinstance(error, redis.exceptions.NoPermissionError):
                    self._failure = f"the store's user may not listen: {error}"
                if was_connected:
                    backoff_s = _FIRST_BACKOFF_S
                    self._metrics.reconnects.inc()
                    log.warning("live connection lost, connecting again: %s", error)
                else:  # a second failure in a row: Redis cannot be reached
                    self._degrade(error)
            gevent.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
            backoff_s = min(backoff_s * 2, _LAST_BACKOFF_S)

    def _listen(self) -> None:
        """Read the live connection until it fails; returns only by an exception."""
        connection = self._pool.get_connection()
        try:
            _read_first(connection)
            connection.send_command("SUBSCRIBE", self._canary_channel, self._keys.access_channel)
            connection.send_command("PSUBSCRIBE", self._keys.live_channel + "*")
            unconfirmed = 3
            while True:
                message = connection.read_response()
                kind = message[0]
                if kind == b"pmessage":
                    self._on_entry(message[2], message[3])
                elif kind == b"message":
                    self._on_notice(message[1], message[2])
                elif kind in (b"subscribe", b"psubscribe"):
                    unconfirmed -= 1
                    if not unconfirmed:
                        self._on_subscribed()
        finally:
            # Not only released: a subscribed connection must not be used for anything else.
            connection.disconnect()
            self._pool.release(connection)

    def _on_subscribed(self) -> None:
        """Whatever was published before now may be lost to us: read it from the log."""
        self._on_access_changed(None)  # first: nothing more for those who may not watch any more
        for feed in list(self._feeds.values()):
            feed.catch_up()
        self._on_canary()

    def _on_canary(self) -> None:
        self._canary_at = time.monotonic()
        if self._is_degraded:
            self._is_degraded = False
            log.warning("live delivery works again")
            self._tell_all(sse.control_frame("recovered", {}))

    def _on_entry(self, channel: bytes, payload: bytes) -> None:
        feed = self._feeds.get(channel.decode()[len(self._keys.live_channel) :])
        if feed is None:
            return  # nobody here watches that board
        try:
            cursor, seq, event = payload.split(b" ", 2)
            entry = Entry(cursor.decode("ascii"), int(seq), event)
        except ValueError:
            log.warning("a message on %r is not one of ours: %r", channel, payload[:80])
            return
        try:
            feed.offer(entry)
        except (PoolTimeout, StoreUnavailable) as error:
            # The position stays where it was; the next entry or probe fills the hole.
            log.warning("missed events of %s not read yet: %s", feed.board, error)

    def _on_notice(self, channel: bytes, payload: bytes) -> None:
        if channel.decode() == self._canary_channel:
            self._on_canary()
        else:
            self._on_access_changed(payload)

    def _degrade(self, why: object) -> None:
        if not self._is_degraded:
            self._is_degraded = True
            log.error("Redis cannot be reached, streams are degraded: %s", why)
            detail = "The store cannot be reached. What you see may be old; missed events follow."
            self._tell_all(sse.control_frame("degraded", {"detail": detail}))

    def _tell_all(self, frame: bytes) -> None:
        for feed in self._feeds.values():
            feed.announce(frame)

    # The prober and the pulse

    def _probe_forever(self) -> None:
        while True:
            try:
                self._probe()
            except (PoolTimeout, StoreUnavailable) as error:
                log.warning("probe failed: %s", error.__cause__ or error)
            except Exception:
                log.exception("probe failed")  # and the next one is made all the same
            gevent.sleep(PROBE_S)

    def _probe(self) -> None:
        # In this order: a server that takes no writes still publishes and can be read, and live
        # delivery must not suffer because the report cannot be written.
        try:
            self._store.client.publish(self._canary_channel, "")
            if self._canary_at is not None:
                for feed in list(self._feeds.values()):
                    feed.look_after_silence()
        finally:
            self._on_probe()  # while Redis is away too: that is when the metrics are looked at

    def _pulse(self) -> None:
        second, took_s = 0, 0.0
        while True:
            gevent.sleep(max(0.0, 1.0 - took_s))  # else fifteen beats would be more than 15 s
            began = time.monotonic()
            second += 1
            try:
                self._beat(second)
            except Exception:
                log.exception("a heartbeat failed")  # and the next one is sent all the same
            took_s = time.monotonic() - began

    def _beat(self, second: int) -> None:
        now = time.monotonic()
        if self._canary_at is not None and self.trouble:
            self._degrade(self.trouble)  # connected and silent: the reader finds out later
        slow = 0
        for count, subscriber in enumerate(self._subscribers(), 1):
            stalled_s = subscriber.stalled_s(now)
            slow += stalled_s > _SLOW_S
            if stalled_s > STALL_S:
                subscriber.abandon()
            elif (subscriber.beat + second) % HEARTBEAT_S == 0:
                subscriber.heartbeat()
            if not count % _STREAMS_A_LOOK:
                # sleep(0) comes back before any socket was looked at: with 5,000 streams the
                # store's replies waited for 7 ms, once a second. Who ends meanwhile takes no harm
                # from what is said to it.
                gevent.sleep(OTHERS_TURN_S)
        self._slow = slow


def _read_first(connection: Any) -> None:
    """Of all that has arrived at once, read this connection first.

    So an event is handed to the few who watch before the answer to its operation is; the answer
    would wake its client, and the client's next request would come before them.
    """
    reading = getattr(connection._sock, "_read_event", None)
    if reading is not None:  # a socket of gevent's
        reading.priority = gevent.get_hub().loop.MAXPRI

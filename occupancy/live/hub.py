"""The hub: one Redis connection per worker process, fanned out to all of its streams.

The reader (live_reader.py) offers each published entry to its board's feed (feed.py), which fills
holes from the log; so nothing rests on a published message arriving. What the feeds take in, the
fan-out hands to the streams (fanout.py). The prober (prober.py) finds what the reader does not
hear, and the *pulse* sends heartbeats and ends streams whose connection takes no byte.

Each of them has its own greenlet, and so have the report and each feed that catches up: none waits
for another. While live delivery is impaired every stream is told so, those that open meanwhile
too, and the prober serves them from the log. Each board's streams are told that it works again
after they have got what they missed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import gevent

from occupancy.boards.store import Store
from occupancy.core.entities import Entry
from occupancy.core.keys import Keys
from occupancy.live import sse
from occupancy.live.broadcaster import FEW_STREAMS, OTHERS_TURN_S, Broadcaster
from occupancy.live.feed import Feed
from occupancy.live.probe import Probe, repeat
from occupancy.live.reader import SILENCE_S, Reader
from occupancy.live.subscriber import STALL_S, Subscriber
from occupancy.observability.metrics import LiveMetrics
from occupancy.storage.pool import FairPool, percentiles

log = logging.getLogger(__name__)

HEARTBEAT_S = 15
_SLOW_S = 1.0
_STREAMS_A_LOOK = 200  # and then the others get their turn
_DEGRADED = sse.control_frame(
    "degraded",
    {"detail": "Live updates are late or stand still. What you see may be old; no event is lost."},
)


class Hub:
    """Live delivery of one worker process."""

    def __init__(
        self,
        store: Store,
        pool: FairPool,
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
        self._metrics = metrics
        self._access_changed = on_access_changed
        self._on_probe = on_probe
        self._fan_out = Broadcaster()
        self._feeds: dict[str, Feed] = {}
        self._greenlets: list[gevent.Greenlet] = []
        self._past_resets = 0  # of feeds that were dropped
        self._slow = 0  # streams, at the last beat
        self._is_degraded = False
        self._was_live_at = time.monotonic()
        self._has_seen_another_format = False
        self._reader = Reader(pool, keys, metrics, self, process=process)
        self._prober = Probe(
            store, keys.canary_channel(process), self._reader, self._feeds, self._on_live
        )

    # Life

    def start(self) -> None:
        """Begin to follow Redis; does nothing if it runs already."""
        if not self._greenlets and not self.is_draining:
            self._was_live_at = time.monotonic()
            works = (
                self._reader.run, self._fan_out.run, self._pulse, self._report,
                self._prober.send_canaries, self._prober.look_at_logs,
            )  # fmt: skip
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
        for feed in list(self._feeds.values()):  # streams may end meanwhile
            feed.stop()
        self._pool.drain()

    @property
    def is_running(self) -> bool:
        """Whether it follows Redis, or tries to."""
        return bool(self._greenlets) and not self.is_draining

    @property
    def trouble(self) -> str | None:
        """Why live delivery does not work right now; None while it does."""
        if trouble := self._reader.trouble:
            return trouble
        return None if self._prober.is_settled else "what was missed is not read yet"

    # Streams

    def subscribe(self, board: str) -> Subscriber:
        """A subscriber of ``board``, until ``unsubscribe``.

        Registered before it reads anything, so that its feed cannot be dropped meanwhile.
        """
        self.start()
        feed = self._feeds.get(board)
        if feed is None:
            feed = self._feeds[board] = Feed(self._store, board, self._metrics, self._fan_out)
            if self._is_degraded:
                feed.impair(_DEGRADED)
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

    # What the reader hears. None of these has a switch point.

    def on_entry(self, board: str, payload: bytes) -> None:
        """Something was published for ``board``."""
        feed = self._feeds.get(board)
        if feed is None:
            return  # nobody here watches that board
        try:
            previous, cursor, seq, event = payload.split(b" ", 3)
            feed.offer(previous.decode("ascii"), Entry(cursor.decode("ascii"), int(seq), event))
        except ValueError:
            # Perhaps another version's: the log has what happened.
            if not self._has_seen_another_format:
                self._has_seen_another_format = True
                log.warning("a message for %s is not one of ours: %r", board, payload[:80])
            feed.catch_up_soon()

    def on_access_changed(self, payload: bytes | None) -> None:
        """Somebody's access has changed; None: announcements of that may have been missed."""
        self._access_changed(payload)

    def on_subscribed(self) -> None:
        """The reader hears publications from now on; earlier ones may be missed."""
        self._prober.look_now()

    def on_unreachable(self, why: object) -> None:
        """The reader has failed twice."""
        self._degrade(why)

    def _on_live(self) -> None:
        self._was_live_at = time.monotonic()
        if self._is_degraded:
            self._is_degraded = False  # the feeds tell their streams, once each has caught up
            log.warning("live delivery works again")

    def _degrade(self, why: object) -> None:
        if not self._is_degraded:
            self._is_degraded = True
            log.error("live delivery does not work, streams are degraded: %s", why)
        for feed in self._feeds.values():
            feed.impair(_DEGRADED)

    # The report and the pulse

    def _report(self) -> None:
        # While Redis is away too: that is when the metrics are looked at.
        repeat("a report", self._on_probe)

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
        trouble = self.trouble
        if trouble is None:
            self._was_live_at = now
        elif now - min(self._reader.heard_at, self._was_live_at) > SILENCE_S:
            self._degrade(trouble)  # something hangs: the reader notices later, or never
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

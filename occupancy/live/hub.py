"""The hub: the registry of the boards and streams of one process.

It starts the greenlets of live delivery and connects them: a publication that the reader hears is
offered to its board's log. Each part has a greenlet of its own, and so has each board that catches
up, so none waits for another. While live delivery is impaired, every stream gets ``degraded``, and
the probe serves it from the log; it gets ``recovered`` after the events that it missed.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent

from occupancy.core.keys import Keys
from occupancy.live.board_frames import BoardFrames
from occupancy.live.board_log import BoardLog, LogReader
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.live.pacing import FEW_STREAMS, OTHERS_TURN_S
from occupancy.live.probe import Probe, repeat
from occupancy.live.reader import SILENCE_S, Reader, published_entry
from occupancy.live.subscriber import STALL_S, Subscriber
from occupancy.observability.metrics import LiveMetrics
from occupancy.storage.pool import percentiles
from occupancy.storage.topology.shard import Topology

log = logging.getLogger(__name__)

HEARTBEAT_S = 15
_SLOW_S = 1.0
_STREAMS_PER_TURN = 200  # looked at before others run


class _Board(NamedTuple):
    """A board with at least one stream in this process."""

    log: BoardLog
    frames: BoardFrames
    subscribers: set[Subscriber]


class Hub:
    """One per process. ``on_probe`` is called every two seconds, while Redis is away too."""

    def __init__(
        self,
        store: LogReader,
        topology: Topology,
        keys: Keys,
        metrics: LiveMetrics,
        *,
        process: str,
        on_access_changed: Callable[[bytes | None], None],
        on_probe: Callable[[], None],
    ) -> None:
        self.is_draining = False
        self._store = store
        (shard, *_) = topology.shards()
        self._pool = shard.pubsub_pool
        self._metrics = metrics
        self.on_access_changed = on_access_changed
        self._on_probe = on_probe
        self._broadcaster = Broadcaster()
        self._boards: dict[str, _Board] = {}
        self._greenlets: list[gevent.Greenlet] = []
        self._past_resets = 0  # of boards that were dropped
        self._slow = 0  # streams, at the last heartbeat
        self._is_degraded = False
        self._was_live_at = time.monotonic()
        self._has_seen_another_format = False
        self._reader = Reader(self._pool, keys, metrics, self, process=process)
        self._probe = Probe(
            store, topology.client, self._reader,
            lambda: [each.log for each in self._boards.values()],
            canary_channel=keys.canary_channel(process), on_live=self._on_live,
        )  # fmt: skip

    # Life

    def start(self) -> None:
        """Begin to follow Redis; does nothing if it runs already."""
        if not self._greenlets and not self.is_draining:
            self._was_live_at = time.monotonic()
            loops = (
                self._reader.run, self._broadcaster.run, self._heartbeats,
                self._probe.send_canaries, self._probe.compare_logs,
                functools.partial(repeat, "a report", self._on_probe),
            )  # fmt: skip
            self._greenlets = [gevent.spawn(each) for each in loops]

    def drain(self, timeout_s: float = 3.0) -> None:
        """End every stream with ``bye`` and give the connection back.

        A stream that has not ended after ``timeout_s`` reads nothing any more and is hung up.
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
        for board in list(self._boards.values()):  # streams may end meanwhile
            board.log.stop()
        self._pool.drain()

    @property
    def trouble(self) -> str | None:
        """Why live delivery does not work right now; None while it does."""
        if trouble := self._reader.trouble:
            return trouble
        return None if self._probe.is_settled else "what was missed is not read yet"

    # Streams

    def subscribe(self, board: str) -> Subscriber:
        """A new stream of ``board``, until ``unsubscribe``.

        It is registered before it reads anything, so that its board cannot be dropped meanwhile.
        """
        self.start()
        followed = self._boards.get(board)
        if followed is None:
            followed = self._boards[board] = self._follow(board)
        subscriber = Subscriber(followed.log, followed.frames)
        followed.subscribers.add(subscriber)
        if self.is_draining:
            subscriber.close()
        return subscriber

    def _follow(self, board: str) -> _Board:
        subscribers = set[Subscriber]()
        channel = Channel(subscribers, self._metrics)
        frames = BoardFrames(board, channel, self._broadcaster, self._metrics)
        followed = _Board(BoardLog(self._store, board, frames, self._metrics), frames, subscribers)
        if self._is_degraded:
            followed.log.degrade()
        return followed

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The stream has ended."""
        name = subscriber.board.board
        if followed := self._boards.get(name):
            followed.subscribers.discard(subscriber)
            if not followed.subscribers:
                self._past_resets += followed.frames.resets
                del self._boards[name]

    def followed(self, board: str) -> BoardFrames | None:
        """The board's frames, if its position is known; then the board exists."""
        followed = self._boards.get(board)
        return followed.frames if followed is not None and followed.frames.cursor else None

    @property
    def open_streams(self) -> int:
        return sum(len(each.subscribers) for each in self._boards.values())

    @property
    def is_watched_by_few(self) -> bool:
        """Whether there are streams, and so few that each event is written to them at once."""
        return 0 < self.open_streams <= FEW_STREAMS

    def figures(self) -> dict[str, Any]:
        """Streams open, slow (their connection takes nothing) and reset; delays of a minute."""
        delays_ms, boards = self._metrics.recent_delays_ms(), self._boards.values()
        return {
            "open": self.open_streams, "slow": self._slow,
            "resets": self._past_resets + sum(each.frames.resets for each in boards),
            "delay_ms": percentiles(delays_ms) if delays_ms else None,
        }  # fmt: skip

    def _subscribers(self) -> list[Subscriber]:
        return [each for followed in self._boards.values() for each in followed.subscribers]

    # The reader's listener. No method has a switch point.

    def on_entry(self, board: str, payload: bytes) -> None:
        if (followed := self._boards.get(board)) is None:
            return
        try:
            followed.log.offer(*published_entry(payload))
        except ValueError:
            # Perhaps another version's: the log has what happened.
            if not self._has_seen_another_format:
                self._has_seen_another_format = True
                log.warning("a message for %s is not one of ours: %r", board, payload[:80])
            followed.log.catch_up_soon()

    def on_subscribed(self) -> None:
        self._probe.probe_now()

    def _on_live(self) -> None:
        self._was_live_at = time.monotonic()
        if self._is_degraded:
            self._is_degraded = False  # each board tells its streams once it has caught up
            log.warning("live delivery works again")

    def on_unreachable(self, why: object) -> None:
        if not self._is_degraded:
            self._is_degraded = True
            log.error("live delivery does not work, streams are degraded: %s", why)
        for followed in self._boards.values():
            followed.log.degrade()

    # Heartbeats

    def _heartbeats(self) -> None:
        second, took_s = 0, 0.0
        while True:
            gevent.sleep(max(0.0, 1.0 - took_s))  # else fifteen of them would last more than 15 s
            began = time.monotonic()
            second += 1
            try:
                self._heartbeat(second)
            except Exception:
                log.exception("a heartbeat failed")  # and the next one is sent all the same
            took_s = time.monotonic() - began

    def _heartbeat(self, second: int) -> None:
        """Send this second's share of heartbeats, and end streams whose connection stands still."""
        now = time.monotonic()
        trouble = self.trouble
        if trouble is None:
            self._was_live_at = now
        elif now - min(self._reader.heard_at, self._was_live_at) > SILENCE_S:
            self.on_unreachable(trouble)  # something hangs: the reader notices later, or never
        slow = 0
        for count, subscriber in enumerate(self._subscribers(), 1):
            stalled_s = subscriber.stalled_s(now)
            slow += stalled_s > _SLOW_S
            if stalled_s > STALL_S:
                subscriber.abandon()
            elif (subscriber.heartbeat_phase + second) % HEARTBEAT_S == 0:
                subscriber.heartbeat()
            if not count % _STREAMS_PER_TURN:
                # sleep(0) returns before any socket is polled: with 5,000 streams the store's
                # replies waited for 7 ms once per second. Streams may end meanwhile; a call on an
                # ended one does nothing.
                gevent.sleep(OTHERS_TURN_S)
        self._slow = slow

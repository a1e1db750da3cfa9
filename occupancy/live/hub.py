"""The hub: the registry of the boards and streams of one process.

The feed of the server that has a board follows it: a publication that the feed's reader hears is
offered to the board's log. Each part has a greenlet of its own, and so has each board that catches
up, so none waits for another. While live delivery from a server is impaired, every stream of its
boards gets ``degraded``, and the probe serves it from the log; it gets ``recovered`` after the
events that it missed. When a board moves to another server, its feed changes and its streams stay.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gevent
from gevent.event import Event

from occupancy.core.keys import Keys
from occupancy.live.board_frames import BoardFrames
from occupancy.live.board_log import BoardLog, LogReader
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.live.feed import Feed
from occupancy.live.pacing import FEW_STREAMS, OTHERS_TURN_S
from occupancy.live.reader import PROBE_S
from occupancy.live.subscriber import STALL_S, Subscriber
from occupancy.observability.metrics import LiveMetrics
from occupancy.observability.periodic import repeat
from occupancy.observability.promotions import Change, Promotions
from occupancy.storage.pool import percentiles
from occupancy.storage.topology.shard import Shard, Topology

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
        self, store: LogReader, topology: Topology, keys: Keys, metrics: LiveMetrics, *,
        process: str, on_access_changed: Callable[[bytes | None], None],
        on_probe: Callable[[], None], promotions: Promotions,
    ) -> None:  # fmt: skip
        self.is_draining = False
        self._store = store
        self._topology = topology
        self._keys = keys
        self._metrics = metrics
        self._process = process
        self.on_access_changed = on_access_changed
        self._on_probe = on_probe
        self._promotions = promotions
        self._broadcaster = Broadcaster()
        self._boards: dict[str, _Board] = {}
        self._ended: list[_Board] = []  # removed boards whose last streams are still ending
        self._feeds: dict[Shard, Feed] = {}
        self._greenlets: list[gevent.Greenlet] = []
        self._changed = Event()  # the topology has
        self._doubt = Event()  # a server does not have what it should have
        self._past_resets = 0  # of boards that were dropped
        self._slow = 0  # streams, at the last heartbeat
        topology.on_change = self._changed.set

    def start(self) -> None:
        """Begin to follow Redis; does nothing if it runs already."""
        if not self._greenlets and not self.is_draining:
            self._topology.start()
            self._arrange()
            spawn, refresh = gevent.spawn, self._topology.refresh  # the latter waits for servers
            self._greenlets = [
                spawn(self._broadcaster.run), spawn(self._heartbeats),
                spawn(repeat, "a report", self._on_probe, every_s=PROBE_S),
                spawn(repeat, "moving boards", self._arrange, every_s=None, wake=self._changed),
                spawn(repeat, "looking for servers", refresh, every_s=None, wake=self._doubt),
            ]  # fmt: skip

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
        for feed in self._feeds.values():
            feed.stop()
        gevent.sleep(0)  # now they give their connections back
        for board in list(self._boards.values()):  # streams may end meanwhile
            board.log.stop()
        for shard in self._topology.shards():
            shard.pubsub_pool.drain()

    @property
    def trouble(self) -> str | None:
        """Why live delivery does not work in this process right now; None while it does.

        Every stream needs the server of access; another one concerns its boards (``troubles``).
        """
        access = self._topology.shard_of(self._keys.workers)
        feed = self._feeds.get(access) if access is not None else None
        return feed.trouble if feed is not None else "not connected yet"

    def troubles(self) -> dict[str, str]:
        """Each server from which live delivery does not work now, and why."""
        found = {shard.address: feed.trouble for shard, feed in self._feeds.items()}
        return {address: trouble for address, trouble in found.items() if trouble}

    def subscribe(self, board: str) -> Subscriber:
        """A new stream of ``board``, until ``unsubscribe``.

        It is registered before it reads anything, so that its board cannot be dropped meanwhile.
        """
        self.start()
        followed = self._boards.get(board)
        if followed is not None and followed.frames.is_ended:  # removed, perhaps created again
            self._drop(board)
            self._ended.append(followed)
            followed = None
        followed = followed or self._follow(board)
        subscriber = Subscriber(followed.log, followed.frames)
        followed.subscribers.add(subscriber)
        if self.is_draining:
            subscriber.close()
        return subscriber

    def _follow(self, board: str) -> _Board:
        subscribers = set[Subscriber]()
        channel = Channel(subscribers, self._metrics)
        frames = BoardFrames(board, channel, self._broadcaster, self._metrics)
        frames.on_end = lambda: _close_each(subscribers)
        board_log = BoardLog(self._store, board, frames, self._metrics)
        self._follow_where_it_is(board, board_log)
        followed = self._boards[board] = _Board(board_log, frames, subscribers)
        return followed

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """The stream has ended. No switch point: socket writers call it from the event loop."""
        name = subscriber.board.board
        followed = self._boards.get(name)
        if followed is not None and followed.frames is subscriber.board:
            followed.subscribers.discard(subscriber)
            if not followed.subscribers:
                self._drop(name)
        elif self._ended:
            for each in self._ended:
                each.subscribers.discard(subscriber)
            self._ended = [each for each in self._ended if each.subscribers]

    def _drop(self, name: str) -> None:
        """Follow a board no longer. No switch point."""
        if followed := self._boards.pop(name, None):
            self._past_resets += followed.frames.resets
            for feed in list(self._feeds.values()):
                feed.unwatch(name)

    def followed(self, board: str) -> BoardFrames | None:
        """The board's frames, if its position is known; then the board exists."""
        followed = self._boards.get(board)
        if followed is None or followed.frames.is_ended or not followed.frames.cursor:
            return None
        return followed.frames

    @property
    def open_streams(self) -> int:
        return sum(len(each.subscribers) for each in (*self._boards.values(), *self._ended))

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
        boards = (*self._boards.values(), *self._ended)
        return [each for followed in boards for each in followed.subscribers]

    def _arrange(self) -> None:
        """Have each board followed on the server that has it, and on no other.

        No switch point, so no stream begins or ends halfway. A feed that has lost its last board
        stays until the next change: streams that come and go cost no connections.
        """
        access = self._topology.shard_of(self._keys.workers)
        if access is not None:
            self._feed(access)
        for name, followed in list(self._boards.items()):
            if name in self._boards:  # the last stream of another may end by what it gets
                self._follow_where_it_is(name, followed.log)
        for shard, feed in list(self._feeds.items()):
            if self._topology.is_sharded:
                feed.follow_access(is_here=shard is access)
            if shard is not access and not feed.logs:
                del self._feeds[shard]
                feed.stop()
            else:
                feed.on_topology_changed()
        self._promotions.see(self._topology.shards())

    def _follow_where_it_is(self, name: str, board_log: BoardLog) -> None:
        if self.is_draining:
            return  # a feed that began now would have no end
        shard = self._topology.shard_of(self._keys.board(name).board)
        feed = self._feed(shard) if shard is not None else None
        for each in self._feeds.values():
            if each is not feed:
                each.unwatch(name)
        if feed is None:
            board_log.degrade()  # no server is known to have it
            self._doubt.set()
        elif name not in feed.logs:
            feed.watch(name, board_log)

    def _feed(self, shard: Shard) -> Feed:
        """The feed of a server; begins to follow it if there is none."""
        if shard not in self._feeds:
            feed = self._feeds[shard] = Feed(
                shard, self._store, self._keys, self._metrics, process=self._process,
                is_sharded=self._topology.is_sharded,
                on_access_changed=lambda payload: self.on_access_changed(payload),  # noqa: PLW0108 - looked up at each call
                on_moved=self._doubt.set, on_reset=self._count_reset,
            )  # fmt: skip
            feed.start()
        return self._feeds[shard]

    def _note_promotions(self) -> None:
        """Tell operators of each promotion. No switch point."""
        if self._promotions.has_untold:
            marking = {
                shard.address for shard, feed in self._feeds.items() if not feed.is_marked
            }  # fmt: skip
            self._promotions.tell(marking)

    def _count_reset(self, change: Change, names: Sequence[str]) -> None:
        """Count the streams that a promotion or a slot move resets. No switch point."""
        found = [self._boards[each] for each in names if each in self._boards]
        streams = sum(len(each.subscribers) for each in found)
        self._promotions.count(change, boards=len(found), streams=streams)

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
        self._promotions.begin(self._topology.shards())
        for feed in self._feeds.values():
            feed.check(now)
        self._note_promotions()
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


def _close_each(subscribers: set[Subscriber]) -> None:
    for each in list(subscribers):  # one may end by that
        each.close()

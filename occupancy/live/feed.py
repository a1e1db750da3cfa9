"""A feed: live delivery from one server, by its reader and its probe.

A single server has one feed. In a Cluster each primary that has watched boards, or the keys of access,
has one, and a failure of it concerns only the streams of its boards.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

import gevent

from occupancy.core.keys import Keys
from occupancy.live.board_log import NEW_S, BoardLog, LogReader
from occupancy.live.probe import Probe
from occupancy.live.reader import SILENCE_S, Reader, published_entry
from occupancy.observability.metrics import LiveMetrics
from occupancy.storage.topology.shard import Shard

log = logging.getLogger(__name__)


class Feed:
    """One per server and process; it is its reader's listener.

    ``logs`` has the log of each watched board of the server by the board's name, and the owner adds
    to it and takes from it. ``on_moved`` is called when the server no longer has a board; it, and
    ``on_access_changed``, do not wait.
    """

    def __init__(
        self, shard: Shard, store: LogReader, keys: Keys, metrics: LiveMetrics, *, process: str,
        is_sharded: bool, on_access_changed: Callable[[bytes | None], None],
        on_moved: Callable[[], None],
    ) -> None:  # fmt: skip
        self.shard = shard
        self.logs: dict[str, BoardLog] = {}
        self.is_degraded = False
        self.on_access_changed = on_access_changed
        self._on_moved = on_moved
        self._is_sharded = is_sharded
        self._was_live_at = time.monotonic()
        self._has_seen_another_format = False
        self._greenlets: list[gevent.Greenlet] = []
        self.reader = Reader(
            shard.pubsub_pool, keys, metrics, self,
            process=process, is_sharded=is_sharded,
        )  # fmt: skip
        channel = keys.canary_channel(process)
        self.probe = Probe(
            store, self.reader, lambda: self.logs.values(),
            send_canary=(
                self.reader.ping if is_sharded else lambda: shard.client.publish(channel, "")
            ),
            on_live=self._on_live,
        )  # fmt: skip

    def start(self) -> None:
        """Begin to read."""
        loops = [self.reader.run, self.probe.send_canaries, self.probe.compare_logs]
        if self._is_sharded:
            loops.append(self.reader.keep_subscribed)
        self._was_live_at = time.monotonic()
        self._greenlets = [gevent.spawn(each) for each in loops]

    def stop(self) -> None:
        """End the greenlets, and so the connection."""
        gevent.killall(self._greenlets)

    @property
    def trouble(self) -> str | None:
        """Why live delivery from this server does not work right now; None while it does."""
        if trouble := self.reader.trouble:
            return trouble
        return None if self.probe.is_settled else "what was missed is not read yet"

    def watch(self, board: str, board_log: BoardLog) -> None:
        """Follow a board of this server from now on. No switch point."""
        # Heard already, before its position is read: nothing is missing.
        board_log.settled = self.reader.subscription_of(board)
        self.logs[board] = board_log
        if self.is_degraded:
            board_log.degrade()
        if self._is_sharded:
            self.reader.watch(board)

    def unwatch(self, board: str) -> None:
        """The board has no stream any more, or another server has it. No switch point."""
        if self.logs.pop(board, None) is not None and self._is_sharded:
            self.reader.unwatch(board)

    def check(self, now: float) -> None:
        """Tell the streams if live delivery is impaired and the reader has not noticed it."""
        trouble = self.trouble
        if trouble is None:
            self._was_live_at = now
        elif now - min(self.reader.heard_at, self._was_live_at) > SILENCE_S:
            self.on_unreachable(trouble)  # something hangs: the reader notices later, or never
        if self._is_sharded:
            for each in self._unsubscribed():
                if now - each.followed_since > NEW_S:
                    each.degrade()

    # The reader's listener. No method has a switch point.

    def on_entry(self, board: str, payload: bytes) -> None:
        if (board_log := self.logs.get(board)) is None:
            return
        try:
            board_log.offer(*published_entry(payload))
        except ValueError:
            # Perhaps another version's: the log has what happened.
            if not self._has_seen_another_format:
                self._has_seen_another_format = True
                log.warning("a message for %s is not one of ours: %r", board, payload[:80])
            board_log.catch_up_soon()

    def on_subscribed(self) -> None:
        self.probe.probe_now()

    def on_unsubscribed(self) -> None:
        self._on_moved()

    def _on_live(self) -> None:
        self._was_live_at = time.monotonic()
        if self.is_degraded:
            self.is_degraded = False  # each board tells its streams once it has caught up
            log.warning("live delivery works again%s", self._by)

    def on_unreachable(self, why: object) -> None:
        if not self.is_degraded:
            self.is_degraded = True
            log.error("live delivery does not work, streams are degraded%s: %s", self._by, why)
        for each in self.logs.values():
            each.degrade()
        if self._is_sharded:
            self._on_moved()  # perhaps another server has them now

    @property
    def _by(self) -> str:
        return f" ({self.shard.address})" if self.shard.address else ""

    def _unsubscribed(self) -> Iterable[BoardLog]:
        return [
            each for board, each in self.logs.items()
            if self.reader.subscription_of(board) is None
        ]  # fmt: skip

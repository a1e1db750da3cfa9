"""A feed: live delivery from one server, by its reader and its probe.

A single server has one feed. In a Cluster each primary that has watched boards, or the keys of
access, has one, and its failure concerns only the streams of its boards. The reader hears what is
published; the probe finds what it did not hear, because a publication may be lost:

* It sends a *canary* every two seconds, which shows that publications reach the reader. In a
  Cluster it is a PING on the live connection itself.
* It compares each board's position with the end of its log. While publications are heard, it
  compares only boards that were silent since the last probe. So without the live connection every
  event still comes, some seconds late. One round trip reads the ends of all logs, and a board
  that is behind catches up in a separate greenlet, which delays no other.

Invariants:

* A board is *settled* under a subscription after a probe that began with that subscription: it
  found what was published before, and the reader hears the rest. Numbers of subscriptions do not
  come again, so a board that comes from another feed, or comes back, is not settled.
* Where the server's incarnation has risen, the probe puts the mark into a board's log before it
  asks where the log ends. So the position is before the mark, and the log no longer knows it: all
  streams of the board are reset, and ``recovered`` comes after that. No publication leads past the
  mark, because the first of the new incarnation follows it (``BoardLog.offer``).
* One feed at a time follows a board. What an earlier one still hears or finds changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event

from occupancy.core.entities import Entry
from occupancy.core.keys import Keys
from occupancy.live.board_log import BoardLog, LogReader
from occupancy.live.reader import PROBE_S, SILENCE_S, Reader
from occupancy.observability.metrics import LiveMetrics
from occupancy.observability.periodic import repeat
from occupancy.observability.promotions import Change
from occupancy.storage.topology.shard import Shard

log = logging.getLogger(__name__)

_OF_BOARD = b"board "  # begins a message about the board itself; an entry begins with a cursor
_BOARDS_AT_ONCE = 500  # in a round trip
_NEW_S = 1.0  # a board that is followed for less is not expected to be settled yet
_OPENING_S = 0.1  # until a board that has just been subscribed to has read its position


class Feed:
    """One per server and process; it is its reader's listener.

    ``on_reset`` gets the boards that a rise of the incarnation resets. ``on_moved`` is called
    when another server may have the boards. It does not wait, and nor do the others.
    """

    def __init__(
        self, shard: Shard, store: LogReader, keys: Keys, metrics: LiveMetrics, *, process: str,
        is_sharded: bool, on_access_changed: Callable[[bytes | None], None],
        on_moved: Callable[[], None], on_reset: Callable[[Change, Sequence[str]], None],
    ) -> None:  # fmt: skip
        self.logs: dict[str, BoardLog] = {}  # of the server's watched boards, by their names
        self.is_degraded = False
        self.on_access_changed = on_access_changed
        self.reader = Reader(
            shard.pubsub_pool, keys, metrics, self, process=process, is_sharded=is_sharded
        )
        self._shard = shard
        self._store = store
        self._keys = keys
        self._on_moved = on_moved
        self._on_reset = on_reset
        self._is_sharded = is_sharded
        self._canary_channel = keys.canary_channel(process)
        self._was_live_at = time.monotonic()
        self._has_seen_another_format = False
        self._wake = Event()
        self._silent_due_at = 0.0  # monotonic; when silent boards are compared again
        self._greenlets: list[gevent.Greenlet] = []

    def start(self) -> None:
        """Begin to read and to probe."""
        loops: list[Callable[[], object]] = [
            self.reader.run,
            lambda: repeat("a canary", self._send_canary, every_s=PROBE_S),
            lambda: repeat("a look at the logs", self._probe, every_s=PROBE_S, wake=self._wake),
        ]
        if self._is_sharded:
            loops.append(self.reader.keep_subscribed)
        self._was_live_at = time.monotonic()
        self._greenlets = [gevent.spawn(each) for each in loops]

    def stop(self) -> None:
        """End the greenlets, and so the connection, in a moment. No switch point."""
        gevent.killall(self._greenlets, block=False)

    # Boards. No method has a switch point: streams end inside the event loop.

    def watch(self, board: str, board_log: BoardLog) -> None:
        """Follow a board of this server from now on."""
        board_log.followed_since = time.monotonic()
        self.logs[board] = board_log
        if self._is_sharded:
            board_log.settled = None  # it may have come from another feed
            self.reader.want(self._keys.board(board).channel, board)
            self.probe_now()  # an earlier subscription to it may not have ended yet
        else:
            # Before its position is read it is heard by the pattern, and marked (``open``).
            board_log.settled = self.reader.subscription_of(board)
            board_log.incarnation = self._shard.incarnation
            board_log.has_incarnation = True
        if self.is_degraded:
            board_log.degrade()  # last, because a stream that takes nothing may end by it

    def unwatch(self, board: str) -> None:
        """The board has no stream any more, or another server has it."""
        if self.logs.pop(board, None) is not None and self._is_sharded:
            self.reader.want_no_more(self._keys.board(board).channel)

    def follow_access(self, *, is_here: bool) -> None:
        """Hear the announcements of access, or not. One server of a Cluster has them."""
        change = self.reader.want if is_here else self.reader.want_no_more
        change(self._keys.access_channel)

    def on_topology_changed(self) -> None:
        """Another server may be at the address, or this one have another incarnation."""
        self.reader.connect_now()
        self.probe_now()

    def probe_now(self) -> None:
        """Compare without waiting for the next probe."""
        self._wake.set()

    # State

    @property
    def is_marked(self) -> bool:
        """Whether the mark of the server's incarnation was looked for in every board's log."""
        incarnation = self._shard.incarnation
        opened = [each for each in self.logs.values() if each.cursor and each.has_incarnation]
        return all(each.incarnation == incarnation for each in opened)

    @property
    def trouble(self) -> str | None:
        """Why live delivery from this server does not work right now; None while it does."""
        if trouble := self.reader.trouble:
            return trouble
        if self.reader.lacks(self._keys.access_channel):
            return "changes of access are not heard"
        now = time.monotonic()
        if all(
            self._is_settled(each)
            for each in self.logs.values()
            if each.settled is not None or now - each.followed_since > _NEW_S
        ):
            return None
        return "what was missed is not read yet"

    def check(self, now: float) -> None:
        """Tell the streams if live delivery is impaired and the reader has not noticed it."""
        trouble = self.trouble
        if trouble is None:
            self._was_live_at = now
        elif now - min(self.reader.heard_at, self._was_live_at) > SILENCE_S:
            self.on_unreachable(trouble)  # something hangs: the reader notices later, or never
        if trouble is not None and self._is_sharded:
            for board, each in list(self.logs.items()):  # a stream may end by what it gets
                is_heard = self.reader.subscription_of(board) is not None
                if not is_heard and now - each.followed_since > _NEW_S:
                    each.degrade()

    def _is_settled(self, board_log: BoardLog) -> bool:
        heard_by = self.reader.subscription_of(board_log.board)
        return (
            heard_by is not None
            and board_log.settled == heard_by
            and board_log.incarnation == self._shard.incarnation
        )

    # The probe

    def _send_canary(self) -> None:
        if self._is_sharded:
            self.reader.send(("PING",))
        else:  # a server that takes no writes still publishes
            self._shard.client.publish(self._canary_channel, "")

    def _probe(self) -> None:
        now = time.monotonic()
        is_whole = now >= self._silent_due_at
        if is_whole:
            self._silent_due_at = now + PROBE_S - _OPENING_S
        self.compare(is_whole=is_whole)

    def compare(self, *, is_whole: bool = True) -> None:
        """Compare positions with the ends of the logs; of silent boards if ``is_whole``. Raises."""
        was_live = self.reader.trouble is None
        due = [
            each for each in self.logs.values()
            if (is_whole and each.is_silent()) or each.is_degraded or not self._is_settled(each)
        ]  # fmt: skip
        # A board without a position is about to read it. Then it has not been looked at since.
        opened = [each for each in due if each.cursor]
        for first in range(0, len(opened), _BOARDS_AT_ONCE):
            self._compare(opened[first : first + _BOARDS_AT_ONCE])
        if len(opened) < len(due) and was_live and self._is_sharded:
            gevent.spawn_later(_OPENING_S, self.probe_now)
        if was_live and self.reader.trouble is None:
            self._on_live()

    def _compare(self, due: list[BoardLog]) -> None:
        change = Change.of(self._shard)
        incarnation, reset = change.incarnation, list[str]()
        began = [(each, each.cursor, self.reader.subscription_of(each.board)) for each in due]
        if unmarked := [each.board for each in due if each.incarnation != incarnation]:
            self._store.promote(unmarked)  # a reply says that the script has run, not that it wrote
        heads = self._store.heads([each.board for each in due])
        for (each, asked_at, heard_by), found in zip(began, heads, strict=True):
            cursor, seq, settings_version = found
            if self.logs.get(each.board) is not each:
                continue  # another feed has it meanwhile, or its streams have ended
            # Its position is from before the mark, wherever it was followed until now.
            if each.has_incarnation and each.incarnation < incarnation:
                reset.append(each.board)
            each.incarnation = incarnation
            each.has_incarnation = True
            is_live = heard_by is not None and heard_by == self.reader.subscription_of(each.board)
            each.compare(asked_at, (cursor, seq), is_live=is_live)
            each.note_settings(settings_version)
            if is_live:
                each.settled = heard_by
        if reset:
            self._on_reset(change, reset)

    def _on_live(self) -> None:
        self._was_live_at = time.monotonic()
        if self.is_degraded:
            self.is_degraded = False  # each board tells its streams once it has caught up
            log.warning("live delivery works again%s", self._by)

    # The reader's listener. No method has a switch point.

    def on_entry(self, board: str, payload: bytes) -> None:
        if (board_log := self.logs.get(board)) is None:
            return
        if payload.startswith(_OF_BOARD):
            _on_board(board_log, payload.removeprefix(_OF_BOARD))
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
        self.probe_now()

    def on_unsubscribed(self) -> None:
        self._on_moved()

    def on_unreachable(self, why: object) -> None:
        if not self.is_degraded:
            self.is_degraded = True
            log.error("live delivery does not work, streams are degraded%s: %s", self._by, why)
        for each in list(self.logs.values()):  # a stream may end by what it gets
            each.degrade()
        self._on_moved()  # perhaps another server has them now

    @property
    def _by(self) -> str:
        return f" ({self._shard.address})" if self._shard.address else ""


def _on_board(board_log: BoardLog, what: bytes) -> None:
    """Take a message about the board: new settings, or its removal. No switch point."""
    if what.isdigit():
        board_log.note_settings(int(what))
    else:
        board_log.catch_up_soon()  # the log says that it was removed


def published_entry(payload: bytes) -> tuple[str, Entry]:
    """The cursor that a published entry follows, and the entry.

    Raises ValueError for a payload of another format.
    """
    previous, cursor, seq, event = payload.split(b" ", 3)
    return previous.decode("ascii"), Entry(cursor.decode("ascii"), int(seq), event)

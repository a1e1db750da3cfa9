"""Where the code says that no greenlet switch may lie, and the places that this holds for.

Each claim has the text of its line in the product, and the places that ``switch_guard.py`` guards
while the tests run. ``tests/test_switch_points.py`` finds claims that are missing here.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.support.switch_guard import Place, functions_of


class Claim(NamedTuple):
    """What a line of ``module`` says, and the ``places`` where a switch would make it false."""

    module: str
    text: str
    places: tuple[Place, ...]


def claim(module: str, text: str, *places: Place | str) -> Claim:
    """``places`` in the same module may be given by their qualified names alone."""
    return Claim(module, text, tuple(Place(module, p) if isinstance(p, str) else p for p in places))


def methods(module: str, owner: str, *, but: tuple[str, ...] = ()) -> tuple[Place, ...]:
    """All methods of a class, except the constructor and ``but``."""
    left_out = {f"{owner}.{name}" for name in ("__init__", *but)}
    found = [
        name for name in functions_of(module)
        if name.startswith(f"{owner}.") and "<locals>" not in name and name not in left_out
    ]  # fmt: skip
    assert found, f"{owner} has no methods"
    return tuple(Place(module, name) for name in found)


def among(module: str, owner: str, *names: str) -> tuple[Place, ...]:
    """The named methods of a class."""
    return tuple(Place(module, f"{owner}.{name}") for name in names)


_BROADCASTER = "occupancy.live.broadcaster"
_BOARD_FRAMES = "occupancy.live.board_frames"
_BOARD_LOG = "occupancy.live.board_log"
_FEED = "occupancy.live.feed"
_HUB = "occupancy.live.hub"
_READER = "occupancy.live.reader"
_SUBSCRIBER = "occupancy.live.subscriber"
_WRITER = "occupancy.live.socket_writer"
_OPEN_STREAM = "occupancy.web.open_stream"
_FAST_STREAMS = "occupancy.server.fast.streams"
_LISTENER = "occupancy.server.listener"
_PROCESS = "occupancy.server.process"
_READ_TURNS = "occupancy.access.read_turns"
_PIN_QUEUE = "occupancy.access.pin_queue"
_QUEUE = "occupancy.storage.fair_queue"
_SNAPSHOTS = "occupancy.boards.snapshot_cache"
_TOPOLOGY = "occupancy.storage.topology"
_SHARED = (
    (f"{_TOPOLOGY}.single", "SingleServer"),
    (f"{_TOPOLOGY}.sentinel", "Sentinel"),
    (f"{_TOPOLOGY}.cluster", "Cluster"),
)

_FOR_THE_BROADCASTER = among(
    _SUBSCRIBER, "Subscriber", "push", "owe_reset", "heartbeat", "close", "abandon", "end",
    "stalled_s", "attach", "is_ending", "next_piece", "coded", "_notify",
)  # fmt: skip
_FEED_LISTENS = among(
    _FEED, "Feed", "on_entry", "on_subscribed", "on_unsubscribed", "on_unreachable"
)
_ACCESS_LISTENS = Place("occupancy.live.revocation", "Revocation.on_announcement")
_FRAMES_SINK = ("is_full", "begin", "deliver", "restart", "change_state", "change_settings", "end")
_FROM_THE_LOOP = (
    Place(_LISTENER, "Listener.do_read"),
    *among(_FAST_STREAMS, "FastStreams", "accept", "_keep", "_accept"),
)
_BEGIN_ACCEPTED = (
    Place(_FAST_STREAMS, "FastStreams.begin_accepted"),
    Place(_FAST_STREAMS, "FastStreams._go_on", "left = [", "self.begin_accepted()"),
)
_SINCE_TO_LIVE = (
    Place(_SUBSCRIBER, "Subscriber._join", "(missed := board.since(", "(missed := board.since("),
    Place(_SUBSCRIBER, "Subscriber._join", "if reset is not None:", "self.go_live(missed)"),
    Place(_SUBSCRIBER, "Subscriber.go_live"),
)

CLAIMS = (
    # access
    claim(
        _PIN_QUEUE,
        "No switch point lies between finding a place and taking it.",
        Place(_PIN_QUEUE, "PinQueue.place", "if any(", "self._taken.update("),
    ),
    claim(
        _READ_TURNS,
        "here happen without a switch point; ``wait`` is one itself.",
        *methods(_READ_TURNS, "ReadTurns", but=("wait", "go_on", "_wait")),
        Place(_READ_TURNS, "ReadTurns.wait", "if self._may_begin(share):", "raise _too_many()"),
        Place(_READ_TURNS, "ReadTurns._wait", "", "self._watchers[0].start("),
        Place(_READ_TURNS, "ReadTurns._wait", "# waited too long, or killed", "del queues["),
    ),
    # boards
    claim(
        "occupancy.boards.catalog.index",
        "is_listed`` is None if that is unknown. No switch point.",
        "BoardIndex.saw",
    ),
    claim(
        _SNAPSHOTS,
        "Only reads from the server, and waiting for one, are switch points.",
        *among(_SNAPSHOTS, "SnapshotResponse", "after", "plain", "_parts"),
        Place(_SNAPSHOTS, "SnapshotCache._keep"),
        Place(
            _SNAPSHOTS, "SnapshotCache._current", "if cached.next_read is None:", "gevent.spawn("
        ),
        Place(
            _SNAPSHOTS, "SnapshotCache._read", "if cached.response is not None:", "return cached."
        ),
        Place(_SNAPSHOTS, "SnapshotCache._sweep", "until_s = ", "del self._boards["),
    ),
    # live
    claim(_BROADCASTER, "see Subscriber. No method may switch.", *_FOR_THE_BROADCASTER),
    claim(
        _BROADCASTER,
        "``yield_if_due`` may switch. After a failure",
        Place(_BROADCASTER, "Channel.hand_out", unless=("Broadcaster._yield_if_due",)),
        Place(_BROADCASTER, "_hand_part", unless=("Broadcaster._yield_if_due",)),
    ),
    claim(
        _BROADCASTER,
        "and have it handed out. No switch point.",
        Place(_BROADCASTER, "Broadcaster.add"),
        *among(_BROADCASTER, "Channel", "append", "take"),
    ),
    claim(
        _BOARD_LOG,
        "because ``offer`` never waits.",
        *among(_BOARD_LOG, "BoardLog", "_keep", "_begin_catching_up", "catch_up_soon"),
    ),
    claim(
        _BOARD_LOG,
        "Reads from Redis and waits for room are switch points and happen under",
        *among(_BOARD_LOG, "BoardLog", "_take_in", "_deliver"),
        Place(_BOARD_LOG, "BoardLog._deliver_page", "expected = range(", "return False"),
    ),
    claim(_BOARD_LOG, "has no switch point. So nobody else acts on", "BoardLog.offer"),
    claim(
        _BOARD_LOG,
        "published just now, after the cursor ``previous``. No switch point.",
        *among(_BOARD_LOG, "BoardLog", "is_silent", "degrade"),
    ),
    claim(
        _BOARD_LOG,
        "Catch up if the log's end is not the position. No switch point.",
        *among(_BOARD_LOG, "BoardLog", "compare", "_recover_if_heard"),
    ),
    claim(_BOARD_LOG, "and tell the streams a new one. No switch point.", "BoardLog.note_settings"),
    claim(
        _BOARD_LOG,
        "else nobody ran since the loop found none.",
        Place(
            _BOARD_LOG,
            "BoardLog._catch_up_alone",
            "self._recover_if_heard()",
            "self._catching_up = None",
        ),
    ),
    claim(
        _BOARD_FRAMES,
        "The position moves in the same step, without a switch point",
        *among(_BOARD_FRAMES, "BoardFrames", "deliver", "restart", "begin"),
    ),
    claim(
        _BOARD_FRAMES,
        "The log's sink. Only ``wait_for_room`` may switch.",
        *among(_BOARD_FRAMES, "BoardFrames", *_FRAMES_SINK),
    ),
    claim(
        _BOARD_FRAMES,
        "For the streams. No method has a switch point.",
        *methods(_BOARD_FRAMES, "BoardFrames", but=("wait_for_room", *_FRAMES_SINK)),
    ),
    claim(_FEED, "when another server may have the boards. It does not wait", _ACCESS_LISTENS),
    claim(_FEED, "and so the connection, in a moment. No switch point.", "Feed.stop"),
    claim(
        _FEED,
        "# Boards. No method has a switch point",
        *among(
            _FEED, "Feed", "watch", "unwatch", "follow_access", "on_topology_changed", "probe_now"
        ),
    ),
    claim(_FEED, "new settings, or its removal. No switch point.", "_on_board"),
    claim(_FEED, "The reader's listener. No method has a switch point.", *_FEED_LISTENS),
    claim(_HUB, "The stream has ended. No switch point", "Hub.unsubscribe"),
    claim(_HUB, "Follow a board no longer. No switch point.", "Hub._drop"),
    claim(
        _HUB,
        "No switch point, so no stream begins or ends halfway.",
        *among(_HUB, "Hub", "_arrange", "_follow_where_it_is"),
    ),
    claim(_HUB, "Tell operators of each promotion. No switch point.", "Hub._note_promotions"),
    claim(_HUB, "a slot move resets. No switch point.", "Hub._count_reset"),
    claim(
        _READER,
        "listener that does not wait either.",
        Place(_READER, "Reader._take"),
        Place(_READER, "Reader._on_confirmed"),
    ),
    claim(
        _READER,
        "Gets the messages that the reader reads. No method may switch.",
        *_FEED_LISTENS,
        _ACCESS_LISTENS,
    ),
    claim(_READER, "or to that of access; no switch point.", "Reader.want"),
    claim(_READER, "Unsubscribe soon; no switch point", "Reader.want_no_more"),
    claim(_READER, "that are due now, noted as sent. No switch point.", "Reader._changes"),
    claim(_WRITER, "may block or switch:", *methods(_WRITER, "SocketWriter"), "has_ended"),
    claim(
        _SUBSCRIBER, "is ``since()`` followed by ``is_live = True`` with no switch", *_SINCE_TO_LIVE
    ),
    claim(_SUBSCRIBER, "None of these has a switch point.", *_FOR_THE_BROADCASTER),
    claim(
        _SUBSCRIBER,
        "No switch point lies between next_piece() and wait()",
        Place(
            _SUBSCRIBER, "Subscriber.frames", "(piece := self.next_piece())", "self._wake = Event()"
        ),
    ),
    claim(_SUBSCRIBER, "No switch point from since() to here; see the module.", *_SINCE_TO_LIVE),
    claim(
        _SUBSCRIBER,
        "stream begins with. No switch point may lie between the answer",
        *_SINCE_TO_LIVE,
    ),
    # observability
    claim(
        "occupancy.observability.public_figures",
        "# no switch point since the check",
        Place(
            "occupancy.observability.public_figures",
            "AtMostOnceASecond.__call__",
            "making = self._latest",
            "gevent.spawn(self._outcome)",
        ),
    ),
    claim(
        "occupancy.observability.promotions",
        "that ``change`` resets, seen or not. No switch point.",
        "Promotions.count",
    ),
    claim(
        "occupancy.observability.promotions",
        "and keep it to be recorded. No switch point.",
        "Promotions.tell",
    ),
    # server
    claim(
        "occupancy.server.fast.auth_batcher",
        "False if too many do. No switch point.",
        "AuthBatcher.add",
        "AuthBatcher.take_all",
    ),
    claim(
        _FAST_STREAMS,
        "Empty at each switch point: once another greenlet runs",
        *_FROM_THE_LOOP,
        *_BEGIN_ACCEPTED,
    ),
    claim(
        _FAST_STREAMS,
        "switch point may lie in here, or before the ``begin_accepted``",
        *_FROM_THE_LOOP,
    ),
    claim(_FAST_STREAMS, "no switch point lies between the two.", *_BEGIN_ACCEPTED),
    claim(_FAST_STREAMS, "and hold its place. No switch point.", "FastStreams._open"),
    claim(
        _PROCESS,
        "No switch point between the two: a connection that comes after has a greenlet",
        Place(
            _PROCESS,
            "Process._drain_when_stopped",
            "self._loads.write(None)",
            "self._fast_path.streams.leave()",
        ),
        Place("occupancy.services", "Services.drain", "for shard in", "shard.ops_pool.drain()"),
        Place(_HUB, "Hub.drain", "self.is_draining = True", "subscriber.close()"),
    ),
    # storage
    claim(
        _QUEUE,
        "the wait is a switch point: a put chooses the line",
        *among(_QUEUE, "FairQueue", "put_nowait", "_next_line", "_note_peak", "peak"),
        Place(_QUEUE, "FairQueue.get", "if self.queue:", "self._note_peak(started)"),
        Place(_QUEUE, "FairQueue.get", "if not turn.ready():", "return handed"),
    ),
    claim(
        _QUEUE,
        "There is no switch point up to the raise.",
        Place(_QUEUE, "FairQueue.get", "if turn.ready():", "raise"),
    ),
    claim(
        "occupancy.storage.pool", "to a waiter when it gets them. No switch point", "FairPool.renew"
    ),
    claim(
        f"{_TOPOLOGY}.sentinel_agreement",
        "said last of ``service``. No method has a switch point.",
        *methods(f"{_TOPOLOGY}.sentinel_agreement", "Agreement"),
    ),
    claim(
        f"{_TOPOLOGY}.shard",
        "called after shards or incarnations have changed; never waits",
        Place(f"{_TOPOLOGY}.cluster", "Cluster._apply", "if is_changed:", "self.on_change()"),
        Place(f"{_TOPOLOGY}.sentinel", "Sentinel._move", "pubsub_pool.follow(", "self.on_change()"),
    ),
    claim(
        f"{_TOPOLOGY}.shard",
        "a Cluster's may be none yet. No switch point.",
        *(Place(module, f"{owner}.shards") for module, owner in _SHARED),
    ),
    claim(
        f"{_TOPOLOGY}.shard",
        "None while no server is known to. No switch point.",
        *(Place(module, f"{owner}.shard_of") for module, owner in _SHARED),
    ),
    claim(
        f"{_TOPOLOGY}.cluster",
        "Take over what is newer in ``nodes``. No switch point.",
        "Cluster._apply",
    ),
    claim(
        f"{_TOPOLOGY}.sentinel",
        "Take what a Sentinel says, and follow it. No switch point.",
        "Sentinel._hear",
    ),
    claim(
        f"{_TOPOLOGY}.sentinel",
        "Use another primary from now on. No switch point.",
        "Sentinel._move",
    ),
    # web
    claim(
        _OPEN_STREAM,
        "``connection``, and nothing is yielded. No switch point may lie between",
        Place(_OPEN_STREAM, "OpenStream.begin", "frames = b", "self._hand_over("),
        Place(
            _FAST_STREAMS, "FastStreams.begin", "first, missed = ", "missed=missed, first=first)"
        ),
    ),
    claim(
        _OPEN_STREAM,
        "No switch point lies in here: the writer may not end",
        "OpenStream._hand_over",
    ),
)

# Lines that speak of switches, or of waiting, and claim nothing of the kind.
NO_CLAIMS = (
    ("occupancy.server.sockets", "Reading data that has arrived is no switch point"),
    ("occupancy.access.authenticator", "the others do not wait for this question"),
    ("occupancy.access.read_turns", "Operations do not wait here"),
    ("occupancy.access.sessions", "wallboard is switched off at night"),
    ("occupancy.boards.holder_names", "sets a mark in the same step"),
    ("occupancy.core.slices", "an operation has some five switch points"),
    ("occupancy.live.pacing", "an operation that needs several switches"),
    ("occupancy.live.reader", "A read that finds data does not switch"),
    ("occupancy.sample.__init__", "loaded and removed in one step each."),
    ("occupancy.web.routes.access.sign_in", "present session in one step."),
)


def guarded_places() -> list[Place]:
    """The places of all claims, each once."""
    return list(dict.fromkeys(place for each in CLAIMS for place in each.places))

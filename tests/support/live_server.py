"""A live connection that the test speaks for, and a feed on it."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from gevent.queue import Queue
from prometheus_client import CollectorRegistry

from occupancy.core.keys import Keys
from occupancy.live.board_frames import BoardFrames
from occupancy.live.board_log import BoardLog
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.live.feed import Feed
from occupancy.observability.metrics import LiveMetrics
from occupancy.observability.promotions import Change
from tests.support.waiting import wait_until

KEYS = Keys("t", is_sharded=True)
BOARD = "b"
CHANNEL = KEYS.board(BOARD).channel


class Server:
    """The server's end of the live connection, and the pool that leads to it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []
        self.pings = 0
        self.is_connected = False
        self.were_connected: list[bool] = []  # when they were given back
        self._sock = object()
        self._replies: Queue[Any] = Queue()

    # As a pool

    def get_connection(self) -> Server:
        self.is_connected = True
        return self

    def release(self, connection: Server) -> None:
        self.were_connected.append(self.is_connected)

    # As a connection

    def pack_commands(self, commands: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
        return commands

    def send_packed_command(self, commands: Sequence[tuple[str, ...]]) -> None:
        self.sent += [each for each in commands if each != ("PING",)]
        self.pings += commands.count(("PING",))

    def send_command(self, *command: str) -> None:
        self.sent.append(command)

    def read_response(self) -> Any:
        reply = self._replies.get()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def disconnect(self) -> None:
        self.is_connected = False

    # What it says

    def says_at_once(self, *replies: Any) -> None:
        """Send this; the reader reads it when it runs next."""
        for each in replies:
            self._replies.put(each)

    @property
    def unread(self) -> int:
        return int(self._replies.qsize())

    def says(self, *replies: Any) -> None:
        """Send this, and wait until it is read."""
        for each in replies:
            self._replies.put(each)
        wait_until(self._replies.empty, what="the replies to be read")
        gevent.sleep(0)

    def confirms(self, kind: str = "ssubscribe", channel: str = CHANNEL) -> None:
        self.says([kind.encode(), channel.encode(), 1])

    def until_sent(self, *commands: tuple[str, ...]) -> None:
        wait_until(lambda: self.sent == list(commands), what=f"{commands} to be sent")
        self.sent.clear()


class Log:
    """The logs' ends; ``at_read`` runs while one is read."""

    def __init__(self) -> None:
        self.at_read: Callable[[], None] = lambda: None
        self.calls: list[str] = []

    def heads(self, boards: Sequence[str]) -> list[tuple[str, int, int]]:
        self.calls.append("heads")
        self.at_read()
        return [("5-1", 5, 0)] * len(boards)

    def promote(self, boards: Sequence[str]) -> None:
        self.calls.append("promote")


def shard_of(server: Server, incarnation: int = 0) -> Any:
    """The shard that the server is the primary of; its operations lead nowhere."""
    client = types.SimpleNamespace(publish=lambda channel, message: None)
    return types.SimpleNamespace(
        pubsub_pool=server,
        address="",
        incarnation=incarnation,
        client=client,
        has_taken_slots=False,
    )


def feed_on(
    server: Server, log: Log, *, incarnation: int = 0, keys: Keys = KEYS,
    on_access_changed: Callable[[bytes | None], None] = lambda payload: None,
    on_moved: Callable[[], None] = lambda: None,
    on_reset: Callable[[Change, Sequence[str]], None] = lambda change, names: None,
) -> Feed:  # fmt: skip
    store: Any = log
    return Feed(
        shard_of(server, incarnation), store, keys, LiveMetrics(CollectorRegistry()), process="p",
        is_sharded=keys is KEYS, on_access_changed=on_access_changed, on_moved=on_moved,
        on_reset=on_reset,
    )  # fmt: skip


def opened_log() -> BoardLog:
    """A log at its end."""
    metrics = LiveMetrics(CollectorRegistry())
    channel, store = Channel(set(), metrics), Log()
    frames = BoardFrames(BOARD, channel, Broadcaster(), metrics)
    made = BoardLog(store, BOARD, frames, metrics)  # type: ignore[arg-type] # it is not replayed
    made.cursor, made.seq = "5-1", 5
    return made

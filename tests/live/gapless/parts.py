"""A board's log and its streams without a store, for tests of what they deliver.

The log is a list here, so that a test decides what happens at each switch point.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from prometheus_client import CollectorRegistry

from occupancy.core.entities import Entry, Replay
from occupancy.core.errors import BoardNotFound
from occupancy.live.board_frames import BoardFrames
from occupancy.live.board_log import BoardLog
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.live.subscriber import Subscriber
from occupancy.observability.metrics import LiveMetrics


class Log:
    """A board's log, with the answers of Store.replay; each of its reads is a switch point."""

    def __init__(self, entries: int = 0) -> None:
        self.entries: list[Entry] = []
        self.seq = 0
        self.reads = 0
        self.is_removed = False
        self.failure: Exception | None = None
        self.at_switch: Callable[[], None] = lambda: None
        self._ms = 1_763_838_000_000
        self._first_is_there = True
        self.head = "0-0"
        for _ in range(entries):
            self.append()

    def append(self, size: int = 0) -> Entry:
        self.seq += 1
        self._ms += 1
        previous, self.head = self.head, f"{self._ms}-0"
        event = json.dumps(
            {"seq": self.seq, "cursor": self.head, "previous": previous, "filler": "x" * size}
        )
        entry = Entry(self.head, self.seq, event.encode())
        self.entries.append(entry)
        return entry

    def trim(self, kept: int) -> None:
        self.entries = self.entries[-kept:]
        self._first_is_there = False

    def lose(self, entries: int) -> None:
        """The server has lost its last entries in a crash and goes on counting from there."""
        del self.entries[len(self.entries) - entries :]
        self.seq -= entries
        self.head = self.entries[-1].cursor if self.entries else "0-0"

    def promote(self, boards: Sequence[str]) -> None:
        pass

    def replay(self, _board: str, cursor: str, count: int) -> Replay:
        self.reads += 1
        self.at_switch()
        gevent.sleep(0)
        if self.failure is not None:
            raise self.failure
        if self.is_removed:
            raise BoardNotFound("There is no board b.")
        answer = self._answer(cursor, count)
        gevent.sleep(0)
        self.at_switch()
        return answer

    def _answer(self, cursor: str, count: int) -> Replay:
        if cursor in ("", self.head):
            return Replay(True, self.head, self.seq, [], 0)
        cursors = [entry.cursor for entry in self.entries]
        if cursor in cursors:
            start = cursors.index(cursor) + 1
        elif cursor == "0-0" and self._first_is_there and self.entries:
            start = 0
        else:
            return Replay(False, self.head, self.seq, [], 0)
        return Replay(True, self.head, self.seq, self.entries[start : start + count], 0)


class Board:
    """A board's parts, as the hub connects them."""

    def __init__(self, log: Any, name: str = "b", *, makes_rounds: bool = True) -> None:
        metrics = LiveMetrics(CollectorRegistry())
        self.subscribers: set[Subscriber] = set()
        self.broadcaster = Broadcaster()
        self.channel = Channel(self.subscribers, metrics)
        self.frames = BoardFrames(name, self.channel, self.broadcaster, metrics)
        self.log = BoardLog(log, name, self.frames, metrics)
        if makes_rounds:
            gevent.spawn(self.broadcaster.run)


class Stream:
    """A subscriber with the greenlet that reads it, as the route and the hub would run them."""

    def __init__(self, board: Board, cursor: str | None = None) -> None:
        self.subscriber = Subscriber(board.log, board.frames)
        self.received = b""
        self.largest = 0
        self.is_stalled = False
        self.after_piece: Callable[[], None] = lambda: gevent.sleep(0)
        board.subscribers.add(self.subscriber)
        self._board = board
        self._greenlet = gevent.spawn(self._read, cursor)

    def _read(self, cursor: str | None) -> None:
        for piece in self.subscriber.frames(cursor):
            self.received += piece
            self.largest = max(self.largest, len(piece))
            self.after_piece()
            while self.is_stalled:
                gevent.sleep(0.001)

    def until_live(self) -> Stream:
        with gevent.Timeout(5):
            while b"event: ready" not in self.received:
                assert not self._greenlet.ready(), self._greenlet.exception
                gevent.sleep(0)
        return self

    def until_idle(self) -> Stream:
        """Until it has written all that the board has taken in."""
        with gevent.Timeout(5):
            while self.is_busy():
                gevent.sleep(0)
        return self

    def is_busy(self) -> bool:
        one = self.subscriber
        is_handing = one.is_live and one.number < self._board.channel.number
        is_writing = one._writing_since is not None
        return bool(is_handing or is_writing or one._pieces or one._overflowed)

    def end(self) -> Stream:
        """Read all that was handed to it, close it, and read it to its end."""
        self.is_stalled = False
        self.until_idle()
        self.subscriber.close()
        self._greenlet.get(timeout=5)
        self._board.subscribers.discard(self.subscriber)
        return self

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(kind, id, data) of everything that came, with bye left out."""
        found = []
        for block in self.received.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in fields and fields["event"] != "bye":
                found.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
        return found

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.events()]

    def seqs(self) -> list[int]:
        return [data["seq"] for kind, _, data in self.events() if kind == "item"]


def publish(board: Board, log: Log, size: int = 0) -> None:
    """Write an entry, publish it, and wait until it has been dealt with."""
    offer(board, log.append(size))
    settle(board)


def offer(board: Board, entry: Entry) -> None:
    board.log.offer(json.loads(entry.event)["previous"], entry)


def settle(board: Board) -> None:
    """Until the board does not catch up any more."""
    with gevent.Timeout(5):
        while board.log._catching_up is not None:
            gevent.sleep(0)


def follow(stream: Stream, cursor: str | None, log: Log) -> None:
    """Checks as a client would: contiguous from its position, and at the log's end at last."""
    seq = None
    if cursor is not None:
        seq = next((entry.seq for entry in log.entries if entry.cursor == cursor), None)
        seq = 0 if cursor == "0-0" else seq
    position = cursor
    for kind, last_id, data in stream.events():
        if kind == "item":
            if seq is not None:
                assert data["seq"] == seq + 1
            seq, position = data["seq"], last_id
            assert data["cursor"] == last_id
        elif kind in ("reset", "ready"):
            if kind == "ready" and seq is not None:
                assert (data["seq"], data["cursor"]) == (seq, position)
            seq, position = data["seq"], data["cursor"]
            assert last_id == position
    assert (seq, position) == (log.seq, log.head)

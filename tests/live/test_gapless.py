"""A board's log and its streams: every entry after the cursor, in order, once, or a reset.

The log is a list here, so that a test decides what happens at each switch point; the last tests
use a real store.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event
from prometheus_client import CollectorRegistry

from occupancy.boards.commands import Command
from occupancy.core.entities import Entry, Person, Replay
from occupancy.core.errors import BoardNotFound, StoreUnavailable
from occupancy.core.transitions import PUT
from occupancy.live.board_frames import BoardFrames
from occupancy.live.board_log import BoardLog
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.live.pacing import GZIP_ROUND_BYTES, ROUND_BYTES
from occupancy.live.subscriber import BUFFER_BYTES, Subscriber
from occupancy.observability.metrics import LiveMetrics
from occupancy.services import Services
from tests.support.waiting import wait_until


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


# The position


def test_a_new_feed_stands_at_the_end_of_the_log() -> None:
    log = Log(5)
    board = Board(log)
    board.log.open()
    assert (board.log.cursor, board.log.seq) == (log.head, 5)


def test_a_thousand_that_open_it_at_once_ask_the_log_once() -> None:
    log = Log(5)
    board = Board(log)
    gevent.joinall([gevent.spawn(board.log.open) for _ in range(1000)], raise_error=True)
    assert log.reads == 1


def test_a_board_that_does_not_exist_is_not_opened_by_whoever_catches_up() -> None:
    log = Log(0)
    log.is_removed = True
    board = Board(log)
    board.log.catch_up()
    assert board.log.cursor == ""
    with pytest.raises(BoardNotFound):
        board.log.open()
    assert board.log.cursor == ""


def test_an_entry_that_follows_is_delivered_without_reading_the_log() -> None:
    log = Log(2)
    board = Board(log)
    stream = Stream(board).until_live()
    reads = log.reads
    for _ in range(3):
        publish(board, log)
    assert log.reads == reads
    assert stream.end().seqs() == [3, 4, 5]


@pytest.mark.parametrize("missing", [1, 2, 99, 100, 101, 250])
def test_a_hole_is_filled_from_the_log(missing: int) -> None:
    log = Log(2)
    board = Board(log)
    stream = Stream(board).until_live()
    for _ in range(missing):
        log.append()
    publish(board, log)
    assert stream.end().seqs() == list(range(3, missing + 4))


def test_what_was_published_twice_or_late_is_delivered_once() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    first, second, third = log.append(), log.append(), log.append()
    for entry in (first, first, third, second, first, third):
        offer(board, entry)
    settle(board)
    assert stream.end().seqs() == [1, 2, 3]


def test_nothing_published_at_all_is_found_by_the_probe() -> None:
    log = Log(1)
    board = Board(log)
    stream = Stream(board).until_live()
    for _ in range(130):
        log.append()
    board.log.catch_up()
    board.log.catch_up()
    assert stream.end().seqs() == list(range(2, 132))


def test_a_failure_leaves_the_position_where_it_was_and_the_next_entry_fills_the_hole() -> None:
    log = Log(1)
    board = Board(log)
    stream = Stream(board).until_live()
    log.append()
    log.failure = StoreUnavailable("down")
    publish(board, log)
    with pytest.raises(StoreUnavailable):
        board.log.catch_up()
    settle(board)
    assert board.log.seq == 1
    log.failure = None
    publish(board, log)
    assert stream.end().seqs() == [2, 3, 4]


def test_a_log_that_cannot_be_read_is_told_once_whatever_is_published(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log(1)
    board = Board(log)
    stream = Stream(board).until_live()
    for failure in (StoreUnavailable("down"), RuntimeError("a mistake")):
        log.append()
        for _ in range(20):
            log.failure = failure
            publish(board, log)
            settle(board)
        log.failure = None
        publish(board, log)
        settle(board)
    assert len(caplog.messages) == 2
    assert stream.end().seqs() == list(range(2, log.seq + 1))


def test_an_entry_before_the_feed_was_opened_does_no_harm() -> None:
    log = Log(3)
    board = Board(log)
    publish(board, log)
    board.log.open()
    assert (board.log.cursor, board.log.seq) == (log.head, 4)
    publish(board, log)
    assert board.log.seq == 5


def test_an_entry_that_does_not_follow_the_position_is_never_delivered() -> None:
    """Of another database, another server, or made up: its seq fits, and it follows another."""
    log = Log(3)
    board = Board(log)
    stream = Stream(board).until_live()
    board.log.offer(
        "1763838000009-0", Entry("1763838000010-0", 4, b'{"seq":4,"of":"somebody else"}')
    )
    settle(board)
    board.log.offer(
        board.log.cursor, Entry("1763838000010-0", 7, b'{"seq":7,"of":"somebody else"}')
    )
    settle(board)
    publish(board, log)
    stream.end()
    assert stream.seqs() == [4]
    assert stream.kinds() == ["ready", "item"]
    follow(stream, None, log)


@pytest.mark.parametrize("cursor", ["x-0", "-", "", "1-x"])
def test_what_is_no_entry_changes_nothing(cursor: str) -> None:
    log = Log(3)
    board = Board(log)
    board.log.open()
    before = board.log.cursor, board.log.seq, board.channel.number
    for seq in (0, 3, 4, 5):
        for previous in (board.log.cursor, "1-0", ""):
            with contextlib.suppress(ValueError):
                board.log.offer(previous, Entry(cursor, seq, b"{}"))
            settle(board)
            assert (board.log.cursor, board.log.seq, board.channel.number) == before


# Offering an entry never waits


class Gate:
    """Holds up reads of a log while it is shut."""

    def __init__(self, log: Log) -> None:
        self._is_open = Event()
        log.at_switch = self._is_open.wait

    def open(self) -> None:
        self._is_open.set()


def test_who_offers_entries_waits_neither_for_the_log_nor_for_room() -> None:
    log = Log(1)
    board = Board(log, makes_rounds=False)
    board.log.open()
    gate = Gate(log)
    turns = 0

    def another() -> None:
        nonlocal turns
        turns += 1

    gevent.spawn(another)
    log.append()  # is lost
    for _ in range(100):
        offer(board, log.append(2000))
    assert turns == 0  # nobody else has run
    assert board.log.seq == 1
    gate.open()
    board.broadcaster.wait_for_room = lambda: None  # type: ignore[method-assign]
    settle(board)
    for _ in range(100):
        offer(board, log.append(2000))
    settle(board)
    assert (board.log.cursor, board.log.seq) == (log.head, 202)


def test_what_comes_while_the_log_is_read_is_not_read_again() -> None:
    """Otherwise a board with constant changes would be read from the log for ever."""
    log = Log(1)
    board = Board(log)
    stream = Stream(board).until_live()
    gate = Gate(log)
    log.append()
    offer(board, log.append())
    gevent.sleep(0)
    answered, answer = [], log._answer

    def answer_as_of_now(cursor: str, count: int) -> Replay:
        answered.append(answer(cursor, count))
        for _ in range(5):
            offer(board, log.append())
        return answered[-1]

    log._answer = answer_as_of_now  # type: ignore[method-assign]
    gate.open()
    settle(board)
    assert len(answered) == 1
    assert stream.end().seqs() == list(range(2, log.seq + 1))


def test_what_waits_for_the_log_is_bounded_and_the_rest_is_read_from_there() -> None:
    log = Log(1)
    board = Board(log)
    board.log.open()
    gate = Gate(log)
    log.append()
    for _ in range(300):
        offer(board, log.append(10_000))
        assert board.log._kept_bytes <= 1024 * 1024
        assert sum(len(entry.event) for _, entry in board.log._kept) == board.log._kept_bytes
    gate.open()
    settle(board)
    assert (board.log.cursor, board.log.seq) == (log.head, log.seq)


def test_a_reading_that_fails_for_a_stream_is_made_again_for_the_feed() -> None:
    log = Log(1)
    board = Board(log)
    board.log.open()
    gate = Gate(log)
    joining = gevent.spawn(board.log.catch_up)
    gevent.sleep(0)  # it has the lock, and waits for the log
    log.append()
    offer(board, log.append())
    log.failure = StoreUnavailable("down")
    gate.open()
    with pytest.raises(StoreUnavailable):
        joining.get(timeout=5)
    log.failure = None
    settle(board)
    assert (board.log.cursor, board.log.seq) == (log.head, 3)


def test_a_reading_that_ends_between_two_entries_is_made_again_for_the_feed() -> None:
    """As with a stream whose client goes away while it waits for room."""
    log = Log(1)
    board = Board(log)
    board.log.open()
    live = Stream(board).until_live()
    while not board.frames.is_full:
        publish(board, log, size=ROUND_BYTES // 2)
    for _ in range(5):
        log.append(size=ROUND_BYTES)
    joining = gevent.spawn(board.log.catch_up)
    board.log.catch_up_soon()  # comes after that one, and relies on its reading
    while board.log.seq == log.seq - 5:
        gevent.sleep(0)
    joining.kill()
    settle(board)
    assert (board.log.cursor, board.log.seq) == (log.head, log.seq)
    live.end()


@pytest.mark.thorough
def test_while_reads_fail_now_and_then_streams_get_exactly_the_log() -> None:
    for seed in range(100):
        dice = random.Random(seed)
        log = Log(3)
        board = Board(log)
        streams = [Stream(board).until_live() for _ in range(3)]

        def fail_or_not(log: Log = log, dice: random.Random = dice) -> None:
            log.failure = StoreUnavailable("down") if dice.random() < 0.5 else None

        log.at_switch = fail_or_not
        asked: list[str] = []
        for _ in range(60):
            entry = log.append(dice.choice([0, 3000, 20_000]))
            if dice.random() < 0.8:
                offer(board, entry)
            if dice.random() < 0.2:
                asked.append(board.log.cursor)
            if asked and dice.random() < 0.3:
                board.log.compare(asked.pop(), (log.head, log.seq), is_live=True)
            for _ in range(dice.randrange(4)):
                gevent.sleep(0)
        log.at_switch, log.failure = lambda: None, None
        settle(board)
        board.log.compare(board.log.cursor, (log.head, log.seq), is_live=True)
        settle(board)
        for stream in streams:
            follow(stream.end(), None, log)


# Impaired


def test_a_stream_that_joins_while_live_delivery_is_impaired_is_told_after_its_ready() -> None:
    log = Log(5)
    board = Board(log)
    before = Stream(board).until_live()
    board.log.degrade()
    board.log.degrade()
    meanwhile = Stream(board, log.entries[2].cursor).until_live()
    log.append()
    board.log.compare(board.log.cursor, (log.head, log.seq), is_live=False)
    settle(board)
    log.append()
    board.log.compare(board.log.cursor, (log.head, log.seq), is_live=True)
    settle(board)
    after = Stream(board).until_live()
    publish(board, log)
    assert before.end().kinds() == ["ready", "degraded", "item", "item", "recovered", "item"]
    assert meanwhile.end().kinds() == [
        "item", "item", "ready", "degraded", "item", "item", "recovered", "item",
    ]  # fmt: skip
    assert after.end().kinds() == ["ready", "item"]
    for stream in (before, meanwhile, after):
        follow(stream, None, log)


def test_streams_are_told_that_it_works_again_only_when_they_have_what_they_missed() -> None:
    log = Log(1)
    board = Board(log)
    stream = Stream(board).until_live()
    board.log.degrade()
    log.append()
    log.failure = StoreUnavailable("down")
    board.log.compare(board.log.cursor, (log.head, log.seq), is_live=True)
    settle(board)
    assert board.frames.degraded
    log.failure = None
    board.log.compare(board.log.cursor, (log.head, log.seq), is_live=True)
    settle(board)
    assert stream.end().kinds() == ["ready", "degraded", "item", "recovered"]


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_a_slow_stream_that_is_reset_is_told_how_live_delivery_is_now(changes: int) -> None:
    log = Log(1)
    board = Board(log)
    stream = Stream(board).until_live()
    stream.until_idle().is_stalled = True
    for _ in range(30):
        publish(board, log, size=BUFFER_BYTES // 20)
    for change in range(changes):
        if change % 2:
            board.log.compare(board.log.cursor, (log.head, log.seq), is_live=True)
        else:
            board.log.degrade()
    stream.end()
    assert stream.kinds()[-2:] == ["reset", "degraded" if changes % 2 else "recovered"]


# Rounds that fail


class Failing(Subscriber):
    """A stream that cannot be handed what it is to get, as often as it is told."""

    failures = 0

    def push(self, payload: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("made to fail")
        super().push(payload)


def test_a_stream_that_cannot_be_handed_its_events_is_reset_and_the_others_get_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log(1)
    board = Board(log)
    streams = [Stream(board) for _ in range(9)]
    failing = streams[4].subscriber = Failing(board.log, board.frames)
    board.subscribers.clear()
    board.subscribers.update(each.subscriber for each in streams)
    for stream in streams:
        stream.until_live()
    failing.failures = 1
    for _ in range(3):
        publish(board, log)
        gevent.sleep(0.001)
    for stream in streams:
        stream.end()
        follow(stream, None, log)
        assert ("reset" in stream.kinds()) == (stream.subscriber is failing)
    assert "made to fail" in caplog.text
    assert board.frames.resets == 1


@pytest.mark.parametrize("reached", [0, 1, 2, 5])
@pytest.mark.parametrize("size", [0, 30_000])
def test_streams_that_a_failing_round_does_not_reach_are_reset(reached: int, size: int) -> None:
    log = Log(1)
    board = Board(log)
    streams = [Stream(board) for _ in range(60)]
    for stream in streams:
        stream.until_live()
    looks = 0

    def yield_if_due() -> None:
        nonlocal looks
        looks += 1
        if looks > reached:
            raise RuntimeError("made to fail")

    add = board.broadcaster.add
    board.broadcaster.add = (  # type: ignore[method-assign] # this test makes the round
        lambda channel, frame, written_ms=None: channel.append(frame, written_ms)
    )
    for _ in range(3):
        offer(board, log.append(size))
    with pytest.raises(RuntimeError):
        board.channel.hand_out(board.channel.take(), yield_if_due)
    board.broadcaster.add = add  # type: ignore[method-assign]
    settle(board)
    publish(board, log)
    for stream in streams:
        follow(stream.end(), None, log)
    are_reset = ["reset" in stream.kinds() for stream in streams]
    assert any(are_reset)
    assert all(are_reset) == (reached == 0 or size > 0)


# The log lost


def test_a_log_that_no_longer_holds_the_position_resets_the_streams() -> None:
    log = Log(5)
    board = Board(log)
    stream = Stream(board).until_live()
    for _ in range(50):
        log.append()
    log.trim(3)
    publish(board, log)
    publish(board, log)
    stream.end()
    assert stream.kinds() == ["ready", "reset", "item"]
    reset = stream.events()[1]
    assert reset[1] == reset[2]["cursor"]
    assert reset[2]["seq"] == 56
    assert reset[2]["snapshot"] == "/api/boards/b/items"
    assert reset[2]["reason"]
    assert stream.seqs() == [57]
    assert board.frames.resets == 1


@pytest.mark.parametrize("again", [0, 1, 2, 3, 4, 5])
def test_a_log_rewritten_with_old_seqs_resets_the_streams(again: int) -> None:
    """The server lost three entries that we have shown, and counts the same seqs once more."""
    log = Log(5)
    board = Board(log)
    stream = Stream(board).until_live()
    log.lose(3)
    for _ in range(again):
        publish(board, log)
    board.log.catch_up()
    for _ in range(2):
        publish(board, log)
    stream.end()
    assert (board.log.cursor, board.log.seq) == (log.head, log.seq)
    assert stream.kinds().count("reset") == 1
    follow(stream, None, log)


def test_an_entry_that_the_log_itself_lacks_resets_the_streams() -> None:
    log = Log(5)
    board = Board(log)
    stream = Stream(board).until_live()
    log.append()
    del log.entries[-1]  # somebody has deleted it by hand
    publish(board, log)
    assert stream.end().kinds() == ["ready", "reset"]


def test_an_emptied_server_resets_the_streams_and_its_new_log_is_followed() -> None:
    log = Log(5)
    board = Board(log)
    stream = Stream(board).until_live()
    log.lose(5)
    board.log.catch_up()
    publish(board, log)
    assert stream.end().kinds() == ["ready", "reset", "item"]
    assert stream.seqs() == [1]


def test_a_board_that_is_gone_resets_the_streams() -> None:
    log = Log(5)
    board = Board(log)
    stream = Stream(board).until_live()
    log.is_removed = True
    for _ in range(3):
        board.log.catch_up()  # as each probe does
    assert stream.end().kinds() == ["ready", "reset"]


# Too slow


def test_a_stream_that_is_too_slow_is_reset_and_then_goes_on() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    stream.until_idle().is_stalled = True
    publish(board, log)
    while b"event: item" not in stream.received:
        gevent.sleep(0)  # until it has written the first; now it stands still
    for _ in range(30):
        publish(board, log, size=BUFFER_BYTES // 20)
    stream.is_stalled = False
    stream.until_idle()
    publish(board, log)
    stream.end()
    assert stream.kinds() == ["ready", "item", "reset", "item"]
    assert stream.seqs() == [1, 32]
    assert stream.events()[2][2]["seq"] == 31
    assert board.frames.resets == 1


def test_what_is_kept_for_a_slow_stream_is_bounded() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    stream.is_stalled = True
    publish(board, log)
    gevent.sleep(0)
    for _ in range(500):
        publish(board, log, size=1000)
        kept = sum(len(frame) for frame in stream.subscriber._pieces)
        assert kept <= BUFFER_BYTES
    stream.end()


def test_up_to_the_bound_nothing_is_dropped_and_pieces_are_small() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    stream.is_stalled = True
    for _ in range(60):
        publish(board, log, size=900)
    assert stream.end().seqs() == list(range(1, 61))
    assert stream.largest <= 17 * 1024


def test_one_slow_stream_costs_the_others_nothing() -> None:
    log = Log()
    board = Board(log)
    slow, quick = Stream(board).until_live(), Stream(board).until_live()
    slow.is_stalled = True
    for _ in range(200):
        publish(board, log, size=1000)
        gevent.sleep(0)
    assert quick.end().seqs() == list(range(1, 201))
    assert "reset" in slow.end().kinds()


# Joining


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


@pytest.mark.parametrize("entries", [0, 1, 99, 100, 101, 350])
def test_a_stream_from_the_beginning_gets_the_whole_log(entries: int) -> None:
    log = Log(entries)
    stream = Stream(Board(log), "0-0").until_live().end()
    assert stream.seqs() == list(range(1, entries + 1))
    assert stream.kinds() == ["item"] * entries + ["ready"]


def test_a_stream_without_a_cursor_gets_what_comes() -> None:
    log = Log(10)
    board = Board(log)
    stream = Stream(board).until_live()
    publish(board, log)
    assert stream.end().seqs() == [11]


def test_a_stream_that_was_away_for_a_moment_is_served_from_memory() -> None:
    log = Log(3)
    board = Board(log)
    board.log.open()
    opened_at = board.log.cursor
    for _ in range(20):
        publish(board, log)
    reads = log.reads
    for entry in log.entries[2:]:
        stream = Stream(board, entry.cursor).until_live().end()
        assert stream.seqs() == list(range(entry.seq + 1, 24))
    assert opened_at == log.entries[2].cursor
    assert log.reads == reads


def test_the_memory_is_bounded_and_what_is_older_comes_from_the_log() -> None:
    log = Log(1)
    board = Board(log)
    board.log.open()
    for _ in range(300):
        publish(board, log, size=2000)
    assert sum(len(frame) for _, frame in board.frames._recent._frames) <= 128 * 1024
    for start in (0, 100, 230, 250, 299):
        stream = Stream(board, log.entries[start].cursor).until_live().end()
        assert stream.seqs() == list(range(start + 2, 302))


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense", "1-1", "99999999999999-0", "1763838000003-1", "1763838000001", "é", "$",
        "18446744073709551616-0", "0-99999999999999999999",
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_of_the_log_is_reset(cursor: str) -> None:
    log = Log(5)
    board = Board(log)
    stream = Stream(board, cursor).until_live()
    publish(board, log)
    stream.end()
    assert stream.kinds() == ["reset", "ready", "item"]
    assert stream.events()[0][2] | {"reason": ""} == {
        "cursor": log.entries[4].cursor, "seq": 5, "snapshot": "/api/boards/b/items", "reason": "",
    }  # fmt: skip


def test_a_trimmed_cursor_is_reset() -> None:
    log = Log(50)
    old = log.entries[3].cursor
    log.trim(10)
    for cursor in (old, "0-0"):
        assert Stream(Board(log), cursor).until_live().end().kinds() == ["reset", "ready"]


def test_a_store_that_fails_while_joining_ends_the_stream_as_degraded() -> None:
    log = Log(5)
    log.failure = StoreUnavailable("The store is down.")
    stream = Stream(Board(log), "0-0")
    stream._greenlet.get(timeout=5)
    assert stream.events() == [("degraded", "", {"detail": "The store is down."})]


@pytest.mark.parametrize("is_published", [True, False])
@pytest.mark.parametrize("moment", range(14))
def test_an_entry_at_any_switch_point_of_joining_arrives_once(
    moment: int, is_published: bool
) -> None:
    """One run for each switch point; what is not published is left to the next entry."""
    log = Log(230)
    board = Board(log)
    passed = 0

    def at_switch() -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            entry = log.append()
            if is_published:
                offer(board, entry)  # is kept while the joining greenlet has the board
                gevent.sleep(0)

    log.at_switch = at_switch
    stream = Stream(board, log.entries[9].cursor)
    stream.after_piece = at_switch
    stream.until_live()
    log.at_switch = lambda: None
    stream.after_piece = lambda: None
    publish(board, log)
    stream.end()
    assert passed >= 10
    assert stream.seqs() == list(range(11, log.seq + 1))
    assert stream.kinds().count("ready") == 1
    assert "reset" not in stream.kinds()


def chaos(seed: int, *, is_losing: bool) -> None:
    """Several streams join at any moment while entries are written, lost on the way and found."""
    dice = random.Random(seed)
    log = Log(dice.choice([0, 1, 5, 120, 260]))
    board = Board(log)
    published: list[Entry] = []
    is_over = False

    def act() -> None:
        for _ in range(dice.choice([0, 0, 1, 1, 3])):
            entry = log.append(dice.choice([0, 0, 0, 3000]))
            if dice.random() < 0.8:
                published.append(entry)
        if is_losing and log.entries and dice.random() < 0.1:
            log.lose(dice.randrange(1, min(4, len(log.entries)) + 1))
            published.clear()
            published.append(Entry("", -1, b""))  # the connection died too: subscribe, catch up
        elif is_losing and dice.random() < 0.05:
            log.trim(20)

    def after_piece() -> None:
        if dice.random() < 0.3 and not is_over:
            act()
        gevent.sleep(0)

    def listen() -> None:
        """The hub's reader."""
        while not is_over or published:
            if published:
                entry = published.pop(0)
                offer(board, entry) if entry.seq >= 0 else board.log.catch_up_soon()
            gevent.sleep(0)

    log.at_switch = act
    reader = gevent.spawn(listen)
    streams: list[tuple[str | None, Stream]] = []
    for _ in range(6):
        cursors = [None, "0-0", *[entry.cursor for entry in log.entries]]
        cursor = dice.choice([dice.choice(cursors), cursors[-1]])
        stream = Stream(board, cursor)
        stream.after_piece = after_piece
        streams.append((cursor, stream))
        for _ in range(dice.randrange(6)):
            gevent.sleep(0)
            if dice.random() < 0.2:
                act()
    for _, stream in streams:
        stream.until_live()
    log.at_switch = lambda: None
    is_over = True
    reader.get(timeout=5)
    board.log.catch_up()
    for cursor, stream in streams:
        follow(stream.end(), None if is_losing else cursor, log)
        if not is_losing and cursor is not None and "reset" not in stream.kinds():
            start = next((e.seq for e in log.entries if e.cursor == cursor), 0)
            assert stream.seqs() == list(range(start + 1, log.seq + 1))


@pytest.mark.thorough
def test_streams_that_join_in_the_midst_of_everything_get_exactly_the_log() -> None:
    for seed in range(100):
        chaos(seed, is_losing=False)


def test_streams_are_reset_and_never_left_with_a_hole_when_the_log_is_lost() -> None:
    for seed in range(100):
        chaos(seed, is_losing=True)


# The end


def test_closing_says_bye_with_a_retry_of_its_own() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    publish(board, log)
    stream.end()
    assert stream.seqs() == [1]
    assert re.search(rb"retry: \d+\n\nevent: bye\ndata: \{\}\n\n$", stream.received)


def test_an_abandoned_stream_ends_without_a_word_and_hangs_up() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    received = stream.received
    hung_up = []
    stream.subscriber.hang_up = lambda: hung_up.append(True)
    stream.subscriber.abandon()
    stream._greenlet.get(timeout=5)
    assert stream.received == received
    assert hung_up == [True]


def test_a_heartbeat_comes_unless_something_waits_to_be_written() -> None:
    log = Log()
    board = Board(log)
    stream = Stream(board).until_live()
    stream.is_stalled = True
    for _ in range(2):  # one that it is stalled in, and one that waits
        publish(board, log)
        wait_until(lambda: stream.subscriber.number == board.channel.number)
        gevent.sleep(0)
    assert stream.subscriber._pieces
    stream.subscriber.heartbeat()  # the event waits: it is sign of life enough
    stream.is_stalled = False
    stream.until_idle()
    assert b":\n\n" not in stream.received
    stream.subscriber.heartbeat()
    gevent.sleep(0)
    assert stream.received.endswith(b":\n\n")
    stream.end()


# On a real store


@pytest.fixture
def shop(valkey_services: Services) -> Iterator[Services]:
    yield valkey_services


def add(shop: Services, *tags: str) -> None:
    actor = Person("93", "Worker 93")
    shop.store.commands.execute(Command("main", PUT, tags, actor=actor, items=[{}] * len(tags)))


def real_stream(shop: Services, cursor: str | None) -> Stream:
    return Stream(Board(shop.store.log, "main"), cursor)


def test_a_real_log_is_read_from_its_beginning(shop: Services) -> None:
    add(shop, *[f"T-{number}" for number in range(40)])
    assert real_stream(shop, "0-0").until_live().end().seqs() == list(range(1, 41))


@pytest.mark.parametrize(
    "cursor",
    [
        "1-1", "9999999999999-0", "18446744073709551615-18446744073709551615",
        "18446744073709551616-0", "0-99999999999999999999", "00-0",
    ],
)  # fmt: skip
def test_a_made_up_cursor_on_a_real_log_is_reset(shop: Services, cursor: str) -> None:
    add(shop, "A")
    stream = real_stream(shop, cursor).until_live().end()
    assert stream.kinds() == ["reset", "ready"]


@pytest.mark.parametrize(
    ("has_plain", "shrinks", "turn_bytes"),
    [
        (False, True, GZIP_ROUND_BYTES),
        (False, False, ROUND_BYTES),
        (True, True, ROUND_BYTES),  # it has joined since the last round
        (True, False, ROUND_BYTES),
    ],
)
def test_more_may_wait_for_a_round_only_where_all_take_it_compressed_and_it_shrinks(
    monkeypatch: pytest.MonkeyPatch, has_plain: bool, shrinks: bool, turn_bytes: int
) -> None:
    board = Board(Log(0))
    channel = board.channel
    waits: list[int] = []
    monkeypatch.setattr(
        board.broadcaster, "wait_for_room", lambda: waits.append(channel._pending_bytes)
    )
    channel.has_plain, channel._shrinks = has_plain, shrinks
    for channel._pending_bytes in (turn_bytes - 1, turn_bytes):
        board.frames.wait_for_room()
    assert waits == [turn_bytes]

"""Offering an entry never waits, neither for the log nor for room."""

from __future__ import annotations

import random

import gevent
import pytest
from gevent.event import Event

from occupancy.core.entities import Replay
from occupancy.core.errors import StoreUnavailable
from occupancy.live.pacing import ROUND_BYTES
from tests.live.gapless.parts import Board, Log, Stream, follow, offer, publish, settle


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

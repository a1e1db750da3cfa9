"""The position in the log: each entry is delivered once, in order, and holes are filled."""

from __future__ import annotations

import contextlib

import gevent
import pytest

from occupancy.core.entities import Entry
from occupancy.core.errors import BoardNotFound, StoreUnavailable
from tests.live.gapless.parts import Board, Log, Stream, follow, offer, publish, settle


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

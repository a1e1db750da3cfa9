"""A log that no longer holds the position resets the streams."""

from __future__ import annotations

import pytest

from tests.live.gapless.parts import Board, Log, Stream, follow, publish


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

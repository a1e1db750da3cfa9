"""Streams that are too slow: bounded, reset, and at the cost of nobody else."""

from __future__ import annotations

import gevent
import pytest

from occupancy.live.pacing import GZIP_ROUND_BYTES, ROUND_BYTES
from occupancy.live.subscriber import BUFFER_BYTES
from tests.live.gapless.parts import Board, Log, Stream, publish


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
    kept = []
    for _ in range(500):
        publish(board, log, size=1000)
        kept.append(sum(len(frame) for frame in stream.subscriber._pieces))
    assert BUFFER_BYTES / 4 < max(kept) <= BUFFER_BYTES  # a round has up to a half of it
    assert "reset" in stream.end().kinds()


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

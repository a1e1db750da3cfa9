"""Live delivery that is impaired, and rounds that fail: streams are told or reset."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from occupancy.core.errors import StoreUnavailable
from occupancy.live.subscriber import BUFFER_BYTES, Subscriber
from tests.live.gapless.parts import Board, Log, Stream, follow, offer, publish, settle

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

"""What live delivery counts: each event once for each stream, each reset once, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from occupancy.core.entities import Entry, Replay
from occupancy.core.errors import BoardNotFound
from occupancy.live.board_frames import BoardFrames
from occupancy.live.board_log import BoardLog
from occupancy.live.broadcaster import Broadcaster, Channel
from occupancy.live.subscriber import Subscriber
from occupancy.observability.metrics import LiveMetrics


class Log:
    """An empty log that knows no cursor but its end."""

    def promote(self, boards: Any) -> None: ...

    def heads(self, boards: Any) -> Any: ...

    def replay(self, board: str, cursor: str, count: int) -> Replay:
        if board != "b":
            raise BoardNotFound(board)
        return Replay(cursor in ("", "1-1"), "1-1", 1, [], 0)


class Board:
    """A board whose rounds the test makes; it counts into a registry of its own."""

    def __init__(self, streams: int = 0) -> None:
        self.registry = CollectorRegistry()
        metrics = LiveMetrics(self.registry)
        self.subscribers: set[Subscriber] = set()
        self.channel = Channel(self.subscribers, metrics)
        self.frames = BoardFrames("b", self.channel, Broadcaster(), metrics)
        self.log = BoardLog(Log(), "b", self.frames, metrics)
        self.log.open()
        for _ in range(streams):
            self.open().go_live([])

    def open(self) -> Subscriber:
        subscriber = Subscriber(self.log, self.frames)
        self.subscribers.add(subscriber)
        return subscriber

    def deliver(self, *seqs: int) -> None:
        for seq in seqs:
            self.frames.deliver(Entry(f"{seq}-1", seq, b"{}"), written_ms=seq)

    def hand_out(self) -> None:
        self.channel.hand_out(self.channel.take(), lambda: None)

    def count(self, name: str) -> float | None:
        return self.registry.get_sample_value(name)


def test_a_delivery_is_an_event_for_a_stream() -> None:
    board = Board(streams=3)
    board.deliver(2, 3)
    board.hand_out()
    assert board.count("occupancy_deliveries_total") == 6
    assert board.count("occupancy_delivery_delay_seconds_count") == 2
    board.deliver(4)
    board.hand_out()
    assert board.count("occupancy_deliveries_total") == 9
    assert board.count("occupancy_delivery_delay_seconds_count") == 3


@pytest.mark.parametrize(
    "notice",
    [
        lambda board: board.frames.change_state(is_degraded=True),
        lambda board: board.frames.restart("9-1", 9, 0),
    ],
)
def test_a_notice_is_no_delivery(notice: Callable[[Board], None]) -> None:
    board = Board(streams=3)
    notice(board)
    board.hand_out()
    assert board.count("occupancy_deliveries_total") == 0
    assert board.count("occupancy_delivery_delay_seconds_count") == 0


def test_each_stream_that_must_load_the_snapshot_again_counts_once() -> None:
    board = Board(streams=2)
    board.frames.restart("1-1", 1, 0)
    assert (board.frames.resets, board.count("occupancy_stream_resets_total")) == (2, 2)
    for lost, resets in ((None, 2), ("1-1", 2), ("7-7", 3), ("nonsense", 4)):
        assert any(b"event: ready" in piece for piece in board.open().join(lost))
        assert board.frames.resets == resets
        assert board.count("occupancy_stream_resets_total") == resets
    slow = board.open()
    slow.go_live([])
    slow.owe_reset()
    slow.owe_reset()
    assert b"event: reset" in (slow.next_piece() or b"")
    assert slow.next_piece() == b""
    assert (board.frames.resets, board.count("occupancy_stream_resets_total")) == (5, 5)

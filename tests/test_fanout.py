"""The fan-out: rounds that join what came meanwhile, and leave the others their time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import gevent
import pytest

from occupancy import fanout
from occupancy.fanout import FanOut, pause_s
from occupancy.feed import Feed
from tests.waiting import wait_until


class Board:
    """Stands for a feed: notes its rounds, and takes as long as it is told for each."""

    def __init__(self) -> None:
        self.rounds = 0
        self.during: Callable[[Callable[[], None]], None] = lambda breathe: None

    def hand_out(self, breathe: Callable[[], None]) -> None:
        self.rounds += 1
        self.during(breathe)


@pytest.fixture
def running() -> Iterator[FanOut]:
    one = FanOut()
    greenlet = gevent.spawn(one.run)
    yield one
    greenlet.kill()


def mark(fan_out: FanOut, board: Any) -> None:
    fan_out.mark(cast(Feed, board))


def test_a_lone_event_waits_for_nothing(running: FanOut) -> None:
    board = Board()
    mark(running, board)
    gevent.sleep(0)
    gevent.sleep(0)
    assert board.rounds == 1


def test_what_comes_during_a_round_is_handed_out_in_the_next(running: FanOut) -> None:
    board = Board()
    board.during = lambda breathe: mark(running, board) if board.rounds == 1 else None
    mark(running, board)
    wait_until(lambda: board.rounds == 2)


def test_a_failing_board_does_not_hold_up_the_others(running: FanOut) -> None:
    failing, other = Board(), Board()

    def fail(breathe: Callable[[], None]) -> None:
        raise RuntimeError("made to fail")

    failing.during = fail
    mark(running, failing)
    mark(running, other)
    wait_until(lambda: other.rounds == 1)
    mark(running, failing)
    wait_until(lambda: failing.rounds == 2)


def test_others_run_in_the_midst_of_a_long_round(
    running: FanOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "_SHORTEST_SLICE_S", 0.0)
    board, turns = Board(), 0

    def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    def work(breathe: Callable[[], None]) -> None:
        before = turns
        for _ in range(1000):
            breathe()
        assert turns > before
        board.rounds = 100

    board.during = work
    greenlet = gevent.spawn(another)
    mark(running, board)
    wait_until(lambda: board.rounds == 100)
    greenlet.kill()


def test_who_takes_in_much_waits_until_it_is_handed_out_without_a_pause(
    running: FanOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "pause_s", lambda took_s: 1000.0)
    board = Board()
    mark(running, board)
    wait_until(lambda: board.rounds == 1)
    mark(running, board)
    gevent.sleep(0.01)
    assert board.rounds == 1  # in the pause
    running.make_room()
    assert board.rounds == 2


def test_nobody_waits_for_room_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "_ROOM_WITHIN_S", 0.01)
    FanOut().make_room()  # its greenlet does not run


@pytest.mark.parametrize(
    ("took_s", "pause"),
    [
        (0.0, 0.0),
        (0.0005, 0.0015),  # a quarter of the process
        (0.01, 0.03),
        (0.03, 0.07),  # no event is later than a tenth of a second
        (0.05, 0.05),
        (0.2, 0.2),  # but the others have half the time, at the least
    ],
)
def test_the_pause_leaves_time_to_others(took_s: float, pause: float) -> None:
    assert pause_s(took_s) == pytest.approx(pause)

"""The broadcaster: rounds that join what came meanwhile, and leave the others their time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import gevent
import pytest

from occupancy.live import broadcaster, pacing
from occupancy.live.broadcaster import Broadcaster, Channel
from tests.support.waiting import wait_until


class Board:
    """Stands for a board's channel: counts its rounds, and takes as long as it is told for each."""

    def __init__(self, streams: int = 1000) -> None:
        self.subscribers = range(streams)
        self.rounds = 0
        self.during: Callable[[Callable[[], None]], None] = lambda yield_if_due: None

    def append(self, frame: bytes, written_ms: int | None) -> None:
        """Nothing: it counts rounds."""

    def take(self) -> None:
        """Nothing: it counts rounds."""

    def hand_out(self, batch: None, yield_if_due: Callable[[], None]) -> None:
        self.rounds += 1
        self.during(yield_if_due)


@pytest.fixture
def running() -> Iterator[Broadcaster]:
    one = Broadcaster()
    greenlet = gevent.spawn(one.run)
    yield one
    greenlet.kill()


def let_others_run() -> None:
    """Some turns of the event loop, for what should not happen to happen."""
    for _ in range(10):
        gevent.sleep(0)


def add(one: Broadcaster, board: Any) -> None:
    one.add(cast(Channel, board), b"")


def test_a_lone_event_waits_for_nothing(running: Broadcaster) -> None:
    board = Board()
    add(running, board)
    gevent.sleep(0)
    gevent.sleep(0)
    assert board.rounds == 1


def test_what_comes_during_a_round_is_handed_out_in_the_next(running: Broadcaster) -> None:
    board = Board()
    board.during = lambda yield_if_due: add(running, board) if board.rounds == 1 else None
    add(running, board)
    wait_until(lambda: board.rounds == 2)


def test_a_failing_board_does_not_hold_up_the_others(running: Broadcaster) -> None:
    failing, other = Board(), Board()

    def fail(yield_if_due: Callable[[], None]) -> None:
        raise RuntimeError("made to fail")

    failing.during = fail
    add(running, failing)
    add(running, other)
    wait_until(lambda: other.rounds == 1)
    add(running, failing)
    wait_until(lambda: failing.rounds == 2)


def test_others_run_in_the_midst_of_a_long_round(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "FIRST_SLICE_S", 0.0)
    board, turns = Board(), 0

    def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    def work(yield_if_due: Callable[[], None]) -> None:
        before = turns
        for _ in range(1000):
            yield_if_due()
        assert turns > before
        board.rounds = 100

    board.during = work
    greenlet = gevent.spawn(another)
    add(running, board)
    wait_until(lambda: board.rounds == 100)
    greenlet.kill()


def test_who_takes_in_much_waits_until_a_round_takes_it_without_a_pause(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "pause_s", lambda *_, is_busy: 1000.0)
    board = Board()
    add(running, board)
    wait_until(lambda: board.rounds == 1)
    add(running, board)
    let_others_run()
    assert board.rounds == 1  # in the pause
    running.wait_for_room()
    assert board.rounds == 2


def test_nobody_waits_for_room_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "_ROOM_WITHIN_S", 0.01)
    Broadcaster().wait_for_room()  # its greenlet does not run


def test_beyond_the_budget_a_lone_event_waits_for_a_second(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "pause_s", lambda *_, is_busy: 0.0)
    board = Board()
    add(running, board)
    wait_until(lambda: board.rounds == 1)
    monkeypatch.setattr(pacing.Allowance, "companion_s", lambda *_: 60.0)
    add(running, board)
    let_others_run()
    assert board.rounds == 1
    add(running, board)
    wait_until(lambda: board.rounds == 2)


def test_few_streams_have_a_lone_event_before_anything_else_runs(running: Broadcaster) -> None:
    few, many = Board(streams=50), Board()
    gevent.sleep(0)
    add(running, few)
    assert few.rounds == 1
    wait_until(lambda: running._is_idle)
    add(running, many)
    assert many.rounds == 0
    wait_until(lambda: many.rounds == 1)


def test_what_comes_right_after_a_lone_event_waits_for_the_pause(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "pause_s", lambda *_, is_busy: 0.02)
    board = Board(streams=50)
    gevent.sleep(0)
    for _ in range(3):
        add(running, board)
    assert board.rounds == 1
    wait_until(lambda: board.rounds == 2)
    wait_until(lambda: running._is_idle)
    assert board.rounds == 2


def test_a_board_of_many_streams_is_never_handed_out_on_the_way(running: Broadcaster) -> None:
    many, few = Board(), Board(streams=50)
    gevent.sleep(0)
    add(running, many)
    add(running, few)
    assert (many.rounds, few.rounds) == (0, 0)
    wait_until(lambda: many.rounds == few.rounds == 1)


@pytest.mark.parametrize(("silence_s", "seen"), [(60.0, True), (0.0, False)])
def test_what_others_did_before_a_silence_makes_no_pause_longer(
    silence_s: float, seen: bool, running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def pause_s(took_s: float, others_s: float, *, is_busy: bool) -> float:
        told.append(is_busy)
        return 0.0

    monkeypatch.setattr(pacing, "pause_s", pause_s)
    monkeypatch.setattr(pacing, "SILENCE_S", silence_s)
    monkeypatch.setattr(pacing, "_BUSY_SHARE", 0.02)  # whatever else this machine does
    board = Board()
    board.during = lambda yield_if_due: gevent.sleep(0.01)
    add(running, board)
    wait_until(lambda: len(told) == 1)
    let_others_run()
    used_up_s = time.process_time() + 0.2
    while time.process_time() < used_up_s:
        pass  # a thousand streams connect
    add(running, board)
    wait_until(lambda: len(told) == 2)
    assert told[1] is seen


def test_while_a_round_is_under_way_there_is_room_for_the_next(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcaster, "_ROOM_WITHIN_S", 60.0)
    board = Board()
    is_under_way = threading.Event()
    may_end = threading.Event()

    def wait(yield_if_due: Callable[[], None]) -> None:
        is_under_way.set()
        may_end.wait(10)

    board.during = wait
    add(running, board)
    with gevent.Timeout(5):
        running.wait_for_room()
        assert is_under_way.wait(5)
        assert not may_end.is_set()
    may_end.set()

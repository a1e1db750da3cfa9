"""The fan-out: rounds that join what came meanwhile, and leave the others their time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import gevent
import pytest

from occupancy.live import broadcaster
from occupancy.live.broadcaster import Broadcaster, pauses_s
from occupancy.live.feed import Feed
from tests.support.waiting import wait_until


class Board:
    """Stands for a feed: notes its rounds, and takes as long as it is told for each."""

    def __init__(self, streams: int = 1000) -> None:
        self.subscribers = range(streams)
        self.rounds = 0
        self.during: Callable[[Callable[[], None]], None] = lambda yield_if_due: None

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


def mark(fan_out: Broadcaster, board: Any) -> None:
    fan_out.mark(cast(Feed, board))


def test_a_lone_event_waits_for_nothing(running: Broadcaster) -> None:
    board = Board()
    mark(running, board)
    gevent.sleep(0)
    gevent.sleep(0)
    assert board.rounds == 1


def test_what_comes_during_a_round_is_handed_out_in_the_next(running: Broadcaster) -> None:
    board = Board()
    board.during = lambda yield_if_due: mark(running, board) if board.rounds == 1 else None
    mark(running, board)
    wait_until(lambda: board.rounds == 2)


def test_a_failing_board_does_not_hold_up_the_others(running: Broadcaster) -> None:
    failing, other = Board(), Board()

    def fail(yield_if_due: Callable[[], None]) -> None:
        raise RuntimeError("made to fail")

    failing.during = fail
    mark(running, failing)
    mark(running, other)
    wait_until(lambda: other.rounds == 1)
    mark(running, failing)
    wait_until(lambda: failing.rounds == 2)


def test_others_run_in_the_midst_of_a_long_round(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcaster, "_SHORTEST_SLICE_S", 0.0)
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
    mark(running, board)
    wait_until(lambda: board.rounds == 100)
    greenlet.kill()


def test_who_takes_in_much_waits_until_a_round_takes_it_without_a_pause(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcaster, "pauses_s", lambda *_, are_others_busy: (1000.0, 1000.0))
    board = Board()
    mark(running, board)
    wait_until(lambda: board.rounds == 1)
    mark(running, board)
    let_others_run()
    assert board.rounds == 1  # in the pause
    running.make_room()
    assert board.rounds == 2


def test_nobody_waits_for_room_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "_ROOM_WITHIN_S", 0.01)
    Broadcaster().make_room()  # its greenlet does not run


@pytest.mark.parametrize(
    ("took_s", "pause", "worth"),
    [
        (0.0, 0.0, 0.0),
        (0.0005, 0.0015, 0.0),  # a quarter of the process; a cheap round needs no company
        (0.007, 0.021, 0.063),
        (0.01, 0.03, 0.06),  # nothing waits for company for longer than a tenth of a second
        (0.03, 0.09, 0.0),
        (0.05, 0.1, 0.0),  # the pause itself is not for longer than three twentieths
        (0.1, 0.05, 0.0),
        (0.2, 0.05, 0.0),  # and after a long one for a quarter of its time
    ],
)
def test_the_pauses_leave_time_to_others_and_wait_for_company(
    took_s: float, pause: float, worth: float
) -> None:
    assert pauses_s(took_s, 0.0, are_others_busy=False) == pytest.approx((pause, worth))


def test_the_pauses_are_longer_where_the_others_are_busy() -> None:
    assert pauses_s(0.002, 0.0, are_others_busy=True) == pytest.approx((0.01, 0.0))
    assert pauses_s(0.05, 0.0, are_others_busy=True) == pytest.approx((0.25, 0.0))
    assert pauses_s(0.1, 0.0, are_others_busy=True) == pytest.approx((0.3, 0.0))
    assert pauses_s(0.3, 0.0, are_others_busy=True) == pytest.approx((0.3, 0.0))
    assert pauses_s(0.1, 0.2, are_others_busy=True) == pytest.approx((0.1, 0.0))
    assert pauses_s(0.1, 0.4, are_others_busy=True) == pytest.approx((0.0, 0.0))


def test_after_a_costly_round_the_next_waits_for_three_events(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcaster, "pauses_s", lambda *_, are_others_busy: (0.0, 60.0))
    board = Board()
    mark(running, board)
    wait_until(lambda: board.rounds == 1)
    for _ in range(2):
        mark(running, board)
        let_others_run()
        assert board.rounds == 1
    mark(running, board)
    wait_until(lambda: board.rounds == 2)


def test_few_streams_have_a_lone_event_before_anything_else_runs(running: Broadcaster) -> None:
    few, many = Board(streams=50), Board()
    gevent.sleep(0)
    mark(running, few)
    assert few.rounds == 1
    wait_until(lambda: running._is_idle)
    mark(running, many)
    assert many.rounds == 0
    wait_until(lambda: many.rounds == 1)


def test_what_comes_right_after_a_lone_event_waits_for_the_pause(
    running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcaster, "pauses_s", lambda *_, are_others_busy: (0.02, 0.0))
    board = Board(streams=50)
    gevent.sleep(0)
    for _ in range(3):
        mark(running, board)
    assert board.rounds == 1
    wait_until(lambda: board.rounds == 2)
    wait_until(lambda: running._is_idle)
    assert board.rounds == 2


def test_a_board_of_many_streams_is_never_handed_out_on_the_way(running: Broadcaster) -> None:
    many, few = Board(), Board(streams=50)
    gevent.sleep(0)
    mark(running, many)
    mark(running, few)
    assert (many.rounds, few.rounds) == (0, 0)
    wait_until(lambda: many.rounds == few.rounds == 1)


@pytest.mark.parametrize(("silence_s", "seen"), [(60.0, True), (0.0, False)])
def test_what_others_did_before_a_silence_makes_no_pause_longer(
    silence_s: float, seen: bool, running: Broadcaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def pauses(took_s: float, others_s: float, *, are_others_busy: bool) -> tuple[float, float]:
        told.append(are_others_busy)
        return 0.0, 0.0

    monkeypatch.setattr(broadcaster, "pauses_s", pauses)
    monkeypatch.setattr(broadcaster, "_SILENCE_S", silence_s)
    monkeypatch.setattr(broadcaster, "_BUSY_SHARE", 0.02)  # whatever else this machine does
    board = Board()
    board.during = lambda yield_if_due: gevent.sleep(0.01)
    mark(running, board)
    wait_until(lambda: len(told) == 1)
    let_others_run()
    used_up_s = time.process_time() + 0.2
    while time.process_time() < used_up_s:
        pass  # a thousand streams connect
    mark(running, board)
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
    mark(running, board)
    with gevent.Timeout(5):
        running.make_room()
        assert is_under_way.wait(5)
        assert not may_end.is_set()
    may_end.set()


@pytest.mark.parametrize(
    ("are_busy", "awaited_by", "turn_s"),
    [(False, 0, 1e-6), (True, 0, 0.001), (True, 1, 1e-6), (False, 1, 1e-6)],
)
def test_busy_others_get_longer_turns_unless_events_pile_up(
    are_busy: bool, awaited_by: int, turn_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    fan_out = Broadcaster()
    fan_out._are_others_busy, fan_out._awaited_by = are_busy, awaited_by
    turns: list[float] = []
    monkeypatch.setattr("occupancy.live.broadcaster.gevent.sleep", turns.append)
    fan_out._breathe()
    assert turns == [turn_s]


@pytest.mark.parametrize(
    ("are_busy", "awaited_by", "turn_s", "slice_s"),
    [
        (False, 0, 0.0, 0.001),
        (False, 0, 0.1, 0.001),
        (True, 0, 0.001, 0.0003),
        (True, 0, 0.003, 0.0005),
        (True, 0, 0.1, 0.001),
        (True, 1, 0.002, 0.004),  # more comes in than goes out
        (True, 0, 0.5, 0.001),
        (True, 1, 0.1, 0.01),
    ],
)
def test_a_slice_depends_on_the_turn_that_the_others_had(
    are_busy: bool,
    awaited_by: int,
    turn_s: float,
    slice_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fan_out = Broadcaster()
    fan_out._are_others_busy, fan_out._awaited_by = are_busy, awaited_by
    clock = iter([100.0, 100.0 + turn_s])
    monkeypatch.setattr("occupancy.live.broadcaster.gevent.sleep", lambda _: None)
    with monkeypatch.context() as patched:
        patched.setattr("occupancy.live.broadcaster.time.monotonic", lambda: next(clock))
        fan_out._breathe()
    assert fan_out._slice_ends - 100.0 - turn_s == pytest.approx(slice_s, abs=1e-9)


def test_others_with_long_turns_do_not_hold_up_a_round_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fan_out = Broadcaster()
    fan_out._are_others_busy, fan_out._others_s = True, 0.41
    turns: list[float] = []
    monkeypatch.setattr("occupancy.live.broadcaster.gevent.sleep", turns.append)
    clock = iter([100.0, 100.02])
    with monkeypatch.context() as patched:
        patched.setattr("occupancy.live.broadcaster.time.monotonic", lambda: next(clock))
        fan_out._breathe()
    assert turns == [1e-6]
    assert fan_out._slice_ends - 100.02 == pytest.approx(0.01, abs=1e-9)

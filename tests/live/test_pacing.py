"""When rounds begin, and how long they run before others do."""

from __future__ import annotations

import pytest

from occupancy.live import pacing


@pytest.mark.parametrize(
    ("took_s", "pause_s"),
    [
        (0.0, 0.0),
        (0.0005, 0.0015),  # a quarter of the process
        (0.007, 0.021),
        (0.03, 0.09),
        (0.05, 0.1),  # the pause ends 0.15 s after the round began
        (0.1, 0.05),
        (0.2, 0.05),  # and after a long one for a quarter of its time
    ],
)
def test_the_pause_leaves_time_to_others(took_s: float, pause_s: float) -> None:
    assert pacing.pause_s(took_s, 0.0, is_busy=False) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("took_s", "others_s", "pause_s"),
    [
        (0.002, 0.0, 0.01),
        (0.05, 0.0, 0.25),
        (0.1, 0.0, 0.3),
        (0.3, 0.0, 0.3),
        (0.1, 0.2, 0.1),
        (0.1, 0.4, 0.0),
    ],
)
def test_the_pause_is_longer_while_others_are_busy(
    took_s: float, others_s: float, pause_s: float
) -> None:
    assert pacing.pause_s(took_s, others_s, is_busy=True) == pytest.approx(pause_s)


def waits_of(times: list[float], took_s: float) -> list[float]:
    """How long events that arrive at ``times`` wait, if each round takes ``took_s``."""
    budget, waits, pending = pacing.Allowance(), list[float](), list[float]()
    for arrived, following in zip(times, [*times[1:], float("inf")], strict=True):
        pending.append(arrived)
        begins = arrived
        if len(pending) < pacing.COMPANIONS:
            begins += budget.companion_s(arrived)
        if following >= begins:
            budget.charge(begins, took_s, len(pending))
            waits += [begins - each for each in pending]
            pending.clear()
    return waits


@pytest.mark.parametrize("took_s", [0.005, 0.009, 0.027])
def test_of_nine_frequent_events_one_goes_alone_and_eight_in_pairs(took_s: float) -> None:
    waits = waits_of([100 + number / 20 for number in range(198)], took_s)
    assert max(waits) == pytest.approx(0.05)
    at_once = sum(wait == 0.0 for wait in waits)
    assert at_once / len(waits) == pytest.approx(5 / 9, abs=0.02)


@pytest.mark.parametrize(
    ("interval_s", "took_s"),
    [
        (0.001, 0.003),  # cheap rounds
        (0.1, 0.009),  # no second one within 60 ms
        (0.25, 0.08),  # rare events: a second one would not come in time
    ],
)
def test_other_events_go_at_once(interval_s: float, took_s: float) -> None:
    assert set(waits_of([100 + number * interval_s for number in range(50)], took_s)) == {0.0}


@pytest.mark.parametrize(
    ("is_busy", "waiting", "sleep_s"),
    [(False, 0, 1e-6), (True, 0, 0.001), (True, 1, 1e-6), (False, 1, 1e-6)],
)
def test_busy_others_run_longer_unless_events_pile_up(
    is_busy: bool, waiting: int, sleep_s: float
) -> None:
    is_backlog = pacing.has_backlog(waiting, 0.0)
    assert pacing.yield_s(is_busy=is_busy, is_backlog=is_backlog) == sleep_s


@pytest.mark.parametrize(
    ("is_busy", "waiting", "others_turn_s", "slice_s"),
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
def test_a_slice_depends_on_how_long_others_ran(
    is_busy: bool, waiting: int, others_turn_s: float, slice_s: float
) -> None:
    is_backlog = pacing.has_backlog(waiting, 0.0)
    found_s = pacing.slice_s(others_turn_s, is_busy=is_busy, is_backlog=is_backlog)
    assert found_s == pytest.approx(slice_s, abs=1e-9)


def test_busy_others_do_not_hold_up_a_round_for_ever() -> None:
    assert pacing.has_backlog(0, 0.41)
    assert pacing.yield_s(is_busy=True, is_backlog=True) == 1e-6
    assert pacing.slice_s(0.02, is_busy=True, is_backlog=True) == pytest.approx(0.01, abs=1e-9)

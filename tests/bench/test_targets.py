"""Targets, units of work and losses: how a run's figures are judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import machine, report
from bench.machine import BYTECODES, ROUNDS
from bench.scenario import Figure, Ratio, Target, Work
from bench.scenarios import SCENARIOS

FAST = {"send_cpu_us": 2.0, "million_bytecodes_cpu_ms": 4.0, "slowdown": 1.0}
SLOW = {"send_cpu_us": 20.0, "million_bytecodes_cpu_ms": 30.0, "slowdown": 1.0}
P99 = Target("p99", Figure("p99_ms"), 100.0, "ms", work=Work(16, ROUNDS))


def test_a_bound_in_milliseconds_stands_on_a_fast_machine() -> None:
    assert P99.limit_on(FAST) == 100.0


def test_a_bound_grows_with_the_cost_of_its_work_on_a_slow_machine() -> None:
    assert P99.limit_on(SLOW) == 16 * 20.0
    assert replace(P99, work=Work(5, BYTECODES)).limit_on(SLOW) == 5 * 30.0


def test_a_quota_slows_the_units_down() -> None:
    assert P99.limit_on({**FAST, "slowdown": 10.0}) == 16 * 2.0 * 10


def test_a_bound_stands_where_the_machine_was_not_measured() -> None:
    assert P99.limit_on({}) == 100.0


def test_a_ratio_is_the_same_on_each_machine() -> None:
    target = Target("CPU", Ratio("cpu", "nchan"), 0.6)

    assert target.limit_on(SLOW) == 0.6


@pytest.mark.parametrize(("p99_ms", "is_met"), [((90, 500, 99), True), ((90, 101, 102), False)])
def test_the_median_of_the_rounds_counts(p99_ms: tuple[int, ...], is_met: bool) -> None:
    scenario = replace(SCENARIOS[0], targets=(P99,))
    rounds = [{"product": {"p99_ms": each}} for each in p99_ms]

    (verdict,) = scenario.verdicts(rounds, FAST)

    assert verdict.is_met is is_met


def test_a_negative_time_counts_as_none_in_a_ratio() -> None:
    rows = {"product": {"p50_ms": -0.1}, "starlette": {"p50_ms": 0.2}}

    assert Ratio("p50_ms", "starlette")(rows) == 0
    assert Ratio("p50_ms", "nchan")(rows) is None


def test_delays_are_bounded_as_a_watcher_sees_them() -> None:
    bounds = {
        (scenario.name, target.what): target.limit
        for scenario in SCENARIOS
        for target in scenario.targets
        if target.unit == "ms"
    }

    assert bounds == {
        ("fan-out", "p50"): 30.0,
        ("fan-out", "p99"): 70.0,
        ("busy", "p50"): 40.0,
        ("busy", "p99"): 100.0,
        ("half-load", "p99"): 10.0,
    }


def test_half_load_is_measured_in_five_rounds() -> None:
    rounds = {scenario.name: scenario.rounds for scenario in SCENARIOS}

    assert rounds.pop("half-load") == 5
    assert set(rounds.values()) == {3}


def test_the_medians_of_the_machine_are_over_the_rounds() -> None:
    rounds = [{"send_cpu_us": each, "slowdown": 3.0} for each in (5.0, 50.0, 6.0)]

    assert machine.medians(rounds) == {"send_cpu_us": 6.0, "slowdown": 3.0}
    assert machine.medians([]) == {}


def test_the_bytecodes_of_the_loop_are_counted_and_not_assumed() -> None:
    def empty(count: int) -> int:
        for _ in range(count):
            pass
        return count

    assert machine.bytecodes_per_turn(empty) == 3  # FOR_ITER, STORE_FAST, JUMP_BACKWARD
    assert machine.bytecodes_per_turn() > 3


def test_what_the_product_loses_is_noticed() -> None:
    fan_out = SCENARIOS[0]
    half_load = next(scenario for scenario in SCENARIOS if scenario.may_reset)
    whole = {"expected": 10, "delivered": 10, "out_of_order": 0, "troubles": 0, "failures": 0}
    torn = {"expected": 10, "delivered": 9, "out_of_order": 1, "troubles": 1, "trouble": "reset"}

    assert list(fan_out.losses([{"product": whole}])) == []
    for loss in (
        {"delivered": 9}, {"delivered": 11}, {"out_of_order": 1}, {"failures": 1},
        {"failed": "does not start"}, {"store_connections": 21, "store_budget": 20},
    ):  # fmt: skip
        found = list(fan_out.losses([{"product": whole}, {"product, 16": {**whole, **loss}}]))
        assert len(found) == 1, loss
        assert found[0].startswith("fan-out, round 2, product, 16: ")
    assert len(list(half_load.losses([{"product": {**torn, "troubles": 0}}]))) == 1
    assert not list(half_load.losses([{"product": torn}]))
    assert not list(fan_out.losses([{"nchan": torn}]))


def test_the_report_says_when_the_work_is_the_limit() -> None:
    result = {
        "about": {},
        "scenarios": {"busy": [{"product": {"p99_ms": 250.0, "p50_ms": 50.0}}]},
        "machine": [SLOW],
    }

    lines = {line[1]: line for line in report.targets(result)}

    assert lines["p99"] == ["busy", "p99", "250 ms", "≤ 320 ms (16 rounds of 1,000 sends)", "met"]
    result["machine"] = [FAST]
    lines = {line[1]: line for line in report.targets(result)}
    assert lines["p99"] == ["busy", "p99", "250 ms", "≤ 100 ms", "missed"]


def test_the_report_tells_machines_apart() -> None:
    units = {**SLOW, "send_us": 25.5, "million_bytecodes_ms": 31.25}

    sentence = machine.text(units)

    assert "25.50 µs" in sentence
    assert "31.2 ms" in sentence
    assert machine.text({}) == "The units of work were not measured."

"""Two versions of the product in one run: ratios of every figure. No timing is asserted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from bench import comparison, report
from bench.comparison import Comparison
from bench.cpu_quota import UNLIMITED
from bench.figures import Rows
from bench.runner import Runner
from bench.scenario import Scenario
from bench.scenarios import SCENARIOS
from tests.conftest import require, require_binary
from tests.support.deployment import ROOT

FAN_OUT = SCENARIOS[0]
_CPU = "cpu_us_per_delivery"


def rounds_of(*pairs: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        {"this": {"product": {_CPU: this}}, "other": {"product": {_CPU: other}}}
        for this, other in pairs
    ]


def test_a_ratio_is_taken_within_a_round() -> None:
    (change,) = comparison.changes(FAN_OUT, rounds_of((1, 2), (30, 40), (5, 5)))

    assert list(change.ratios) == [0.5, 0.75, 1.0]
    assert change.ratio == 0.75
    assert (change.this, change.other) == (5, 5)


@pytest.mark.parametrize(
    ("pairs", "is_notable"),
    [
        (((90, 100), (80, 100)), True),
        (((110, 100), (104, 100)), True),
        (((90, 100), (99, 100)), False),
        (((90, 100), (110, 100)), False),
    ],
)
def test_a_change_is_notable_if_every_round_finds_it(
    pairs: tuple[tuple[float, float], ...], is_notable: bool
) -> None:
    (change,) = comparison.changes(FAN_OUT, rounds_of(*pairs))

    assert change.is_notable is is_notable


def test_a_figure_of_one_version_only_has_no_ratio() -> None:
    rounds: list[dict[str, Any]] = [
        {"this": {"product": {_CPU: 1}}, "other": {"product": {"failed": "no start"}}}
    ]

    assert not list(comparison.changes(FAN_OUT, rounds))


def test_the_versions_begin_in_turn(tmp_path: Path) -> None:
    order = []

    def measure(runner: Runner) -> Rows:
        order.append(runner.label.rpartition(", ")[2])
        return {}

    measured = Comparison(ROOT, cast("Any", None), tmp_path, UNLIMITED, is_short=True)
    for number in range(2):
        measured.measure(Scenario("order", "order", measure, (), ()), number)

    assert order == ["this version", "other version", "other version", "this version"]


def test_another_version_must_be_a_checkout(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--against", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 2
    assert "no checkout" in done.stderr


def test_a_checkout_is_measured_beside_this_tree(tmp_path: Path) -> None:
    require_binary("valkey")
    require(shutil.which("cc"), "a C compiler")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("wsgi.py", "gunicorn.conf.py", "occupancy"):
        (other / name).symlink_to(ROOT / name)
    path = tmp_path / "result.json"

    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--only", "latency,start",
         "--against", str(other), "--json", str(path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(path.read_text())
    for rounds in result["scenarios"].values():
        assert set(rounds[0]) == {"this", "other"}
        assert rounds[0]["this"].keys() == rounds[0]["other"].keys()
    names = {
        scenario.name: {each.name for each in comparison.changes(scenario, rounds)}
        for scenario in SCENARIOS if (rounds := result["scenarios"].get(scenario.name))
    }  # fmt: skip
    assert names == {
        "latency": {"product"}, "start": {"product, 1 process", "product, 2 processes"}
    }  # fmt: skip
    assert not report.losses(result)
    assert "ratio" in done.stdout


def test_the_losses_of_both_versions_are_noticed() -> None:
    result = {
        "about": {"against": "old"},
        "scenarios": {
            "fan-out": [{"this": {"product": {}}, "other": {"product": {"failed": "broken"}}}]
        },
    }

    assert report.losses(result) == ["other version, fan-out, round 1, product: broken"]

"""The benchmark's short form: it works, and the product fails nothing. No timing is asserted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import report
from bench.figures import PRODUCT
from bench.peers import BASELINE, INCIDENT, NCHAN, STARLETTE
from bench.scenarios import SCENARIOS
from bench.systems import NAMES, missing
from tests.conftest import BENCHMARK, require, require_binary
from tests.support.deployment import ROOT

# Those that a scenario measures; the others measure the product alone.
SYSTEMS = {
    "fan-out": {PRODUCT, NCHAN, STARLETTE, INCIDENT, BASELINE},
    "busy": {PRODUCT, NCHAN, STARLETTE, BASELINE},
    "many": {PRODUCT, NCHAN, STARLETTE, BASELINE},
    "latency": {PRODUCT, STARLETTE},
    "operations": {PRODUCT, STARLETTE},
    "snapshot": {PRODUCT, STARLETTE},
}


@pytest.fixture(scope="module")
def short_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], str, Path]:
    """The raw results of a short run, what it printed, and where the results are."""
    require_binary("valkey")
    require(shutil.which("cc"), "a C compiler")
    path = tmp_path_factory.mktemp("bench") / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--json", str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    request.config.stash[BENCHMARK] = done.stdout
    return json.loads(path.read_text()), done.stdout, path


def test_every_scenario_measures_every_system(short_run: tuple[dict[str, Any], str, Path]) -> None:
    result, printed, _ = short_run

    for scenario in SCENARIOS:
        (rows,) = result["scenarios"][scenario.name]
        failed = {name: row["failed"] for name, row in rows.items() if "failed" in row}
        assert not failed
        measured = {name.partition(",")[0] for name in rows} & set(NAMES)
        assert measured == SYSTEMS.get(scenario.name, {PRODUCT}) - set(missing()), scenario.name
        for column in scenario.columns:
            assert any(column.key in row for row in rows.values()), (scenario.name, column.head)
        assert f"{scenario.name}: {scenario.title}" in printed


def test_every_target_can_be_judged(short_run: tuple[dict[str, Any], str, Path]) -> None:
    result, printed, _ = short_run

    verdicts = report.verdicts(result)

    assert {each.scenario for each in verdicts} == {scenario.name for scenario in SCENARIOS}
    if not missing():
        # Where an event comes before its operation's answer, there is no time to compare; and in so
        # short a run beside others, a system may not answer at all.
        silent = {
            name
            for name, (rows,) in result["scenarios"].items()
            if any(row.get("per_s") == 0 for row in rows.values())
        }
        unknown = {each.scenario for each in verdicts if each.value is None}
        assert unknown <= {"latency"} | silent
    assert all(each.target.what in printed for each in verdicts)


def test_the_machine_is_measured(short_run: tuple[dict[str, Any], str, Path]) -> None:
    result, _, _ = short_run

    (units,) = result["machine"]
    assert units["slowdown"] == 1
    assert all(
        units[key] > 0
        for key in (
            "send_us", "send_cpu_us", "million_bytecodes_ms", "million_bytecodes_cpu_ms",
        )
    )  # fmt: skip


def test_every_event_is_delivered(short_run: tuple[dict[str, Any], str, Path]) -> None:
    result, _, _ = short_run

    for name in ("fan-out", "busy", "many"):
        row = result["scenarios"][name][0]["product"]
        assert row["delivered"] == row["expected"] == row["events"] * row["streams"] > 0
        assert (row["out_of_order"], row["troubles"]) == (0, 0)
    crowd = result["scenarios"]["crowd"][0]["product"]
    assert 0 < crowd["store_connections"] <= crowd["store_budget"]
    assert crowd["store_samples"] > 0


def test_pictures_and_markdown_are_made(
    short_run: tuple[dict[str, Any], str, Path], tmp_path: Path
) -> None:
    result, _, path = short_run

    command = [sys.executable, "-m", "bench.plots", str(path), str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)

    assert {each.name for each in tmp_path.iterdir()} == {
        f"performance-{scenario.name}.svg" for scenario in SCENARIOS
    }
    assert all(f"## {scenario.name}\n" in report.markdown(result) for scenario in SCENARIOS)


def test_the_page_says_what_was_measured() -> None:
    result = json.loads((ROOT / "docs" / "performance.json").read_text())  # of the last full run
    page = (ROOT / "docs" / "performance.md").read_text()

    assert page == report.put_into(page, report.markdown(result))

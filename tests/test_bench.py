"""The benchmark's short form: it works, and nothing fails in it. No timing is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import require_binary
from tests.deployment import ROOT


def test_the_short_benchmark_succeeds_and_writes_what_it_measured(tmp_path: Path) -> None:
    require_binary("valkey")
    path = tmp_path / "result.json"

    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--json", str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr + done.stdout
    result = json.loads(path.read_text())
    assert [run["connections"] for run in result["operations"]] == [1, 16, 64]
    for run in result["operations"]:
        assert run["failures"] == 0, run["first_failure"]
        assert run["operations"] > run["connections"]
        assert {"per_s", "p50_ms", "p99_ms", "p99_to_p50", "generator_utilisation"} <= run.keys()
        assert {"server_us_per_operation", "valkey_us_per_operation"} <= run.keys()
    fan_out = result["fan_out"]
    assert fan_out["failures"] == 0
    assert fan_out["expected"] == fan_out["events"] * fan_out["streams"] > 0
    assert fan_out["delivered"] == fan_out["expected"]
    assert (fan_out["out_of_order"], fan_out["troubles"]) == (0, 0)
    assert {"per_s", "p50_ms", "p99_ms", "generator_utilisation"} <= fan_out.keys()
    assert {"server_us_per_delivery", "memory_per_stream_kb"} <= fan_out.keys()
    slow = result["slow_clients"]
    assert slow["failures"] == 0, (slow["alone"], slow["beside"])
    assert slow["opened"] >= slow["clients"] > 0
    assert {"p99_ratio", "there", "least_there", "memory_mb"} <= slow.keys()
    connections = result["connections"]
    assert 0 < connections["max"] <= connections["budget"]
    assert "p99/p50" in done.stdout
    assert "x p99 alone" in done.stdout

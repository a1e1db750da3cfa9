"""Metrics over several processes: counters of the dead stay, and their gauges go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, multiprocess

from occupancy.server.accept_balancing import Loads
from occupancy.server.master import Master

_PROCESS = """
import os, sys
from occupancy.observability.metrics import Metrics
metrics = Metrics()
streams, operations, wait_ms = map(int, sys.argv[1:])
metrics.streams.set(streams)
metrics.operation("take", "ok").inc(operations)
metrics.copy_pool("ops", {
    "max": 8, "in_use": streams, "idle": 1, "waiting": streams, "acquired": operations,
    "timeouts": 0, "wait_ms": {"p50": wait_ms, "p99": wait_ms, "max": wait_ms},
})
print(os.getpid())
"""


def process_with(directory: Path, *, streams: int, operations: int, wait_ms: int) -> int:
    """The id of a process that has set its metrics, and ended without a word, as when killed."""
    arguments = [str(each) for each in (streams, operations, wait_ms)]
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    made = subprocess.run(
        [sys.executable, "-c", _PROCESS, *arguments],
        env=environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return int(made.stdout)


def test_of_a_process_that_has_ended_the_counters_stay_and_the_gauges_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = process_with(tmp_path, streams=7, operations=3, wait_ms=900)
    process_with(tmp_path, streams=5, operations=4, wait_ms=20)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    def figures() -> dict[str, float | None]:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # untyped there
        get = registry.get_sample_value
        ops = {"pool": "ops"}
        return {
            "streams": get("occupancy_streams"),
            "in use": get("occupancy_pool_connections", {**ops, "state": "in_use"}),
            "waiting": get("occupancy_pool_waiting", ops),
            "longest wait": get("occupancy_pool_wait_seconds", {**ops, "quantile": "max"}),
            "takes": get("occupancy_operations_total", {"operation": "take", "result": "ok"}),
            "acquired": get("occupancy_pool_acquired_total", ops),
        }

    counters = {"takes": 7.0, "acquired": 7.0}
    both = {"streams": 12.0, "in use": 12.0, "waiting": 12.0, "longest wait": 0.9}
    assert figures() == {**both, **counters}
    master = Master()
    Loads(master.loads, 1).write(7)
    master.after_exit(SimpleNamespace(pid=killed, age=1))
    left = {"streams": 5.0, "in use": 5.0, "waiting": 5.0, "longest wait": 0.02}
    assert figures() == {**left, **counters}

"""Slow clients: operations alone, and beside two thousand clients that hold their connections.

The clients are a process of their own: bench/generator/slow_clients.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.cpu import rss_bytes
from bench.figures import PRODUCT, Rows
from bench.product import Product
from bench.runner import Runner
from bench.scenario import Column, Figure, Ratio, Scenario, Target
from bench.scenarios.operations import ITEMS, closed_loop
from bench.server import BOARD, ROOT

_ALONE, _BESIDE = f"{PRODUCT}, alone", f"{PRODUCT}, beside them"
_CONNECTIONS = 8
_PROCESSES = 2


def _measure(runner: Runner) -> Rows:
    clients = runner.pick(2000, 100)

    def operate(peer: Product) -> dict[str, Any]:
        return closed_loop(
            runner, peer, peer.tags, connections=_CONNECTIONS,
            warm_up_s=runner.pick(1.0, 0.1), duration_s=runner.pick(6.0, 0.5),
        )  # fmt: skip

    def both(peer: Product) -> dict[str, dict[str, Any]]:
        alone = operate(peer)
        job = {
            "port": peer.port, "token": peer.token, "board": BOARD,
            "clients": clients, "settle_s": runner.pick(10.0, 2.0),
        }  # fmt: skip
        memory_bytes = sum(map(rss_bytes, peer.server_pids))
        with _slow_clients() as process:
            figures = _ask(process, job)
            beside = operate(peer)
            grown_bytes = sum(map(rss_bytes, peer.server_pids)) - memory_bytes
            figures |= _ask(process, "end")
        beside |= {"clients": clients, "memory_mb": grown_bytes / 1024 / 1024, **figures}
        return {_ALONE: alone, _BESIDE: beside}

    return runner.rows(PRODUCT, runner.start(PRODUCT, items=ITEMS, processes=_PROCESSES), both)


@contextmanager
def _slow_clients() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.generator.slow_clients"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _ask(process: subprocess.Popen[str], message: object) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the slow clients have failed; see their output above")
    answer: dict[str, Any] = json.loads(line)
    return answer


SLOW_CLIENTS = Scenario(
    "slow-clients",
    f"operations at {_CONNECTIONS} connections beside 2,000 slow clients, {_PROCESSES} processes",
    _measure,
    (
        Column("op/s", "per_s", "{:,.0f}"),
        Column("p50 ms", "p50_ms", "{:.2f}"),
        Column("p99 ms", "p99_ms", "{:.2f}"),
        Column("failures", "failures", "{:.0f}"),
        Column("at least there", "least_there", "{:,.0f}"),
        Column("opened", "opened", "{:,.0f}"),
        Column("memory MB", "memory_mb", "{:.0f}"),
        Column("generator", "generator_utilisation", "{:.0%}"),
        Column("others", "other_cores", "{:.0%}"),
    ),
    (
        Target("p99, to that without them", Ratio("p99_ms", _ALONE, of=_BESIDE), 2.0),
        Target("operations that failed", Figure("failures", _BESIDE), 0.0, ""),
    ),
    plotted=("p99_ms",),
)

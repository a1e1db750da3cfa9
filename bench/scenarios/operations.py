"""Operations in a closed loop: take and pause pairs, on one process.

Each connection scenarios on items of its own, so a refusal is a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from bench.figures import PRODUCT, Rows
from bench.meter import Meter
from bench.peers import STARLETTE
from bench.runner import Runner
from bench.scenario import Column, Figure, Ratio, Scenario, Target

ITEMS = 1000
CONNECTIONS = 64


def pairs(peer: Any, tags: Sequence[str]) -> list[bytes]:
    """The requests that take and pause each item in turn."""
    operations = ("take", "pause")
    return [peer.operation_request(tag, operation) for tag in tags for operation in operations]


def over_connections(peer: Any, tags: Sequence[str], connections: int) -> list[list[bytes]]:
    """The requests of each connection, which has items of its own."""
    return [pairs(peer, tags[number::connections]) for number in range(connections)]


def closed_loop(
    runner: Runner, peer: Any, tags: Sequence[str], *,
    connections: int, warm_up_s: float, duration_s: float,
) -> dict[str, Any]:  # fmt: skip
    """As many operations as possible; the generator's figures and the cost of an operation."""
    meter = Meter(peer)
    figures = runner.generator.requests(
        peer.port, over_connections(peer, tags, connections),
        warm_up_s=warm_up_s, duration_s=duration_s,
    )  # fmt: skip
    used = meter.read(figures["generator_cpu_s"])
    return {"connections": connections, **figures, **used.per(figures["answers"], "operation")}


def _measure(runner: Runner) -> Rows:
    def loop(peer: Any, connections: int = CONNECTIONS) -> dict[str, Any]:
        return closed_loop(
            runner, peer, peer.tags, connections=connections,
            warm_up_s=runner.pick(1.0, 0.2), duration_s=runner.pick(6.0, 0.6),
        )  # fmt: skip

    starts = {
        PRODUCT: runner.start(PRODUCT, items=ITEMS),
        STARLETTE: runner.start(STARLETTE, items=ITEMS),
    }
    rows = runner.in_turn((PRODUCT, STARLETTE), loop, starts)
    for connections in (16, 1):
        name = f"{PRODUCT}, {connections}"
        rows[name] = runner.row(name, starts[PRODUCT], partial(loop, connections=connections))
    return rows


_COLUMNS = (
    Column("connections", "connections", "{:.0f}"),
    Column("op/s", "per_s", "{:,.0f}"),
    Column("p50 ms", "p50_ms", "{:.2f}"),
    Column("p99 ms", "p99_ms", "{:.2f}"),
    Column("p99/p50", "p99_to_p50"),
    Column("server µs/op", "server_us_per_operation", "{:.0f}"),
    Column("store µs/op", "store_us_per_operation", "{:.0f}"),
    Column("failures", "failures", "{:.0f}"),
    Column("generator", "generator_utilisation", "{:.0%}"),
    Column("others", "other_cores", "{:.0%}"),
)

OPERATIONS = Scenario(
    "operations",
    f"take and pause of {ITEMS:,} items in a closed loop, {CONNECTIONS} connections, one process",
    _measure,
    _COLUMNS,
    (
        Target("operations per second, to FastAPI", Ratio("per_s", STARLETTE), 1.3, is_least=True),
        Target("p99, to the own p50", Figure("p99_to_p50"), 2.0),
        Target("p99, to FastAPI's", Ratio("p99_ms", STARLETTE), 0.5),
    ),
    plotted=("per_s", "p99_ms"),
)

"""A crowd: thousands of streams and more than a hundred busy clients on twenty store connections.

The store refuses further connections, so only the product's own budget keeps it from failing.
"""

from __future__ import annotations

from typing import Any

from bench.connection_watch import ConnectionWatch
from bench.figures import PRODUCT, Rows
from bench.meter import Meter
from bench.product import Product
from bench.runner import Runner
from bench.scenario import Column, Figure, Scenario, Target
from bench.scenarios.half_load import STREAM_COLUMNS, of_streams
from bench.scenarios.operations import ITEMS, over_connections

_BUDGET = 20
_OURS = 1  # connection, which counts the others
_PROCESSES = 2
_CONNECTIONS = 128
_WITHIN_S = 10.0


def _measure(runner: Runner) -> Rows:
    def crowd(peer: Product) -> dict[str, Any]:
        before = peer.seq()
        watch = ConnectionWatch(peer.valkey)
        try:
            peer.serve(_PROCESSES)
            with runner.generator.streams(
                peer.port,
                runner.pick(10_000, 500),
                peer.browsers_events_request,
                peer.live_line,
            ) as opened:
                meter = Meter(peer)
                figures = runner.generator.requests(
                    peer.port, over_connections(peer, peer.tags, _CONNECTIONS),
                    warm_up_s=runner.pick(1.0, 0.1), duration_s=runner.pick(8.0, 1.0),
                )  # fmt: skip
                watch.stop()  # its connection is needed to ask for the number of the last event
                seen = opened.finish(before + 1, peer.seq(), _WITHIN_S)
                used = meter.read(figures["generator_cpu_s"] + seen["generator_cpu_s"])
        finally:
            watch.stop()
        return {
            **figures,
            **of_streams(seen),
            **used.per(figures["answers"], "operation"),
            "store_connections": watch.peak_total,
            "store_connections_by_name": watch.peaks,
            "store_budget": _BUDGET,
            "store_samples": watch.samples,
        }

    start = runner.start(
        PRODUCT, items=ITEMS, budget=_BUDGET, is_served=False,
        valkey_options=("--maxclients", str(_BUDGET + _OURS)),
    )  # fmt: skip
    return {PRODUCT: runner.row(PRODUCT, start, crowd)}


CROWD = Scenario(
    "crowd",
    f"10,000 streams and {_CONNECTIONS} busy connections on {_PROCESSES} processes, "
    f"with {_BUDGET} connections to the store",
    _measure,
    (
        Column("store connections", "store_connections", "{:.0f}"),
        Column("live streams", "live", "{:,.0f}"),
        Column("op/s", "per_s", "{:,.0f}"),
        Column("p50 ms", "p50_ms"),
        Column("p99 ms", "p99_ms"),
        Column("failures", "failures", "{:.0f}"),
        *STREAM_COLUMNS,
        Column("generator", "generator_utilisation", "{:.0%}"),
        Column("others", "other_cores", "{:.0%}"),
    ),
    (
        Target("operations that failed", Figure("failures"), 0.0, ""),
        Target("connections to the store", Figure("store_connections"), float(_BUDGET), ""),
    ),
    plotted=("store_connections",),
    may_reset=True,
)

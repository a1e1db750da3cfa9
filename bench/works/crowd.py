"""A crowd: thousands of streams and more than a hundred busy connections, on twenty of Redis'.

The server refuses whoever opens more: nothing but the product's own budget keeps it from failing.
"""

from __future__ import annotations

from typing import Any

from bench.meter import Meter
from bench.product import Product
from bench.stage import Stage
from bench.watch import ConnectionWatch
from bench.work import PRODUCT, Column, Figure, Rows, Target, Work
from bench.works.half_load import STREAM_COLUMNS, of_streams
from bench.works.operations import ITEMS, over_connections

_BUDGET = 20
_OURS = 1  # the connection that counts the others
_WORKERS = 2
_CONNECTIONS = 128
_WITHIN_S = 10.0


def _measure(stage: Stage) -> Rows:
    def crowd(peer: Product) -> dict[str, Any]:
        before = peer.seq()
        watch = ConnectionWatch(peer.valkey)
        try:
            peer.serve(_WORKERS)
            with stage.generator.streams(
                peer.port,
                stage.pick(10_000, 500),
                peer.browsers_events_request,
                peer.live_line,
            ) as opened:
                meter = Meter(peer)
                figures = stage.generator.requests(
                    peer.port, over_connections(peer, peer.tags, _CONNECTIONS),
                    warm_up_s=stage.pick(1.0, 0.1), duration_s=stage.pick(8.0, 1.0),
                )  # fmt: skip
                watch.stop()  # its place is needed to ask for the number of the last event
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

    start = stage.product(
        items=ITEMS, budget=_BUDGET, is_served=False,
        valkey_options=("--maxclients", str(_BUDGET + _OURS)),
    )  # fmt: skip
    return {PRODUCT: stage.row(PRODUCT, start, crowd)}


CROWD = Work(
    "crowd",
    f"10,000 streams and {_CONNECTIONS} busy connections on {_WORKERS} worker processes, "
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
    pictured=("store_connections",),
    may_reset=True,
)

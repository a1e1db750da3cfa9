"""Half load: operations that keep the process busy half of the time, while thousands watch each.

The rate is fixed (an open loop), so the same work is done with streams and without them. It is the
one at which the process, without streams, uses half of a core: at half of the most that it can do
it uses three quarters of one, because less is done together. Streams
are asked for as browsers do, compressed; then once more as they are, which is more than ten times
as many bytes, several gigabytes a second at this rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.meter import Meter
from bench.product import Product
from bench.stage import Stage
from bench.work import PRODUCT, Column, Figure, Ratio, Rows, Target, Work
from bench.works.operations import CONNECTIONS, ITEMS, closed_loop, over_connections

_ALONE, _WATCHED = f"{PRODUCT}, alone", f"{PRODUCT}, watched"
_WATCHED_PLAIN = f"{PRODUCT}, watched, not compressed"
_WITHIN_S = 10.0
_PACE = 3  # what an operation costs at a pace is measured at a third of the most
_SHARED = ("p50_ms", "p99_ms", "max_ms", "generator_cpu_s", "generator_utilisation")


def _measure(stage: Stage) -> Rows:
    streams, duration_s = stage.pick(5000, 200), stage.pick(8.0, 1.0)

    def operate(peer: Product, rate_per_s: float) -> dict[str, Any]:
        return stage.generator.requests(
            peer.port, over_connections(peer, peer.tags, CONNECTIONS),
            warm_up_s=stage.pick(1.0, 0.1), duration_s=duration_s, rate_per_s=rate_per_s,
        )  # fmt: skip

    def both(peer: Product) -> dict[str, dict[str, Any]]:
        most = closed_loop(
            stage, peer, peer.tags, connections=CONNECTIONS,
            warm_up_s=stage.pick(0.5, 0.1), duration_s=stage.pick(2.0, 0.3),
        )  # fmt: skip
        meter = Meter(peer)
        paced = operate(peer, most["per_s"] / _PACE)
        cost = meter.read(paced["generator_cpu_s"]).per(paced["answers"], "operation")
        rate_per_s = min(most["per_s"], 1e6 / cost["server_us_per_operation"]) / 2
        meter = Meter(peer)
        alone = operate(peer, rate_per_s)
        alone |= meter.read(alone["generator_cpu_s"]).per(alone["answers"], "operation")
        rows = {_ALONE: alone}
        requests = {_WATCHED: peer.browsers_events_request, _WATCHED_PLAIN: peer.events_request}
        for name, request in requests.items():
            with stage.generator.streams(peer.port, streams, request, peer.live_line) as opened:
                meter, before = Meter(peer), peer.seq()
                watched = operate(peer, rate_per_s)
                seen = opened.finish(before + 1, peer.seq(), _WITHIN_S)
                used = meter.read(watched["generator_cpu_s"] + seen["generator_cpu_s"])
            rows[name] = watched | used.per(watched["answers"], "operation") | of_streams(seen)
        rate = {"rate_per_s": rate_per_s, "most_per_s": most["per_s"]}
        return {name: {**row, **rate} for name, row in rows.items()}

    return stage.rows(PRODUCT, stage.product(items=ITEMS), both)


def of_streams(seen: Mapping[str, Any]) -> dict[str, Any]:
    """A stream generator's figures beside those of one that sends requests."""
    renamed = {f"stream_{key}" if key in _SHARED else key: each for key, each in seen.items()}
    return {
        **renamed,
        "whole_share": seen["whole_streams"] / max(1, seen["live"]),
        "delivered_share": seen["delivered"] / max(1, seen["expected"]),
    }


STREAM_COLUMNS = (
    Column("whole streams", "whole_share", "{:.1%}"),
    Column("delivered", "delivered_share", "{:.1%}"),
    Column("told so", "troubles", "{:,.0f}"),
    Column("stream generator", "stream_generator_utilisation", "{:.0%}"),
)

HALF_LOAD = Work(
    "half-load",
    "operations that use half of a core, while 5,000 streams watch each",
    _measure,
    (
        Column("op/s", "per_s", "{:,.0f}"),
        Column("p50 ms", "p50_ms", "{:.2f}"),
        Column("p99 ms", "p99_ms", "{:.2f}"),
        Column("failures", "failures", "{:.0f}"),
        Column("server µs/op", "server_us_per_operation", "{:.0f}"),
        *STREAM_COLUMNS,
        Column("generator", "generator_utilisation", "{:.0%}"),
        Column("others", "other_cores", "{:.0%}"),
    ),
    (
        Target("p99, to that without streams", Ratio("p99_ms", _ALONE, of=_WATCHED), 2.0),
        Target("streams with every event in order", Figure("whole_share", _WATCHED), 1.0, "", True),
        Target("operations that failed", Figure("failures", _WATCHED), 0.0, ""),
    ),
    pictured=("p99_ms", "whole_share"),
    may_reset=True,
)

"""Half load: operations that keep the process busy half of the time, while thousands watch each.

The rate is fixed (an open loop), so the same work is done with streams and without them. At this
rate the process uses half of a core without streams. Half of the highest rate would use three
quarters of a core, because fewer operations share a pass of the loop. Streams are compressed, as
browsers ask for them; then they are measured once more uncompressed, which is more than ten times
as many bytes, several gigabytes a second at this rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.figures import PRODUCT, Rows
from bench.machine import BYTECODES
from bench.meter import Meter
from bench.product import Product
from bench.runner import Runner
from bench.scenario import Column, Figure, Scenario, Target, Work
from bench.scenarios.operations import CONNECTIONS, ITEMS, closed_loop, over_connections

_ALONE, _WATCHED = f"{PRODUCT}, alone", f"{PRODUCT}, watched"
_WATCHED_PLAIN = f"{PRODUCT}, watched, not compressed"
_WITHIN_S = 10.0
_PACE = 3  # the cost of an operation at a fixed rate is measured at a third of the highest
_SHARED = ("p50_ms", "p99_ms", "max_ms", "generator_cpu_s", "generator_utilisation")


def _measure(runner: Runner) -> Rows:
    streams, duration_s = runner.pick(5000, 200), runner.pick(8.0, 1.0)

    def operate(peer: Product, rate_per_s: float) -> dict[str, Any]:
        return runner.generator.requests(
            peer.port, over_connections(peer, peer.tags, CONNECTIONS),
            warm_up_s=runner.pick(1.0, 0.1), duration_s=duration_s, rate_per_s=rate_per_s,
        )  # fmt: skip

    def both(peer: Product) -> dict[str, dict[str, Any]]:
        most = closed_loop(
            runner, peer, peer.tags, connections=CONNECTIONS,
            warm_up_s=runner.pick(0.5, 0.1), duration_s=runner.pick(2.0, 0.3),
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
            with runner.generator.streams(peer.port, streams, request, peer.live_line) as opened:
                meter, before = Meter(peer), peer.seq()
                watched = operate(peer, rate_per_s)
                seen = opened.finish(before + 1, peer.seq(), _WITHIN_S)
                used = meter.read(watched["generator_cpu_s"] + seen["generator_cpu_s"])
            rows[name] = watched | used.per(watched["answers"], "operation") | of_streams(seen)
        rate = {"rate_per_s": rate_per_s, "most_per_s": most["per_s"]}
        return {name: {**row, **rate} for name, row in rows.items()}

    return runner.rows(PRODUCT, runner.start(PRODUCT, items=ITEMS), both)


def of_streams(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the stream generator, renamed where the request generator has the same."""
    renamed = {f"stream_{key}" if key in _SHARED else key: each for key, each in seen.items()}
    return {
        **renamed,
        "whole_share": seen["whole_streams"] / max(1, seen["live"]),
        "delivered_share": seen["delivered"] / max(1, seen["expected"]),
    }


STREAM_COLUMNS = (
    Column("whole streams", "whole_share", "{:.1%}"),
    Column("delivered", "delivered_share", "{:.1%}"),
    Column("resets", "troubles", "{:,.0f}"),
    Column("stream generator", "stream_generator_utilisation", "{:.0%}"),
)

HALF_LOAD = Scenario(
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
        Target("p99", Figure("p99_ms", _WATCHED), 10.0, "ms", work=Work(1.25, BYTECODES)),
        Target("streams with every event in order", Figure("whole_share", _WATCHED), 1.0, "", True),
        Target("operations that failed", Figure("failures", _WATCHED), 0.0, ""),
    ),
    plotted=("p99_ms", "whole_share"),
    may_reset=True,
    rounds=5,  # its p99 moves more from round to round than any other figure
)

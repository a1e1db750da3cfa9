"""Fan-out: one event to each of many streams, at several rates and numbers of streams.

Every system gets the same 200 bytes of JSON per event, published as its users would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.cpu import rss_bytes
from bench.figures import PRODUCT, Rows
from bench.machine import ROUNDS
from bench.meter import Meter
from bench.peers import BASELINE, INCIDENT, NCHAN, STARLETTE
from bench.product import Product
from bench.runner import Runner
from bench.scenario import Column, Figure, Ratio, Scenario, Target, Work

_NEW_TOKENS = f"{PRODUCT}, new tokens"
_EVENT_BYTES = 200
_DURATION_S = 8.0
_AT_ONCE = 100  # streams on their way at a time
_IN_TIME_S = 1.5  # after the last publication: a system keeps up if all is delivered by then
_WITHIN_S = 6.0  # later deliveries do not count


def measure(
    runner: Runner, peer: Any, *,
    streams: int, rate_per_s: float, duration_s: float, requests: bytes = b"",
) -> dict[str, Any]:  # fmt: skip
    """Publish at a steady rate to that many streams of ``peer``.

    ``requests`` open the streams if their requests differ.
    """
    memory_bytes = sum(map(rss_bytes, peer.server_pids))
    asked = requests or peer.events_request
    with runner.generator.streams(
        peer.port, streams, asked, peer.live_line, at_once=_AT_ONCE
    ) as opened:
        meter = Meter(peer)
        first, count = first_seq(peer), max(2, round(rate_per_s * duration_s))
        late_s = publish(peer, first, count, rate_per_s)
        figures = opened.finish(first, first + count - 1, _WITHIN_S)
        used = meter.read(figures["generator_cpu_s"])
        grown_bytes = sum(map(rss_bytes, peer.server_pids)) - memory_bytes
    is_whole = figures["delivered"] == figures["expected"] and not figures["out_of_order"]
    return {
        "streams": streams, "rate_per_s": rate_per_s, "duration_s": duration_s, "events": count,
        **figures, **used.per(figures["delivered"], "delivery"), **used.per(count, "event"),
        "delivered_share": figures["delivered"] / figures["expected"],
        "publisher_late_s": late_s,
        "keeps_up": is_whole and figures["took_s"] <= _IN_TIME_S and late_s <= _IN_TIME_S,
        "memory_kb_per_stream": grown_bytes / streams / 1024,
    }  # fmt: skip


def first_seq(peer: Any) -> int:
    """The number of the next event: the product counts on its board."""
    return int(peer.seq()) + 1 if peer.name == PRODUCT else 1


def publish(peer: Any, first: int, count: int, rate_per_s: float) -> float:
    """``count`` events; one that is late goes at once. Returns how late the last one was."""
    started, late_s = time.monotonic(), 0.0
    for number in range(count):
        late_s = time.monotonic() - started - number / rate_per_s
        time.sleep(max(0.0, -late_s))
        head = f'{{"seq":{first + number},"t":{time.monotonic_ns()},"pad":"'
        peer.publish(head.encode() + b"x" * (_EVENT_BYTES - len(head) - 2) + b'"}')
    return max(0.0, late_s)


def _at(
    names: Sequence[str], *,
    streams: int, rate_per_s: float, short: tuple[int, float], has_new_tokens: bool = False,
) -> Callable[[Runner], Rows]:  # fmt: skip
    """How a round is measured; ``short`` is the number of streams and seconds of a short run.

    With ``has_new_tokens`` the product is measured once more, each stream with a token of its own.
    """

    def run(runner: Runner) -> Rows:
        count, duration_s = runner.pick((streams, _DURATION_S), short)

        def one(peer: Any, requests: bytes = b"") -> dict[str, Any]:
            return measure(
                runner, peer, streams=count, rate_per_s=rate_per_s, duration_s=duration_s,
                requests=requests,
            )  # fmt: skip

        def with_new_tokens(peer: Product) -> dict[str, Any]:
            return one(peer, peer.new_token_requests(count))

        rows = runner.in_turn(names, one)
        if has_new_tokens:
            rows[_NEW_TOKENS] = runner.row(_NEW_TOKENS, runner.start(PRODUCT), with_new_tokens)
        return rows

    return run


COLUMNS = (
    Column("CPU µs/delivery", "cpu_us_per_delivery", "{:.2f}"),
    Column("server", "server_us_per_delivery", "{:.2f}"),
    Column("store", "store_us_per_delivery", "{:.2f}"),
    Column("p50 ms", "p50_ms"),
    Column("p99 ms", "p99_ms"),
    Column("delivered", "delivered_share", "{:.1%}"),
    Column("streams served", "served_streams", "{:,.0f}"),
    Column("generator", "generator_utilisation", "{:.0%}"),
    Column("others", "other_cores", "{:.0%}"),
)
_MEMORY = (
    Column("KB/stream", "memory_kb_per_stream"),
    Column("connect s", "connect_s", "{:.2f}"),
)
_CPU = "cpu_us_per_delivery"

FAN_OUT = Scenario(
    "fan-out",
    "1,000 streams, 20 events of 200 bytes per second",
    _at(
        (PRODUCT, NCHAN, STARLETTE, INCIDENT, BASELINE),
        streams=1000,
        rate_per_s=20,
        short=(100, 1.0),
    ),
    COLUMNS,
    (
        Target("CPU per delivery, to Nchan", Ratio(_CPU, NCHAN), 0.6),
        Target("CPU per delivery, to sse-starlette", Ratio(_CPU, STARLETTE), 0.25),
        Target("CPU per delivery, to the C baseline", Ratio(_CPU, BASELINE), 1.0),
        Target("p50", Figure("p50_ms"), 30.0, "ms", work=Work(5, ROUNDS)),
        Target("p99", Figure("p99_ms"), 70.0, "ms", work=Work(12, ROUNDS)),
        Target("delivered in order", Figure("delivered_share"), 1.0, "", True),
    ),
    plotted=(_CPU, "p99_ms"),
)
BUSY = Scenario(
    "busy",
    "1,000 streams, 100 events of 200 bytes per second",
    _at((PRODUCT, NCHAN, STARLETTE, BASELINE), streams=1000, rate_per_s=100, short=(100, 0.5)),
    COLUMNS,
    (
        Target("delivered in order", Figure("delivered_share"), 1.0, "", True),
        Target("CPU per delivery, to Nchan", Ratio(_CPU, NCHAN), 0.3),
        Target("p50", Figure("p50_ms"), 40.0, "ms", work=Work(6, ROUNDS)),
        Target("p99", Figure("p99_ms"), 100.0, "ms", work=Work(16, ROUNDS)),
    ),
    plotted=(_CPU, "p99_ms"),
)
MANY = Scenario(
    "many",
    "10,000 streams on one process, 4 events of 200 bytes per second",
    _at(
        (PRODUCT, NCHAN, STARLETTE, BASELINE),
        streams=10_000,
        rate_per_s=4,
        short=(500, 1.0),
        has_new_tokens=True,
    ),
    (*_MEMORY, *COLUMNS),
    (
        Target("p99, to Nchan", Ratio("p99_ms", NCHAN), 1.0),
        Target("memory per stream", Figure("memory_kb_per_stream"), 15.0, unit="KB"),
        Target("connecting all, to Nchan", Ratio("connect_s", NCHAN), 1.5),
        Target("delivered in order", Figure("delivered_share"), 1.0, "", True),
    ),
    plotted=("p99_ms", "memory_kb_per_stream", "connect_s"),
)

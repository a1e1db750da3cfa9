"""Fan-out: one event to each of many streams, at several numbers of them and rates.

Every peer gets the same 200 bytes of JSON per event, published as its users would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.cpu import rss_bytes
from bench.lineup import FLOOR, INCIDENT, NCHAN, STARLETTE
from bench.meter import Meter
from bench.product import Product
from bench.stage import Stage
from bench.work import PRODUCT, Column, Figure, Ratio, Rows, Target, Work

_STRANGERS = f"{PRODUCT}, strangers"
_EVENT_BYTES = 200
_DURATION_S = 8.0
_AT_ONCE = 100  # streams on their way at a time
_IN_TIME_S = 1.5  # after the last publication: who has delivered all by then keeps up
_WITHIN_S = 6.0  # what has not come by then does not count any more


def measure(
    stage: Stage, peer: Any, *,
    streams: int, rate_per_s: float, duration_s: float, requests: bytes = b"",
) -> dict[str, Any]:  # fmt: skip
    """Publish at a steady rate to that many streams of ``peer``.

    ``requests`` are those that ask for them, where they do not all ask the same.
    """
    memory_bytes = sum(map(rss_bytes, peer.server_pids))
    asked = requests or peer.events_request
    with stage.generator.streams(
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
    """The number of the next event: the product's come from its board."""
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
    streams: int, rate_per_s: float, short: tuple[int, float], strangers: bool = False,
) -> Callable[[Stage], Rows]:  # fmt: skip
    """How each is measured with that many streams; ``short`` is how many and how long, if so.

    With ``strangers`` the product is measured once more, each stream with a token of its own.
    """

    def run(stage: Stage) -> Rows:
        count, duration_s = stage.pick((streams, _DURATION_S), short)

        def one(peer: Any, requests: bytes = b"") -> dict[str, Any]:
            return measure(
                stage, peer, streams=count, rate_per_s=rate_per_s, duration_s=duration_s,
                requests=requests,
            )  # fmt: skip

        def of_strangers(peer: Product) -> dict[str, Any]:
            return one(peer, peer.strangers_requests(count))

        rows = stage.in_turn(names, one)
        if strangers:
            rows[_STRANGERS] = stage.row(_STRANGERS, stage.product(), of_strangers)
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

FAN_OUT = Work(
    "fan-out",
    "1,000 streams, 20 events of 200 bytes per second",
    _at(
        (PRODUCT, NCHAN, STARLETTE, INCIDENT, FLOOR), streams=1000, rate_per_s=20, short=(100, 1.0)
    ),
    COLUMNS,
    (
        Target("CPU per delivery, to Nchan", Ratio(_CPU, NCHAN), 0.75),
        Target("CPU per delivery, to sse-starlette", Ratio(_CPU, STARLETTE), 0.25),
        Target("CPU per delivery, to the C floor", Ratio(_CPU, FLOOR), 1.0),
        Target("delivered in order", Figure("delivered_share"), 1.0, "", True),
    ),
    pictured=(_CPU, "p99_ms"),
)
BUSY = Work(
    "busy",
    "1,000 streams, 100 events of 200 bytes per second",
    _at((PRODUCT, NCHAN, STARLETTE, FLOOR), streams=1000, rate_per_s=100, short=(100, 0.5)),
    COLUMNS,
    (
        Target("delivered in order", Figure("delivered_share"), 1.0, "", True),
        Target("CPU per delivery, to Nchan", Ratio(_CPU, NCHAN), 0.3),
        Target("p99, to the best server that keeps up", Ratio("p99_ms", (NCHAN, STARLETTE)), 1.0),
    ),
    pictured=(_CPU, "p99_ms"),
)
MANY = Work(
    "many",
    "10,000 streams on one worker process, 4 events of 200 bytes per second",
    _at(
        (PRODUCT, NCHAN, STARLETTE, FLOOR),
        streams=10_000,
        rate_per_s=4,
        short=(500, 1.0),
        strangers=True,
    ),
    (*_MEMORY, *COLUMNS),
    (
        Target("p99, to Nchan", Ratio("p99_ms", NCHAN), 1.0),
        Target("memory per stream", Figure("memory_kb_per_stream"), 15.0, unit="KB"),
        Target("connecting all, to Nchan", Ratio("connect_s", NCHAN), 1.5),
        Target("delivered in order", Figure("delivered_share"), 1.0, "", True),
    ),
    pictured=("p99_ms", "memory_kb_per_stream", "connect_s"),
)

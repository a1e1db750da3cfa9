"""A snapshot: the cost of the whole board of ten thousand items, changed and unchanged.

An operation between two snapshots makes each a new one; the cost of the operation, measured by
itself, is subtracted. Both sides send the same items as compressed JSON. The table also has the
unchanged board, the answer that it has not changed (304), and a take for comparison.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

from bench import wire
from bench.figures import PRODUCT, Rows
from bench.meter import Meter
from bench.peers import STARLETTE
from bench.product import Product
from bench.runner import Runner
from bench.scenario import Column, Ratio, Scenario, Target
from bench.scenarios.operations import pairs

_NOT_MODIFIED, _TAKE = f"{PRODUCT}, 304", f"{PRODUCT}, take"


def _measure(runner: Runner) -> Rows:
    items = runner.pick(10_000, 500)

    def loop(peer: Any, requests: Sequence[bytes], **options: Any) -> dict[str, Any]:
        meter = Meter(peer)
        figures = runner.generator.requests(
            peer.port, [requests], duration_s=runner.pick(4.0, 0.4), **options
        )
        used = meter.read(figures["generator_cpu_s"])
        return {**figures, **used.per(figures["answers"], "request")}

    def board(name: str, peer: Any) -> dict[str, dict[str, Any]]:
        whole = peer.items_request(gzip=True)
        answer = ask(peer.port, whole)
        _check(answer, items)
        operations = pairs(peer, peer.tags[:100])
        take = loop(peer, operations)
        mixed = loop(peer, [each for one in operations for each in (one, whole)], mark="")
        # Half of those answers belong to operations.
        costs = {key: 2 * mixed[key] - take[key] for key in mixed if key.endswith("_per_request")}
        shared = {key: mixed[key] for key in ("failures", "generator_utilisation", "other_cores")}
        return {
            name: {**shared, **costs, "answer_bytes": len(answer)},
            f"{name}, unchanged": loop(peer, [whole], mark=""),
            f"{name}, take": take,
        }

    def of_product(peer: Product) -> dict[str, dict[str, Any]]:
        rows = board(PRODUCT, peer)
        head = ask(peer.port, peer.items_request(gzip=True)).partition(b"\r\n\r\n")[0]
        etag = next(
            line for line in head.decode().split("\r\n") if line.lower().startswith("etag:")
        ).partition(":")[2]
        known = peer.items_request(gzip=True, known=etag.strip())
        return {**rows, _NOT_MODIFIED: loop(peer, [known], status=304, mark="")}

    sides: dict[str, Any] = {
        PRODUCT: lambda: runner.rows(PRODUCT, runner.start(PRODUCT, items=items), of_product),
        STARLETTE: lambda: runner.rows(
            STARLETTE, runner.start(STARLETTE, items=items), lambda peer: board(STARLETTE, peer)
        ),
    }
    if not runner.has(STARLETTE):
        del sides[STARLETTE]
    turned = list(sides)[:: 1 if runner.round % 2 else -1]
    rows = {name: sides[name]() for name in turned}
    return {name: row for side in sides for name, row in rows[side].items()}


def ask(port: int, request: bytes) -> bytes:
    """One request on a connection of its own."""
    with wire.connect(port) as connection:
        return wire.exchange(connection, request)


def _check(answer: bytes, items: int) -> None:
    """Raises RuntimeError unless the answer is a compressed board of that many items."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"content-encoding: gzip" not in head.lower():
        raise RuntimeError(f"a board that is not compressed: {head!r}")
    found = len(json.loads(gzip.decompress(body))["items"])
    if found != items:
        raise RuntimeError(f"a board of {found} items instead of {items}")


_CPU = "cpu_us_per_request"

SNAPSHOT = Scenario(
    "snapshot",
    "a board of 10,000 items, compressed, on one connection, after a change each time",
    _measure,
    (
        Column("CPU µs/request", _CPU, "{:,.0f}"),
        Column("server", "server_us_per_request", "{:,.0f}"),
        Column("store", "store_us_per_request", "{:,.0f}"),
        Column("p50 ms", "p50_ms", "{:.2f}"),
        Column("p99 ms", "p99_ms", "{:.2f}"),
        Column("bytes", "answer_bytes", "{:,.0f}"),
        Column("generator", "generator_utilisation", "{:.0%}"),
        Column("others", "other_cores", "{:.0%}"),
    ),
    (
        Target("CPU, to FastAPI's", Ratio(_CPU, STARLETTE), 0.5),
        Target(
            "server CPU of a 304, to that of a take",
            Ratio("server_us_per_request", _TAKE, of=_NOT_MODIFIED), 1.5,
        ),
    ),
    plotted=(_CPU, "server_us_per_request"),
)  # fmt: skip

"""Latency: one operation at a time, and the time until each of fifty streams has its event.

An event may arrive before the operation's answer. So there are two times: from the answer (negative
in that case), and from the sending of the operation.
"""

from __future__ import annotations

from typing import Any

from bench.figures import PRODUCT, Rows
from bench.peers import STARLETTE
from bench.runner import Runner
from bench.scenario import Column, Ratio, Scenario, Target
from bench.scenarios.operations import pairs

_ITEMS = 50
_STREAMS = 50
_GAP_MS = 20


def _measure(runner: Runner) -> Rows:
    def one(peer: Any) -> dict[str, Any]:
        figures = runner.generator.latency(
            peer.port, pairs(peer, peer.tags), streams=_STREAMS,
            operations=runner.pick(200, 20), gap_ms=_GAP_MS,
            live_line=peer.live_line, events_request=peer.events_request,
        )  # fmt: skip
        before = figures["before_answer"] / max(1, figures["arrivals"])
        return {**figures, "before_answer_share": before}

    starts = {
        PRODUCT: runner.start(PRODUCT, items=_ITEMS),
        STARLETTE: runner.start(STARLETTE, items=_ITEMS),
    }
    return runner.in_turn((PRODUCT, STARLETTE), one, starts)


LATENCY = Scenario(
    "latency",
    f"one operation every {_GAP_MS} ms and {_STREAMS} streams",
    _measure,
    (
        Column("after answer p50 ms", "after_answer_p50_ms", "{:.2f}"),
        Column("after answer p99 ms", "after_answer_p99_ms", "{:.2f}"),
        Column("after sending p50 ms", "p50_ms", "{:.2f}"),
        Column("after sending p99 ms", "p99_ms", "{:.2f}"),
        Column("answer p50 ms", "answer_p50_ms", "{:.2f}"),
        Column("answer p99 ms", "answer_p99_ms", "{:.2f}"),
        Column("before the answer", "before_answer_share", "{:.0%}"),
        Column("generator", "generator_utilisation", "{:.0%}"),
    ),
    (
        Target("p50 from the answer, to FastAPI's", Ratio("after_answer_p50_ms", STARLETTE), 0.8),
        Target("p99 from the answer, to FastAPI's", Ratio("after_answer_p99_ms", STARLETTE), 0.8),
        Target("p50 from the sending, to FastAPI's", Ratio("p50_ms", STARLETTE), 0.8),
        Target("p99 from the sending, to FastAPI's", Ratio("p99_ms", STARLETTE), 0.8),
    ),
    plotted=("after_answer_p50_ms", "after_answer_p99_ms", "p50_ms", "p99_ms"),
)

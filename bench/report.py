"""The table that a run ends with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def table(result: dict[str, Any]) -> str:
    """The result of a run as text."""
    parts = _operations(result), _fan_out(result), _slow_clients(result), _connections(result)
    return "\n\n".join("\n".join(lines) for lines in parts)


def _operations(result: dict[str, Any]) -> list[str]:
    heads = ("connections", "op/s", "p50 ms", "p99 ms", "p99/p50", "failures",
             "server µs/op", "Valkey µs/op", "generator", "others")  # fmt: skip
    rows = [
        (
            str(run["connections"]), f"{run['per_s']:.0f}", f"{run['p50_ms']:.1f}",
            f"{run['p99_ms']:.1f}", f"{run['p99_to_p50']:.1f}", str(run["failures"]),
            f"{run['server_us_per_operation']:.0f}", f"{run['valkey_us_per_operation']:.0f}",
            f"{run['generator_utilisation']:.0%}", f"{run['other_cores']:.0%}",
        )
        for run in result["operations"]
    ]  # fmt: skip
    title = f"Operations: take and pause over HTTP, {result['items']} items, "
    return [f"{title}{result['workers']} worker processes", *_columns([heads, *rows])]


def _fan_out(result: dict[str, Any]) -> list[str]:
    run = result["fan_out"]
    cost, bare = run["server_us_per_delivery"], result["bare_send_us"]
    rows = [
        ("delivered", f"{run['delivered']} of {run['expected']}"),
        ("out of order, troubles", f"{run['out_of_order']}, {run['troubles']}"),
        ("deliveries per second", f"{run['per_s']:.0f}"),
        ("delay p50, p99, max", _ms(run["p50_ms"], run["p99_ms"], run["max_ms"])),
        ("server CPU per delivery", f"{cost:.1f} µs, {cost / bare:.1f} x a bare send"),
        ("Valkey CPU per delivery", f"{run['valkey_us_per_delivery']:.1f} µs"),
        ("memory per stream", f"{run['memory_per_stream_kb']:.1f} KB"),
        ("operation p50, p99 meanwhile", _ms(run["operation_p50_ms"], run["operation_p99_ms"])),
        ("generator, others", f"{run['generator_utilisation']:.0%}, {run['other_cores']:.0%}"),
    ]
    title = f"Fan-out: {run['streams']} streams on 1 worker process, {run['rate_per_s']:g} events/s"
    return [title, *(f"  {name:<30}{text}" for name, text in rows)]


def _slow_clients(result: dict[str, Any]) -> list[str]:
    run = result["slow_clients"]
    heads = ("", "op/s", "p50 ms", "p99 ms", "failures", "generator", "others")
    rows = [
        (
            name, f"{each['per_s']:.0f}", f"{each['p50_ms']:.1f}", f"{each['p99_ms']:.1f}",
            str(each["failures"]), f"{each['generator_utilisation']:.0%}",
            f"{each['other_cores']:.0%}",
        )
        for name, each in (("alone", run["alone"]), ("beside them", run["beside"]))
    ]  # fmt: skip
    return [
        f"Slow clients: {run['clients']}, of which at least {run['least_there']} were there; "
        f"operations at {run['connections']} connections",
        *_columns([heads, *rows]),
        f"  p99 beside them is {run['p99_ratio']:.1f} x p99 alone; "
        f"they opened {run['opened']} connections, and cost {run['memory_mb']:.0f} MB",
    ]


def _connections(result: dict[str, Any]) -> list[str]:
    seen = result["connections"]
    names = ", ".join(f"{name} {count}" for name, count in seen["max_by_name"].items())
    return [f"Redis connections: at most {seen['max']} of {seen['budget']} ({names})"]


def _ms(*values: float) -> str:
    return ", ".join(f"{value:.1f}" for value in values) + " ms"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  " + "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    ]

"""Prometheus metrics, correct over all processes of the server.

server/master.py sets PROMETHEUS_MULTIPROC_DIR for prometheus_client's multiprocess mode; without it
the values are this process's own. That mode has no callback gauges, so the figures of the pools and
streams are copied here every two seconds (process_report.py).
"""

from __future__ import annotations

import collections
import functools
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess

_DELAYS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MAX_RECENT, _RECENT_S = 1024, 60.0
_MAX_SERVERS = 200  # with gauges


class LiveMetrics:
    """The metrics of live delivery."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = functools.partial(Counter, registry=registry)
        self.deliveries = counter("occupancy_deliveries", "Events handed to streams")
        self.delay = Histogram(
            "occupancy_delivery_delay_seconds",
            "Time from writing an event to handing it to the streams",
            buckets=_DELAYS_S,
            registry=registry,
        )
        self._recent: collections.deque[tuple[float, float]] = collections.deque(maxlen=_MAX_RECENT)
        self.refused = counter(
            "occupancy_publications_refused",
            "Publications (events, changes of access) that the server refused: no permission",
        )
        self.resets = counter("occupancy_stream_resets", "Resets sent to event streams")
        self.holes = counter(
            "occupancy_holes_filled", "Gaps in live delivery that were filled from the log"
        )
        self.reconnects = counter("occupancy_hub_reconnects", "Losses of the live connection")

    def observe_delay(self, delay_s: float) -> None:
        """Record the time from writing an event to handing it to the streams."""
        self.delay.observe(delay_s)
        self._recent.append((time.monotonic(), delay_s * 1000))

    def recent_delays_ms(self) -> list[float]:
        """The delays of the last minute, at most 1,024."""
        oldest = time.monotonic() - _RECENT_S
        return [delay_ms for at, delay_ms in self._recent if at >= oldest]


class Metrics:
    """All metrics of one application."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.live = LiveMetrics(registry)
        counter = functools.partial(Counter, registry=registry)
        gauge = functools.partial(Gauge, registry=registry, multiprocess_mode="livesum")
        self.operations = counter(
            "occupancy_operations",
            "Operations by kind and result (ok, unchanged, replayed, or the refusal's code)",
            ["operation", "result"],
        )
        self.sign_ins = counter(
            "occupancy_sign_ins", "Sign-ins by result (ok, or the refusal's code)", ["result"]
        )
        self.denials = counter(
            "occupancy_denials",
            "Requests refused by authentication, authorization or a rate limit, by code",
            ["code"],
        )
        self.streams = gauge("occupancy_streams", "Open event streams")
        self._connections = gauge(
            "occupancy_pool_connections",
            "Connections of a pool: maximum, in use, idle",
            ["pool", "state"],
        )
        self._waiting = gauge(
            "occupancy_pool_waiting", "Greenlets waiting for a connection", ["pool"]
        )
        self._wait = gauge(
            "occupancy_pool_wait_seconds",
            "Wait for a connection over the last 1,024 acquisitions, in the slowest process",
            ["pool", "quantile"],
            multiprocess_mode="livemax",
        )
        self._acquired = counter("occupancy_pool_acquired", "Connections handed out", ["pool"])
        self._timeouts = counter(
            "occupancy_pool_timeouts", "Waits that ended without a connection", ["pool"]
        )
        self.promotions = counter(
            "occupancy_promotions",
            "Servers that became primaries; the process that saw it first counts it",
            ["server"],
        )
        self.promotion_resets = counter(
            "occupancy_promotion_stream_resets",
            "Streams reset after a promotion or a slot move",
            ["server"],
        )
        server_gauge = functools.partial(
            Gauge, labelnames=["server"], registry=registry, multiprocess_mode="mostrecent"
        )
        self._server_gauges = {
            "up": server_gauge("occupancy_redis_up", "Whether the server answers"),
            "primary": server_gauge("occupancy_redis_primary", "Whether it is a primary"),
            "incarnation": server_gauge(
                "occupancy_redis_incarnation", "The failover epoch that made it a primary"
            ),
            "used": server_gauge(
                "occupancy_redis_connections", "Connections of this deployment that it counts"
            ),
        }
        self._servers: set[str] = set()
        self._copied: dict[str, tuple[int, int]] = {}
        self.operation = functools.cache(self.operations.labels)  # few labels, used often

    def copy_pool(self, pool: str, stats: dict[str, Any]) -> None:
        """Copy the figures of FairPool.stats()."""
        for state in ("max", "in_use", "idle"):
            self._connections.labels(pool, state).set(stats[state])
        self._waiting.labels(pool).set(stats["waiting"])
        for quantile in ("p50", "p99", "max"):
            self._wait.labels(pool, quantile).set(stats["wait_ms"][quantile] / 1000)
        acquired, timeouts = self._copied.get(pool, (0, 0))
        self._acquired.labels(pool).inc(stats["acquired"] - acquired)
        self._timeouts.labels(pool).inc(stats["timeouts"] - timeouts)
        self._copied[pool] = (stats["acquired"], stats["timeouts"])

    def copy_up(self, *, is_up: bool) -> None:
        """Copy whether the only server answers. To Prometheus, an empty label is none."""
        self._server_gauges["up"].labels("").set(is_up)

    def copy_servers(self, servers: Sequence[Mapping[str, Any]]) -> None:
        """Copy the figures of Servers.counts(). A server that is no longer there has none (NaN)."""
        figures = {
            each["address"]: {
                "up": each["status"] == "healthy",
                "primary": each["role"] == "primary",
                "incarnation": each["incarnation"],
                "used": each["used"],
            }
            for each in servers[:_MAX_SERVERS]
        }
        for address in self._servers | set(figures):
            for name, gauge in self._server_gauges.items():
                value = figures.get(address, {}).get(name)
                gauge.labels(address).set(math.nan if value is None else value)
        self._servers = set(figures)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # untyped there
        return prometheus_client.generate_latest(registry)

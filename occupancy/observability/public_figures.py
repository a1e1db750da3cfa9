"""Public figures, gathered at most once a second per process, whatever the number of requests.

Gathering costs more than a request should: CLIENT LIST, INFO, a metrics file of each process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import gevent

from occupancy.core.errors import OccupancyError
from occupancy.observability.metrics import Metrics
from occupancy.observability.processes import Processes
from occupancy.storage.client import OpsClient

KEPT_S = 1.0
T = TypeVar("T")


class AtMostOnceASecond(Generic[T]):
    """Calls ``make`` at most once a second; other callers get the latest result or error.

    ``make`` runs in a greenlet of its own: killing a caller that waits for it interrupts no other.
    Errors are kept as well, or the callers would wait for the server one after the other.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._latest: gevent.Greenlet | None = None
        self._made_at = 0.0  # monotonic

    def __call__(self) -> T:
        """Raises what ``make`` raises."""
        making = self._latest
        if making is None or (making.ready() and time.monotonic() - self._made_at >= KEPT_S):
            making = self._latest = gevent.spawn(self._outcome)  # no switch point since the check
        value, error = making.get()
        if error is not None:
            raise error.with_traceback(None)
        made: T = value
        return made

    def _outcome(self) -> tuple[T | None, Exception | None]:
        try:
            return self._make(), None
        except Exception as error:  # noqa: BLE001 - raised in the callers
            return None, error
        finally:
            self._made_at = time.monotonic()


class PublicFigures:
    """The server's health, the connections of all processes, the metrics. One per process."""

    def __init__(self, client: OpsClient, processes: Processes, metrics: Metrics) -> None:
        self.health = AtMostOnceASecond(lambda: health_of(client))
        self.connections = AtMostOnceASecond(processes.connections)
        self.metrics = AtMostOnceASecond(metrics.exposition)


def health_of(client: OpsClient) -> dict[str, Any]:
    """Whether Redis answers, how fast, and its facts; None for what it withholds."""
    started = time.monotonic()
    try:
        client.ping()
        latency_ms = (time.monotonic() - started) * 1000
        (reply,) = client.run_optional(lambda pipeline: pipeline.info())
    except OccupancyError as error:
        return {"status": "unhealthy", "latency_ms": None, "detail": error.detail}
    info = reply or {}
    return {
        "status": "healthy",
        "latency_ms": round(latency_ms, 2),
        "server": info.get("server_name", "redis") if info else None,
        "version": info.get("valkey_version", info.get("redis_version")),
        "role": info.get("role"),
        "uptime_s": info.get("uptime_in_seconds"),
        "used_memory_bytes": info.get("used_memory"),
        "maxmemory_bytes": info.get("maxmemory"),
        "connected_clients": info.get("connected_clients"),
    }

"""Public figures, gathered at most once a second in a process, however many ask.

They are open to everybody, and cost the server and this process more than a request should: CLIENT
LIST, INFO, a file for each process that ever ran.
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
    """Calls ``make`` at most once a second; others get the latest result or error.

    ``make`` runs in a greenlet of its own, for which all who ask meanwhile wait: a caller that is
    killed interrupts nobody else. Errors are kept as well, or all callers would wait for a server
    that does not answer, one after the other.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._latest: gevent.Greenlet | None = None
        self._made_at = 0.0  # monotonic

    def __call__(self) -> T:
        """Raises what ``make`` raises."""
        making = self._latest
        if making is None or (making.ready() and time.monotonic() - self._made_at >= KEPT_S):
            making = self._latest = gevent.spawn(self._outcome)  # no switch since the look at it
        value, error = making.get()
        if error is not None:
            raise error.with_traceback(None)
        made: T = value
        return made

    def _outcome(self) -> tuple[T | None, Exception | None]:
        try:
            return self._make(), None
        except Exception as error:  # noqa: BLE001 - raised where it is asked for
            return None, error
        finally:
            self._made_at = time.monotonic()


class PublicFigures:
    """One process's: the server's health, the reports of all processes, the metrics."""

    def __init__(self, client: OpsClient, processes: Processes, metrics: Metrics) -> None:
        self.health = AtMostOnceASecond(lambda: health_of(client))
        self.told = AtMostOnceASecond(processes.ask_store)
        self.metrics = AtMostOnceASecond(metrics.exposition)


def health_of(client: OpsClient) -> dict[str, Any]:
    """Whether Redis answers, how fast, and what it is; None for what it withholds."""
    started = time.monotonic()
    try:
        client.ping()
        latency_ms = (time.monotonic() - started) * 1000
        (info,) = client.run_optional(lambda pipeline: pipeline.info())
    except OccupancyError as error:
        return {"status": "unhealthy", "latency_ms": None, "detail": error.detail}
    told = info or {}
    return {
        "status": "healthy",
        "latency_ms": round(latency_ms, 2),
        "server": told.get("server_name", "redis") if told else None,
        "version": told.get("valkey_version", told.get("redis_version")),
        "role": told.get("role"),
        "uptime_s": told.get("uptime_in_seconds"),
        "used_memory_bytes": told.get("used_memory"),
        "maxmemory_bytes": told.get("maxmemory"),
        "connected_clients": told.get("connected_clients"),
    }

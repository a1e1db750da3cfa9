"""What this process reports of itself: its pools and streams, to Redis and to Prometheus."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from occupancy.core.errors import OccupancyError
from occupancy.observability.metrics import Metrics
from occupancy.observability.processes import Connections, Processes
from occupancy.storage.budget import Budget
from occupancy.storage.pool import FairPool

log = logging.getLogger(__name__)


class ProcessReport:
    """Methods raise PoolTimeout or StoreUnavailable, but for ``figures``.

    ``process`` is this process's name (see ``process_name``), and ``stream_figures`` returns the
    figures of its event streams.
    """

    def __init__(
        self,
        processes: Processes,
        metrics: Metrics,
        budget: Budget,
        ops_pool: FairPool,
        pubsub_pool: FairPool,
        *,
        process: str,
        stream_figures: Callable[[], dict[str, Any]],
    ) -> None:
        self._processes = processes
        self._metrics = metrics
        self._budget = budget
        self._ops_pool = ops_pool
        self._pubsub_pool = pubsub_pool
        self._process = process
        self._stream_figures = stream_figures

    def figures(self) -> dict[str, Any]:
        """This process's part of the connection statistics."""
        pubsub = self._pubsub_pool.stats()
        return {
            "pid": os.getpid(),
            "process": self._process,
            "ops": self._ops_pool.stats(),
            "pubsub": {key: pubsub[key] for key in ("max", "in_use")},
            "streams": self._stream_figures(),
        }

    def connection_stats(self, connections: Connections | None = None) -> dict[str, Any]:
        """The budget, the server's count, and the figures of every process.

        ``connections`` is the latest answer of ``Processes.connections``, if there is one. The
        figures of this process are always current.
        """
        server, processes = connections or self._processes.connections()
        return {
            "budget": {
                "limit": self._budget.limit,
                "workers": self._budget.processes,
                "nodes": self._budget.nodes,
                "reserved": self._budget.reserved,
            },
            "server": server,
            "workers": [
                self.figures() if each["process"] == self._process else each for each in processes
            ],
        }

    def publish(self) -> None:
        """Copy the figures to the metrics, and write them to Redis for the other processes."""
        self._metrics.copy_pool("ops", self._ops_pool.stats())
        self._metrics.copy_pool("pubsub", self._pubsub_pool.stats())
        figures = self.figures()
        self._metrics.streams.set(figures["streams"]["open"])
        self._processes.report(self._process, figures)

    def withdraw(self) -> None:
        """Remove this process's report: the process ends."""
        self._processes.withdraw(self._process)

    def check_max_clients(self) -> None:
        """Log an error if the server takes fewer connections than the budget has. Never raises."""
        try:
            most = self._processes.server()["maxclients"]
        except OccupancyError as error:
            log.info("maxclients is unknown: %s", error.__cause__ or error)
            return
        if most is not None and 0 < most < self._budget.limit:
            log.error(
                "the server takes %d connections and OCCUPANCY_REDIS_BUDGET is %d: raise "
                "maxclients or lower the budget",
                most,
                self._budget.limit,
            )

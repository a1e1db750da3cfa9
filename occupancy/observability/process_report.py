"""What this process reports of itself: its pools and streams, to Redis and to Prometheus."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from typing import Any

from occupancy.core.errors import OccupancyError
from occupancy.observability.metrics import Metrics
from occupancy.observability.processes import Connections, Processes
from occupancy.storage.budget import Budget
from occupancy.storage.topology.shard import Topology

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ProcessReport:
    """Methods raise PoolTimeout or StoreUnavailable, but for ``figures``.

    ``process`` is this process's name (see ``process_name``), and ``stream_figures`` returns the
    figures of its event streams.
    """

    processes: Processes
    metrics: Metrics
    budget: Budget
    topology: Topology
    _: dataclasses.KW_ONLY
    process: str
    stream_figures: Callable[[], dict[str, Any]]

    def figures(self) -> dict[str, Any]:
        """This process's part of the connection statistics."""
        (shard, *_) = self.topology.shards()
        pubsub = shard.pubsub_pool.stats()
        return {
            "pid": os.getpid(),
            "process": self.process,
            "ops": shard.ops_pool.stats(),
            "pubsub": {key: pubsub[key] for key in ("max", "in_use")},
            "streams": self.stream_figures(),
        }

    def connection_stats(self, connections: Connections | None = None) -> dict[str, Any]:
        """The budget, the server's count (``connections``, if known), every process's figures."""
        server, processes = connections or self.processes.connections()
        return {
            "budget": {
                "limit": self.budget.limit,
                "workers": self.budget.processes,
                "nodes": self.budget.nodes,
                "reserved": self.budget.reserved,
            },
            "server": server,
            "workers": [
                self.figures() if each["process"] == self.process else each for each in processes
            ],
        }

    def publish(self) -> None:
        """Copy the figures to the metrics, and write them to Redis for the other processes."""
        (shard, *_) = self.topology.shards()
        self.metrics.copy_pool("ops", shard.ops_pool.stats())
        self.metrics.copy_pool("pubsub", shard.pubsub_pool.stats())
        figures = self.figures()
        self.metrics.streams.set(figures["streams"]["open"])
        self.processes.report(self.process, figures)

    def withdraw(self) -> None:
        """Remove this process's report: the process ends."""
        self.processes.withdraw(self.process)

    def check_max_clients(self) -> None:
        """Log an error if the server takes fewer connections than the budget has. Never raises."""
        try:
            most = self.processes.server()["maxclients"]
        except OccupancyError as error:
            log.info("maxclients is unknown: %s", error.__cause__ or error)
            return
        if most is not None and 0 < most < self.budget.limit:
            log.error(
                "the server takes %d connections and OCCUPANCY_REDIS_BUDGET is %d: raise "
                "maxclients or lower the budget", most, self.budget.limit,
            )  # fmt: skip

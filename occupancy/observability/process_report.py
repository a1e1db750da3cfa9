"""What this process reports of itself: its pools and streams, to Redis and to Prometheus."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from occupancy.core.errors import OccupancyError
from occupancy.core.texts.plurals import counted
from occupancy.observability.metrics import Metrics
from occupancy.observability.processes import Connections, Processes
from occupancy.observability.promotions import Promotions
from occupancy.storage.budget import Budget
from occupancy.storage.pool import FairPool, percentiles
from occupancy.storage.topology.shard import Topology

log = logging.getLogger(__name__)

_COUNTERS = ("acquired", "timeouts")
_SUMMED = ("max", "in_use", "idle", "waiting", *_COUNTERS)
_PER_SHARD = (*_SUMMED, "wait_ms")


class _PoolSums:
    """The sums of the statistics of one kind of pool, over the shards.

    A counter never falls: what the pools of former shards have counted stays in it.
    """

    def __init__(self) -> None:
        self._last: dict[FairPool, dict[str, int]] = {}
        self._past = dict.fromkeys(_COUNTERS, 0)

    def of(self, pools: Iterable[FairPool]) -> dict[str, Any]:
        """The statistics of ``pools`` in one, in the form of FairPool.stats()."""
        by_pool = {pool: pool.stats() for pool in pools}
        for gone in [pool for pool in self._last if pool not in by_pool]:
            counted = self._last.pop(gone)
            self._past = {name: self._past[name] + counted[name] for name in _COUNTERS}
        self._last = {
            pool: {name: stats[name] for name in _COUNTERS} for pool, stats in by_pool.items()
        }
        found = list(by_pool.values())
        sums: dict[str, Any] = {name: sum(stats[name] for stats in found) for name in _SUMMED}
        for name in _COUNTERS:
            sums[name] += self._past[name]
        sums["peak"] = {
            name: sum(stats["peak"][name] for stats in found) for name in ("in_use", "waiting")
        }
        waits = itertools.chain.from_iterable(pool.pool.waits_ms for pool in by_pool)
        return {**sums, "wait_ms": percentiles(waits)}


@dataclasses.dataclass(frozen=True)
class ProcessReport:
    """Methods raise PoolTimeout or StoreUnavailable, but for ``figures``.

    ``process`` is this process's name (see ``process_name``), ``stream_figures`` returns the
    figures of its event streams, and ``troubles`` the servers that live delivery lacks.
    """

    processes: Processes
    metrics: Metrics
    budget: Budget
    topology: Topology
    _: dataclasses.KW_ONLY
    process: str
    stream_figures: Callable[[], dict[str, Any]]
    troubles: Callable[[], Mapping[str, str]]
    promotions: Promotions
    _ops: _PoolSums = dataclasses.field(default_factory=_PoolSums)
    _pubsub: _PoolSums = dataclasses.field(default_factory=_PoolSums)

    def figures(self) -> dict[str, Any]:
        """This process's part of the connection statistics: sums over all shards, and each."""
        shards = self.topology.shards()
        pubsub = self._pubsub.of(each.pubsub_pool for each in shards)
        figures = {
            "pid": os.getpid(),
            "process": self.process,
            "ops": self._ops.of(each.ops_pool for each in shards),
            "pubsub": {key: pubsub[key] for key in ("max", "in_use")},
            "streams": self.stream_figures(),
        }
        if self.topology.is_sharded:
            figures["shards"] = [
                {
                    "address": each.address,
                    "ops": _chosen(each.ops_pool.stats(), _PER_SHARD),
                    "pubsub": _chosen(each.pubsub_pool.stats(), ("max", "in_use")),
                }
                for each in shards
            ]
        return figures

    def connection_stats(self, connections: Connections | None = None) -> dict[str, Any]:
        """The budget, the servers' counts (``connections``, if known), every process's figures."""
        counts, processes = connections or self.processes.connections()
        if "servers" in counts:
            counts = {**counts, "promotions": self._promotions()}
        if processes is None:
            processes = [{"process": self.process}]
        return {
            "budget": {
                "limit": self.budget.limit,
                "workers": self.budget.processes,
                "nodes": self.budget.nodes,
                "reserved": self.budget.reserved,
            },
            **counts,
            "workers": [
                self.figures() if each["process"] == self.process else each for each in processes
            ],
        }

    def _promotions(self) -> list[dict[str, Any]] | None:
        try:
            return self.promotions.of_a_day()
        except OccupancyError:
            return None  # unknown, as the server of access is away

    def publish(self) -> None:
        """Copy the figures to the metrics, and write them to Redis for the other processes."""
        shards = self.topology.shards()
        figures = self.figures()
        self.metrics.copy_pool("ops", figures["ops"])
        self.metrics.copy_pool("pubsub", self._pubsub.of(each.pubsub_pool for each in shards))
        self.metrics.streams.set(figures["streams"]["open"])
        if not self.topology.client.has_failover:  # several servers are asked when /metrics is
            self.metrics.copy_up(is_up=not self.troubles())
        self.processes.report(self.process, figures)

    def withdraw(self) -> None:
        """Remove this process's report: the process ends."""
        self.processes.withdraw(self.process)

    def check_max_clients(self) -> None:
        """Log an error if a server takes fewer connections than the budget has. Never raises."""
        try:
            counts = self.processes.servers.counts()
        except OccupancyError as error:
            log.info("maxclients is unknown: %s", error.__cause__ or error)
            return
        for each in counts.get("servers", [counts["server"]]):
            most = each["maxclients"]
            if most is not None and 0 < most < self.budget.limit:
                log.error(
                    "the server%s takes %s and OCCUPANCY_REDIS_BUDGET is %d: raise "
                    "maxclients or lower the budget",
                    f" {each['address']}" if "address" in each else "",
                    counted(most, "connection"), self.budget.limit,
                )  # fmt: skip


def _chosen(figures: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: figures[name] for name in names}

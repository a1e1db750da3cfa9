"""Makes the topology that REDIS_URL asks for. Connects to nothing."""

from __future__ import annotations

from occupancy.core import server_url
from occupancy.core.keys import Keys
from occupancy.core.server_url import Address
from occupancy.core.settings import Settings
from occupancy.storage.budget import Budget, Slots
from occupancy.storage.connections import (
    Greet,
    Locate,
    make_pool,
    sentinel_connection_of,
)  # fmt: skip
from occupancy.storage.pool import FairPool
from occupancy.storage.topology.cluster import Cluster
from occupancy.storage.topology.cluster_nodes import greet
from occupancy.storage.topology.sentinel import Sentinel
from occupancy.storage.topology.shard import Shard, Topology
from occupancy.storage.topology.single import SingleServer

_TOPOLOGY_TIMEOUT_S = 0.5


def topology_of(
    settings: Settings, budget: Budget, *, silence_s: float | None = None,
    is_command_line: bool = False,
) -> Topology:  # fmt: skip
    """The topology of a process of the web server, or of one command. Raises SettingError.

    ``silence_s`` is how long a connection that subscribes may hear nothing.
    """
    pools = _Pools(settings, budget, silence_s=silence_s, is_command_line=is_command_line)
    if settings.engine == "single":
        ops_pool = pools.make("ops")
        return SingleServer(ops_pool, ops_pool if is_command_line else pools.make("pubsub"))
    url = server_url.parse(settings.redis_url)
    addresses = server_url.parse_addresses(settings.redis_addresses)
    if settings.engine == "sentinel":
        connection_class, options = sentinel_connection_of(settings)
        return Sentinel(
            url, pools.make, wait_s=settings.pool_wait_s, addresses=addresses,
            connection_class=connection_class, connection_options=options,
            is_command_line=is_command_line,
        )  # fmt: skip

    def make_shard(address: Address) -> Shard:
        ops_pool = pools.make("ops", address=address, greet=greet)
        pubsub_pool = ops_pool if is_command_line else pools.make("pubsub", address=address)
        return Shard(str(address), ops_pool, pubsub_pool)

    return Cluster(
        url.addresses, make_shard,
        lambda address: pools.make("topology", address=address, timeout_s=_TOPOLOGY_TIMEOUT_S),
        wait_s=settings.pool_wait_s, default_key=Keys(settings.prefix).workers,
        addresses=addresses, has_tls=url.base_url.startswith("rediss:"),
    )  # fmt: skip


class _Pools:
    """Makes pools; those of one server share its slots."""

    def __init__(
        self, settings: Settings, budget: Budget, *,
        silence_s: float | None, is_command_line: bool,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._budget = budget
        self._silence_s = silence_s
        self._is_command_line = is_command_line
        self._slots: dict[Address | None, Slots] = {}  # one object a file, see Slots

    def make(
        self, name: str, *, address: Address | None = None, timeout_s: float | None = None,
        locate: Locate | None = None, greet: Greet | None = None,
    ) -> FairPool:  # fmt: skip
        sizes = {"ops": self._budget.ops, "pubsub": self._budget.pubsub}
        return make_pool(
            self._settings, self._slots_of(address),
            name="cli" if self._is_command_line else name,
            size=1 if self._is_command_line else sizes.get(name, 1),
            silence_s=self._silence_s if name == "pubsub" else None, timeout_s=timeout_s,
            address=address, locate=locate, greet=greet,
        )  # fmt: skip

    def _slots_of(self, address: Address | None) -> Slots:
        if address not in self._slots:
            make = Slots.for_command_line if self._is_command_line else Slots.for_workers
            server = "" if address is None else str(address)
            self._slots[address] = make(self._settings, self._budget, server)
        return self._slots[address]

"""Makes the topology that REDIS_URL asks for. Connects to nothing."""

from __future__ import annotations

from occupancy.core.settings import Settings
from occupancy.storage.budget import Budget, Slots
from occupancy.storage.connections import make_pool
from occupancy.storage.topology.shard import Topology
from occupancy.storage.topology.single import SingleServer


def topology_of(
    settings: Settings, budget: Budget, *, silence_s: float | None = None,
    is_command_line: bool = False,
) -> Topology:  # fmt: skip
    """The topology of a process of the web server, or of one command. Raises SettingError.

    ``silence_s`` is how long a connection that subscribes may hear nothing.
    """
    if is_command_line:
        pool = make_pool(settings, Slots.for_command_line(settings, budget), name="cli", size=1)
        return SingleServer(pool, pool)
    slots = Slots.for_workers(settings, budget)
    ops_pool = make_pool(settings, slots, name="ops", size=budget.ops)
    pubsub_pool = make_pool(settings, slots, name="pubsub", size=budget.pubsub, silence_s=silence_s)
    return SingleServer(ops_pool, pubsub_pool)

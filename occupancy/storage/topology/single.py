"""A single server: one shard, which never changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from occupancy.storage.pool import FairPool
from occupancy.storage.topology.shard import Member, Shard


class SingleServer:
    """See :class:`~occupancy.storage.topology.shard.Topology`."""

    is_sharded = False
    is_complete = True
    on_change: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, ops_pool: FairPool, pubsub_pool: FairPool, address: str = "") -> None:
        self.shard = Shard(address, ops_pool, pubsub_pool)
        self.client = self.shard.client

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.shard.close()

    def refresh(self) -> None:
        pass

    def shards(self) -> Sequence[Shard]:
        return (self.shard,)

    def members(self) -> Sequence[Member]:
        shard = self.shard
        return (Member(shard.address, "primary", 0, shard.client, shard),)

    def shard_of(self, key: str) -> Shard:
        return self.shard

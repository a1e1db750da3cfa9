"""A shard: one primary server, and this process's connections to it.

A single server, and the primary behind Sentinels, are the only shard of their deployment. A Cluster
has several. All keys of a board are in one of them, because they share a hash tag; so are all keys
of access. The *incarnation* of a server is the failover epoch that made it a primary. It rises with
each promotion and never falls, so what was written under a lower one may have been lost.
"""

from __future__ import annotations

import binascii
import functools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from occupancy.storage.client import OpsClient
from occupancy.storage.pool import FairPool

SLOTS = 16_384


class Shard:
    """One primary, known by ``address`` as text; its client and its two pools."""

    def __init__(
        self, address: str, ops_pool: FairPool, pubsub_pool: FairPool,
        client: OpsClient | None = None,
    ) -> None:  # fmt: skip
        self.address = address
        self.has_taken_slots = False  # its incarnation rose by that, and not by a promotion
        self.is_suspect = False  # a connection failed: perhaps another server has its keys now
        self.ops_pool = ops_pool
        self.pubsub_pool = pubsub_pool
        self.client = client or OpsClient(connection_pool=ops_pool)
        self.known_replicas = 0  # all that there are, also those that are down

    @property
    def replicas(self) -> int:
        """How many replicas are not down, as far as the topology knows."""
        return self.client.replicas

    @replicas.setter
    def replicas(self, count: int) -> None:
        self.client.replicas = count

    @property
    def incarnation(self) -> int:
        """The failover epoch of the server, as far as it is known."""
        return self.ops_pool.incarnation

    @incarnation.setter
    def incarnation(self, epoch: int) -> None:
        self.ops_pool.incarnation = epoch

    def close(self) -> None:
        """Close every connection at once."""
        self.ops_pool.disconnect()
        self.pubsub_pool.disconnect()


ServerRole = Literal["primary", "replica", "spare"]


class Member(NamedTuple):
    """A server of the deployment; its ``client`` leads to it alone.

    ``shard`` is this process's, where the server is a primary; ``primary`` is the address of the
    server that a replica copies. A spare has no data: a node without slots.
    """

    address: str  # '' for a single server
    role: ServerRole
    incarnation: int
    client: OpsClient
    shard: Shard | None = None
    primary: str = ""

    @property
    def is_lent(self) -> bool:
        """Whether the client is that of the operations, and not one for this member."""
        return self.shard is not None and self.client is self.shard.client

    def close(self) -> None:
        """Close the connection, unless operations use it."""
        if not self.is_lent:
            self.client.connection_pool.disconnect()


class Topology(Protocol):
    """The shards of a deployment. Safe to share between greenlets."""

    is_sharded: bool  # several primaries: channels are sharded too
    on_change: Callable[[], None]  # called after shards or incarnations have changed; never waits

    @property
    def client(self) -> OpsClient:
        """The client for every command, whatever its keys."""

    @property
    def is_complete(self) -> bool:
        """Whether every primary is known, and its replicas."""

    def start(self) -> None:
        """Begin to follow the changes, in greenlets. Does nothing if they are followed already."""

    def stop(self) -> None:
        """End that, and close every connection at once."""

    def refresh(self) -> None:
        """Find out now whether something has changed. May wait; never raises."""

    def shards(self) -> Sequence[Shard]:
        """Every shard that is known; a Cluster's may be none yet. No switch point."""

    def members(self) -> Sequence[Member]:
        """Every server, replicas too; for looking at them. May wait; the caller closes each."""

    def shard_of(self, key: str) -> Shard | None:
        """The shard that has ``key``; None while no server is known to. No switch point."""


@functools.lru_cache(maxsize=4096)  # most keys come again: a board's, those of access
def slot_of(key: str | bytes) -> int:
    """The hash slot of a key: of its hash tag, if it has one (Redis Cluster specification)."""
    data = key if isinstance(key, bytes) else key.encode()
    begin = data.find(b"{")
    if begin >= 0:
        end = data.find(b"}", begin + 1)
        if end > begin + 1:
            data = data[begin + 1 : end]
    return binascii.crc_hqx(data, 0) % SLOTS

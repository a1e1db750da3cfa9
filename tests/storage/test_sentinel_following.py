"""What a process does in the moment in which a Sentinel names another primary."""

from __future__ import annotations

from typing import Any

from occupancy.core import server_url
from occupancy.core.server_url import Address
from occupancy.storage.pool import FairPool
from occupancy.storage.topology.sentinel import Sentinel
from occupancy.storage.topology.sentinel_answers import Answer, Primary

SENTINEL, OLD, NEW = (Address("127.0.0.1", port) for port in (1, 2, 3))


class Connection:
    """A connection that leads nowhere."""

    _sock = None
    generation = 0

    def __init__(self, **options: Any) -> None:
        pass

    def disconnect(self) -> None: ...


def names(address: Address, epoch: int, replicas: int = 1) -> Answer:
    return Answer(Primary(address, epoch), {}, replicas, replicas)


def test_every_connection_to_the_old_primary_is_hung_up_and_others_are_told() -> None:
    def make_pool(name: str, **options: Any) -> FairPool:
        return FairPool(size=1, wait_s=1.0, connection_class=Connection)

    topology = Sentinel(server_url.parse("redis+sentinel://127.0.0.1:1/n"), make_pool, wait_s=1.0)
    changes: list[tuple[str, int]] = []
    shard = topology.shard
    topology.on_change = lambda: changes.append((shard.address, shard.incarnation))
    topology._hear(SENTINEL, names(OLD, 1))
    before = shard.ops_pool.generation, shard.pubsub_pool.generation
    assert (shard.address, shard.incarnation) == (str(OLD), 1)
    topology._hear(SENTINEL, names(OLD, 1, replicas=2))
    assert shard.replicas == shard.known_replicas == 2
    assert (shard.ops_pool.generation, shard.pubsub_pool.generation) == before
    topology._hear(SENTINEL, names(NEW, 2))
    assert changes == [(str(NEW), 2)]
    assert shard.ops_pool.generation > before[0]
    assert shard.pubsub_pool.generation > before[1]
    topology._hear(SENTINEL, names(OLD, 1))  # it has not heard of the failover yet
    assert (shard.address, shard.incarnation) == (str(NEW), 2)
    assert len(changes) == 1

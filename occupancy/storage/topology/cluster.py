"""A Cluster: the map from slots to shards, as its nodes tell it.

The map is read (CLUSTER NODES) when a redirection or a failure says that it has changed, and once a
second by the web server's processes. One greenlet reads it at a time, at most five times a second; the
others wait for that. Nodes may differ for a while: of two owners of a slot the one with the higher
epoch is right, so an older answer never replaces a newer one.

The incarnation of a connection is the epoch of its server when it was made (CLUSTER INFO). An epoch
also rises when a slot is moved to a server. That looks like a promotion, and resets the streams of that
server's boards once.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gevent
import redis
from gevent.lock import Semaphore

from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.storage.pool import FairPool
from occupancy.storage.topology.cluster_client import ClusterClient
from occupancy.storage.topology.shard import SLOTS, Shard, slot_of

log = logging.getLogger(__name__)

_REFRESH_S = 1.0  # in the background
_LEAST_REFRESH_S = 0.2  # between two of them, whoever asks


class Node(NamedTuple):
    """A line of CLUSTER NODES."""

    id: str
    address: Address
    flags: frozenset[str]
    primary_id: str  # '-' for a primary
    epoch: int
    slots: tuple[range, ...]

    @property
    def is_primary(self) -> bool:
        return "master" in self.flags

    @property
    def is_failing(self) -> bool:
        return bool(self.flags & {"fail", "handshake", "noaddr"})


class Cluster:
    """See :class:`~occupancy.storage.topology.shard.Topology`.

    ``make_shard`` makes the pools for an address, given how to greet a server; ``make_topology_pool``
    a pool of one connection for reading the map.
    """

    is_sharded = True
    on_change: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self, seeds: Sequence[Address], make_shard: Callable[[Address], Shard],
        make_topology_pool: Callable[[Address], FairPool], *,
        wait_s: float, default_key: str, translate: Mapping[Address, Address] | None = None,
    ) -> None:  # fmt: skip
        self._seeds = list(seeds)
        self._make_shard = make_shard
        self._make_topology_pool = make_topology_pool
        self._translate = translate or {}
        self._shards: dict[Address, Shard] = {}
        self._owners: list[Shard | None] = [None] * SLOTS
        self._epochs = [-1] * SLOTS  # that made the owner the owner
        self.nodes: Sequence[Node] = ()  # as last read
        self._lock = Semaphore(1)
        self._reads = 0
        self._read_at = 0.0  # monotonic
        self._last_answered: Address | None = None
        self._advice = ""  # what is wrong with REDIS_URL, if it is
        self._failures = ""  # of the last read, if it failed
        self._has_said_so = False
        self._following: gevent.Greenlet | None = None
        self.client = ClusterClient(self, wait_s=wait_s, default_key=default_key)

    def start(self) -> None:
        if self._following is None:
            self._following = gevent.spawn(self._follow)

    def stop(self) -> None:
        if self._following is not None:
            self._following.kill()
            self._following = None
        for shard in self._shards.values():
            shard.close()

    def shards(self) -> Sequence[Shard]:
        return tuple(self._shards.values())

    def shard_of(self, key: str) -> Shard | None:
        return self._owners[slot_of(key)]

    # For the client

    def owner(self, slot: int) -> Shard:
        found = self._owners[slot]
        if found is None:
            self.refresh()
            found = self._owners[slot]
        if found is None:
            raise StoreUnavailable(
                self._advice
                or "No server of the cluster serves this board now. Try again in a moment.",
                retry_after=2,
            ) from redis.ConnectionError(self._failures or f"slot {slot} has no owner")
        return found

    def at(self, address: Address) -> Shard:
        address = self._translate.get(address, address)
        if address not in self._shards:
            self._shards[address] = self._make_shard(address)
        return self._shards[address]

    def refresh(self, told_by: Address | None = None) -> None:
        reads = self._reads
        with self._lock:
            if self._reads > reads:  # one began after the caller had asked
                return
            wait_s = self._read_at + _LEAST_REFRESH_S - time.monotonic()
            if wait_s > 0:
                gevent.sleep(wait_s)
            self._reads += 1
            self._read_at = time.monotonic()
            failures = []
            for address in self._candidates(told_by):
                try:
                    self._apply(self._read_from(address))
                except (OccupancyError, redis.RedisError, OSError, ValueError) as error:
                    failures.append(f"{address}: {error.__cause__ or error}")
                else:
                    self._last_answered = address
                    self._advice = self._failures = ""
                    return
            self._failures = "; ".join(failures)
            is_wrong_url = "cluster support disabled" in self._failures
            self._advice = _NO_CLUSTER if is_wrong_url else ""
            if self._following is None:
                return  # a command says it in its one line
            if is_wrong_url and not self._has_said_so:
                self._has_said_so = True
                log.error("%s (%s)", _NO_CLUSTER, self._failures)
            elif not is_wrong_url:
                log.warning("no node says how the cluster is: %s", self._failures)

    def _follow(self) -> None:
        while True:
            self.refresh()
            gevent.sleep(_REFRESH_S)

    def _candidates(self, told_by: Address | None) -> Iterator[Address]:
        """Whom to ask, in turn, each once: who knows best, who answered last, all others."""
        primaries = [each.address for each in self.nodes if not each.is_failing]
        yield from dict.fromkeys(
            self._translate.get(each, each)
            for each in (told_by, self._last_answered, *primaries, *self._seeds)
            if each is not None
        )

    def _read_from(self, address: Address) -> list[Node]:
        pool = self._make_topology_pool(address)
        connection = pool.get_connection()
        try:
            connection.send_command("CLUSTER", "NODES")
            return parse_nodes(connection.read_response().decode(), asked=address)
        finally:
            connection.disconnect()
            pool.release(connection)

    def _apply(self, nodes: Sequence[Node]) -> None:
        """Take over what is newer in ``nodes``. No switch point."""
        self.nodes = nodes
        is_changed = False
        for node in nodes:
            if not (node.is_primary and node.slots) or node.flags & {"handshake", "noaddr"}:
                continue
            shard = self.at(node.address)
            if node.epoch > shard.incarnation:
                shard.incarnation, is_changed = node.epoch, True
            for slots in node.slots:
                for slot in slots:
                    if node.epoch >= self._epochs[slot]:
                        is_changed |= self._owners[slot] is not shard
                        self._owners[slot], self._epochs[slot] = shard, node.epoch
        owners = set(self._owners)
        for address, shard in list(self._shards.items()):
            if shard not in owners:
                del self._shards[address]
                shard.ops_pool.drain()  # waiters are redirected from there
                shard.pubsub_pool.hang_up()
        if is_changed:
            log.info(
                "the cluster has %d primaries: %s",
                len(self._shards), ", ".join(sorted(map(str, self._shards))),
            )  # fmt: skip
            self.on_change()


_NO_CLUSTER = (
    "REDIS_URL=redis+cluster://… leads to a server without cluster mode: a single server is "
    "redis://…, and Sentinels are redis+sentinel://…/NAME."
)


def greet(connection: Any) -> int:
    """The epoch of the server that ``connection`` leads to."""
    connection.send_command("CLUSTER", "INFO")
    for line in connection.read_response().decode().splitlines():
        name, _, value = line.partition(":")
        if name == "cluster_my_epoch":
            return int(value)
    raise redis.ResponseError("CLUSTER INFO has no cluster_my_epoch")


def parse_nodes(text: str, *, asked: Address) -> list[Node]:
    """The lines of CLUSTER NODES. Raises ValueError.

    A node that does not know its own address leaves it empty: it is the ``asked`` one.
    """
    nodes = []
    for line in text.splitlines():
        id_, where, flags, primary, _ping, _pong, epoch, _link, *slots = line.split(" ")
        host, _, port = where.partition(",")[0].partition("@")[0].rpartition(":")
        address = Address(host or asked.host, int(port))
        ranges = [_slots(each) for each in slots if not each.startswith("[")]
        nodes.append(
            Node(id_, address, frozenset(flags.split(",")), primary, int(epoch), tuple(ranges))
        )
    return nodes


def _slots(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)

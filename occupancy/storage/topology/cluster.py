"""A Cluster: the map from slots to shards, as its nodes tell it.

The map is read (CLUSTER NODES) when a redirection or a failure says that it has changed, and once a
second by the web server's processes. One greenlet reads it at a time, at most five times a second;
the others wait for that. Nodes may differ for a while: of two owners of a slot the one with the
higher epoch is right, so an older answer never replaces a newer one.

The incarnation of a connection is the epoch of its server when it was made (CLUSTER INFO). An epoch
also rises when a slot is moved to a server. That resets the streams of that server's boards once,
as a promotion does; operators are told which of the two it was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import gevent
import redis
from gevent.lock import Semaphore

from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.core.texts.plurals import counted
from occupancy.storage.client import OpsClient
from occupancy.storage.pool import FairPool
from occupancy.storage.server_errors import denied_command
from occupancy.storage.topology.cluster_client import ClusterClient
from occupancy.storage.topology.cluster_nodes import Node, NodesReader
from occupancy.storage.topology.shard import SLOTS, Member, ServerRole, Shard, slot_of

log = logging.getLogger(__name__)

_REFRESH_S = 1.0  # in the background
_LEAST_REFRESH_S = 0.2  # from one to the next
_LONGEST_REFRESH_S = 2.0  # then the rest of the nodes is not asked


class Cluster:
    """See :class:`~occupancy.storage.topology.shard.Topology`.

    ``make_shard`` makes the pools for an address, ``make_topology_pool`` a pool of one connection
    for reading the map. ``addresses`` says where to find the servers at addresses that they
    announce; ``has_tls`` that a host name is preferred to an address, as certificates demand.
    """

    is_sharded = True
    on_change: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self, seeds: Sequence[Address], make_shard: Callable[[Address], Shard],
        make_topology_pool: Callable[[Address], FairPool], *,
        wait_s: float, default_key: str, addresses: Mapping[Address, Address] | None = None,
        has_tls: bool = False,
    ) -> None:  # fmt: skip
        self._seeds = list(seeds)
        self._make_shard = make_shard
        self._make_topology_pool = make_topology_pool
        self._addresses = addresses or {}
        self._shards: dict[Address, Shard] = {}
        self._owners: list[Shard | None] = [None] * SLOTS
        self._epochs = [-1] * SLOTS  # that made the owner the owner
        self.nodes: Sequence[Node] = ()  # as last read
        self._named: dict[Address, Address] = {}  # where a node is, by what redirections call it
        self._lock = Semaphore(1)
        self._reads = 0
        self._read_at = 0.0  # monotonic
        self._reader = NodesReader(
            make_topology_pool, addresses=self._addresses, prefers_names=has_tls
        )
        self._failed_at: dict[Address, float] = {}
        self._advice = ""  # what is wrong with REDIS_URL, if it is
        self._failures = ""  # of the last read, if it failed
        self.denied: str | None = None  # the command for reading, if our user may not run it
        self._has_said_so = False
        self._following: gevent.Greenlet | None = None
        self.client = ClusterClient(self, wait_s=wait_s, default_key=default_key)

    @property
    def is_complete(self) -> bool:
        return None not in self._owners

    def start(self) -> None:
        if self._following is None:
            self._following = gevent.spawn(self._follow)

    def stop(self) -> None:
        if self._following is not None:
            self._following.kill()
            self._following = None
        self._reader.close()
        for shard in self._shards.values():
            shard.close()

    def shards(self) -> Sequence[Shard]:
        return tuple(self._shards.values())

    def shard_of(self, key: str) -> Shard | None:
        return self._owners[slot_of(key)]

    def members(self) -> Sequence[Member]:
        if not self.nodes:
            self.refresh()
        known = [each for each in self.nodes if not each.flags & {"handshake", "noaddr"}]
        addresses = {each.id: each.address for each in known}
        return [self._member(each, str(addresses.get(each.primary_id, ""))) for each in known]

    def _member(self, node: Node, primary: str) -> Member:
        address = node.address
        if node.is_primary:
            role: ServerRole = "primary" if node.slots else "spare"
        else:
            role = "replica"
        shard = self._shards.get(address)
        if shard is not None and shard.pubsub_pool is shard.ops_pool:
            client = shard.client  # the command line, whose reserved slots are few
        else:  # a busy pool of operations would make the server look as if it did not answer
            client = OpsClient(connection_pool=self._make_topology_pool(address))
        return Member(str(address), role, node.epoch, client, shard, primary)

    # For the client

    def owner(self, slot: int) -> Shard:
        found = self._owners[slot]
        if found is None or found.is_suspect:
            self.refresh()
            found = self._owners[slot]
        if found is None:
            raise StoreUnavailable(
                self._advice
                or "No server of the cluster serves this board now. Try again in a moment.",
                retry_after=2,
            ) from redis.ConnectionError(self._failures or f"slot {slot} has no owner")
        return found

    def address_of(self, host: str, port: int, *, sender: Shard) -> Address:
        if host in ("", "?"):  # the sender's host
            host = next(each.host for each, shard in self._shards.items() if shard is sender)
            return Address(host, port)
        named = Address(host, port)
        return self._named.get(named) or self._addresses.get(named, named)

    def at(self, address: Address) -> Shard:
        if address not in self._shards:
            self._shards[address] = self._make_shard(address)
            self._count_replicas()
        return self._shards[address]

    def _count_replicas(self) -> None:
        for node in self.nodes:
            shard = self._shards.get(node.address)
            if node.is_primary and shard is not None:
                replicas = [each for each in self.nodes if each.primary_id == node.id]
                shard.known_replicas = len(replicas)
                # One that only some nodes miss ("fail?") counts: it may still be promoted.
                shard.replicas = sum(not each.is_failing for each in replicas)

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
            for shard in self._shards.values():
                shard.is_suspect = False
            failures, denied = [], None
            for address in self._candidates(told_by):
                if time.monotonic() - self._read_at > _LONGEST_REFRESH_S:
                    break
                try:
                    nodes = self._read_from(address)
                except (OccupancyError, redis.RedisError, OSError, ValueError) as error:
                    self._failed_at[address] = time.monotonic()
                    failures.append(f"{address}: {error.__cause__ or error}")
                    denied = denied or denied_command(error)
                else:
                    self._failed_at.pop(address, None)
                    self._advice, self._failures, self.denied = "", "", None
                    self._apply(nodes)
                    return
            self._failures = "; ".join(failures)
            is_wrong_url = "cluster support disabled" in self._failures
            self.denied = denied
            self._advice = _NO_CLUSTER if is_wrong_url else ""
            if denied is not None:
                self._advice = _NO_RIGHTS.format(denied)
            if self._following is None:
                return  # a command says it in its one line
            if self._advice and not self._has_said_so:
                self._has_said_so = True
                log.error("%s (%s)", self._advice, self._failures)
            elif not self._advice:
                log.warning("no node says how the cluster is: %s", self._failures)

    def _follow(self) -> None:
        while True:
            self.refresh()
            gevent.sleep(_REFRESH_S)

    def _candidates(self, told_by: Address | None) -> list[Address]:
        """Whom to ask, in turn: who knows best, who answered last, all others; failed ones last."""
        last = [self._reader.address] if self._reader.address else []
        known = [each.address for each in self.nodes if not each.is_failing]
        found = dict.fromkeys((*([told_by] if told_by else []), *last, *known, *self._seeds))
        return sorted(found, key=lambda each: self._failed_at.get(each, 0.0))

    def _read_from(self, address: Address) -> list[Node]:
        nodes = self._reader.read(address)
        is_counted = any(each.address == address for each in nodes)
        if self._following is None or not is_counted:
            # A command needs its few slots for operations. A seed by another name than the cluster
            # has for it has slots of its own, which would come on top of the budget.
            self._reader.close()
        return nodes

    def _apply(self, nodes: Sequence[Node]) -> None:
        """Take over what is newer in ``nodes``. No switch point."""
        if nodes == self.nodes:
            return
        were_primaries = {each.id for each in self.nodes if each.is_primary}
        self.nodes = nodes
        self._named = {name: each.address for each in nodes for name in each.announced}
        is_changed = False
        for node in nodes:
            if not (node.is_primary and node.slots) or node.flags & {"handshake", "noaddr"}:
                continue
            newer = [
                slot for slots in node.slots for slot in slots if node.epoch >= self._epochs[slot]
            ]
            if not newer:
                continue
            shard = self.at(node.address)
            if node.epoch > shard.incarnation:
                shard.incarnation, is_changed = node.epoch, True
                shard.has_taken_slots = node.id in were_primaries
            for slot in newer:
                is_changed |= self._owners[slot] is not shard
                self._owners[slot], self._epochs[slot] = shard, node.epoch
        self._count_replicas()
        owners = set(self._owners)
        for address, shard in list(self._shards.items()):
            if shard not in owners:
                del self._shards[address]
                shard.ops_pool.drain()  # waiters are redirected from there
                shard.pubsub_pool.hang_up()
        if is_changed:
            log.info(
                "the cluster has %s: %s",
                counted(len(self._shards), "primary", "primaries"),
                ", ".join(sorted(map(str, self._shards))),
            )  # fmt: skip
            self.on_change()


_NO_RIGHTS = "The store's user lacks rights: +{}. `flask redis check` says what to change."
_NO_CLUSTER = (
    "REDIS_URL=redis+cluster://… leads to a server without cluster mode: a single server is "
    "redis://…, and Sentinels are redis+sentinel://…/NAME."
)

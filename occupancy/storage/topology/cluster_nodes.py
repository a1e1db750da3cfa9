"""The nodes of a Cluster, as one of them lists them (CLUSTER NODES), and the epoch of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import redis

from occupancy.core.server_url import Address
from occupancy.storage.pool import FairPool


class Node(NamedTuple):
    """A line of CLUSTER NODES."""

    id: str
    address: Address  # where we connect to it
    announced: tuple[Address, ...]  # what redirections may call it
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


class NodesReader:
    """Reads the nodes over one connection, which it keeps until it reads from another address."""

    def __init__(
        self, make_pool: Callable[[Address], FairPool], *, addresses: Mapping[Address, Address],
        prefers_names: bool,
    ) -> None:  # fmt: skip
        self.address: Address | None = None  # that the connection leads to
        self._make_pool = make_pool
        self._addresses = addresses
        self._prefers_names = prefers_names
        self._pool: FairPool | None = None

    def read(self, address: Address) -> list[Node]:
        """What the node at ``address`` lists. Raises our errors, redis's and ValueError."""
        if self._pool is None or self.address != address:
            self.close()
            self.address, self._pool = address, self._make_pool(address)
        pool = self._pool
        connection = pool.get_connection()
        try:
            connection.send_command("CLUSTER", "NODES")
            text = connection.read_response().decode()
        finally:
            pool.release(connection)
        return parse_nodes(
            text, asked=address, addresses=self._addresses, prefers_names=self._prefers_names
        )

    def close(self) -> None:
        """Close the connection."""
        if self._pool is not None:
            self._pool.disconnect()
            self.address = self._pool = None


def greet(connection: Any) -> int:
    """The epoch of the server that ``connection`` leads to."""
    connection.send_command("CLUSTER", "INFO")
    for line in connection.read_response().decode().splitlines():
        name, _, value = line.partition(":")
        if name == "cluster_my_epoch":
            return int(value)
    raise redis.ResponseError("CLUSTER INFO has no cluster_my_epoch")


def parse_nodes(
    text: str, *, asked: Address, addresses: Mapping[Address, Address] | None = None,
    prefers_names: bool = False,
) -> list[Node]:  # fmt: skip
    """The lines of CLUSTER NODES, in the order of their ids. Raises ValueError.

    A node that does not know its own address leaves it empty: it is the ``asked`` one. A node may
    announce a host name besides its address, and ``addresses`` has one or the other.
    """
    nodes = []
    for line in sorted(text.splitlines()):
        id_, where, flags, primary, _ping, _pong, epoch, _link, *slots = line.split(" ")
        where, *names = where.split(",")
        host, _, port = where.partition("@")[0].rpartition(":")
        announced = [Address(each, int(port)) for each in (host, *names[:1]) if each]
        known = next(filter(None, map((addresses or {}).get, announced)), None)
        announced = announced or [Address(asked.host, int(port))]
        default = announced[-1 if prefers_names else 0]
        ranges = [_slots(each) for each in slots if not each.startswith("[")]
        nodes.append(
            Node(
                id_, known or default, tuple(announced), frozenset(flags.split(",")) - {"myself"},
                primary, int(epoch), tuple(ranges),
            )
        )  # fmt: skip
    return nodes


def _slots(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)

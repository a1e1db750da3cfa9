"""The nodes of a Cluster, as one of them lists them, and the epoch of a node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import redis

from occupancy.core.server_url import Address


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

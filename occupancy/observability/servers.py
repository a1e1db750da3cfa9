"""The servers of the deployment as an operator looks at them: each is asked by itself, all at once.

One that does not answer is listed as unreachable, and costs the others no more than its timeout.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gevent
import gevent.monkey

from occupancy.core.entities import MAIN_BOARD
from occupancy.core.errors import OccupancyError, StoreUnavailable
from occupancy.core.keys import Keys
from occupancy.storage.client import Fill
from occupancy.storage.server_errors import ServerError, denied_command
from occupancy.storage.topology.sentinel import Sentinel
from occupancy.storage.topology.shard import Member, Topology

CLIENT_NAMES = ("ops", "pubsub", "cli")
OUR_NAMES = (*CLIENT_NAMES, "topology")
_COUNTED = ("maxclients", "connected", *CLIENT_NAMES, "other")
_MAX_NAMES = 50  # of boards, listed for each server
_ASK_S = 1.5  # longer than the timeouts of a connection that only looks
_NAMES_KEPT_S = 10.0  # of the boards, of which there may be ten thousand
Boards = dict[str, list[str]]
"""The names of the boards, by the address of the server that has them."""


class Answer(NamedTuple):
    """What a server has answered; ``error`` is None if it has, and ``replies`` are there.

    ``denied`` is the command that our user may not run, if the error is that.
    """

    member: Member
    replies: list[Any]
    latency_ms: float | None
    error: str | None
    denied: str | None = None


class Servers:
    """The servers of a deployment. One per process; ``limit`` is the budget on each server."""

    def __init__(self, topology: Topology, keys: Keys, limit: int) -> None:
        self._topology = topology
        self._keys = keys
        self._limit = limit
        self._names: list[str] = []  # of the boards
        self._names_until = 0.0  # monotonic
        self._boards: Boards = {}
        self._placed_by: tuple[list[str], list[tuple[str, int]]] = ([], [])

    @property
    def are_several(self) -> bool:
        """Whether the deployment may have more than one server."""
        return self._topology.client.has_failover

    @property
    def access_address(self) -> str | None:
        """The server that has the keys of access; None while that is unknown."""
        shard = self._topology.shard_of(self._keys.workers)
        return None if shard is None else shard.address

    def ask(self, fill: Fill) -> list[Answer]:
        """Send PING, and then ``fill``'s commands, to each server. A withheld reply is None."""
        return self.each(lambda member: member.client.run_optional(fill))

    def each(self, read: Callable[[Member], list[Any]]) -> list[Answer]:
        """Measure a PING and call ``read`` for each server, side by side. Never raises."""
        members = sorted(
            self._topology.members(), key=lambda each: (each.role != "primary", each.address)
        )
        asking = [gevent.spawn(_ask, member, read) for member in members]
        # A client that operations use has bounds of its own, and its pool may be busy.
        lookers = [each for each, member in zip(asking, members, strict=True) if not member.is_lent]
        # On the command line sockets block: one is asked after the other, however long that takes.
        is_patched = gevent.monkey.is_module_patched("socket")
        gevent.joinall(lookers, timeout=_ASK_S if is_patched else None)
        gevent.killall([each for each in lookers if not each.ready()])
        gevent.joinall(asking)
        return [
            each.value
            if isinstance(each.value, Answer)
            else Answer(member, [], None, "The server did not answer in time.")
            for each, member in zip(asking, members, strict=True)
        ]

    def boards(self) -> Boards:
        """Which boards each server has. Raises PoolTimeout and StoreUnavailable."""
        if time.monotonic() > self._names_until:
            members: Any = self._topology.client.smembers(self._keys.boards)
            self._names = sorted({each.decode() for each in members} | {MAIN_BOARD})
            self._names_until = time.monotonic() + _NAMES_KEPT_S
        return self._placed()

    def known_boards(self, answers: Sequence[Answer]) -> Boards:
        """As ``boards``; with the names read before if their server has not answered."""
        shard = self._topology.shard_of(self._keys.boards)
        where = None if shard is None else shard.address
        if any(each.error is None and each.member.address == where for each in answers):
            with contextlib.suppress(OccupancyError):
                return self.boards()
        return self._placed()

    def _placed(self) -> Boards:
        """The boards by their servers, which may have changed; slots of many names take time."""
        servers = [(each.address, each.incarnation) for each in self._topology.shards()]
        if (self._names, servers) != self._placed_by:
            found: Boards = {}
            for name in self._names:
                shard = self._topology.shard_of(self._keys.board(name).board)
                if shard is not None:
                    found.setdefault(shard.address, []).append(name)
            self._boards, self._placed_by = found, (self._names, servers)
        return self._boards

    def counts(self) -> dict[str, Any]:
        """The connections that the servers count: ``server`` is the sum over the primaries.

        With ``servers`` where there may be several, and ``sentinels`` where there are some. What a
        server withholds is None. Raises StoreUnavailable if no primary answers.
        """
        if not self.are_several:
            (answer,) = self._topology.members()
            counted = _counted(answer.client.run_optional(_read_clients))
            return {"server": {name: counted[name] for name in _COUNTED}}
        servers = self.described()
        primaries = [
            each for each in servers if each["role"] == "primary" and each["status"] == "healthy"
        ]
        if not primaries:
            raise StoreUnavailable("No primary answers. Try again in a moment.", retry_after=2)
        counts = {"server": _sum(primaries), "servers": servers}
        if isinstance(self._topology, Sentinel):
            counts["sentinels"] = sentinels(self._topology)
        return counts

    def described(self) -> list[dict[str, Any]]:
        """Every server, with its connections against the budget and its boards. Never raises."""
        answers = self.ask(_read_clients)
        boards = self.known_boards(answers)
        return [self._described(each, boards) for each in answers]

    def _described(self, answer: Answer, boards: Boards) -> dict[str, Any]:
        member = answer.member
        counted = _counted(answer.replies or [None, None])
        ours = [counted[name] for name in OUR_NAMES]
        names = boards.get(member.address, [])
        described = {
            "address": member.address,
            "role": member.role,
            "primary": member.primary or None,
            "status": "healthy" if answer.error is None else "unreachable",
            "detail": answer.error,
            "incarnation": member.incarnation,
            "used": None if None in ours else sum(each or 0 for each in ours),
            "limit": self._limit,
            "boards": (
                {"count": len(names), "names": names[:_MAX_NAMES]}
                if member.role == "primary" else None
            ),
        }  # fmt: skip
        return {**described, **counted}


def sentinels(topology: Sentinel) -> list[dict[str, Any]]:
    """What each Sentinel says; the figures of one that does not answer are None."""
    found = []
    for address, fields in topology.sentinels().items():
        told = fields or {}
        found.append({
            "address": str(address),
            "status": "unreachable" if fields is None else "healthy",
            "primary": f"{told['ip']}:{told['port']}" if "ip" in told else None,
            "incarnation": int(told["config-epoch"]) if "config-epoch" in told else None,
        })  # fmt: skip
    return found


def _ask(member: Member, read: Callable[[Member], list[Any]]) -> Answer:
    try:
        member.client.ping()  # connects
        started = time.monotonic()
        member.client.ping()
        latency_ms = (time.monotonic() - started) * 1000
        return Answer(member, read(member), latency_ms, None)
    except (OccupancyError, ServerError) as error:
        text = error.detail if isinstance(error, OccupancyError) else str(error)
        cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
        denied = denied_command(error) if isinstance(error, StoreUnavailable) else None
        return Answer(member, [], None, f"{text}{cause}", denied)
    finally:
        member.close()


def _read_clients(pipeline: Any) -> None:
    pipeline.info("clients")
    pipeline.client_list()


def _counted(replies: Sequence[Any]) -> dict[str, int | None]:
    """The connections by name; None for what the server withholds."""
    info, clients = replies
    counts: dict[str, int | None] = dict.fromkeys((*OUR_NAMES, "other"))
    connected = None if info is None else info.get("connected_clients")
    if clients is not None:
        names = [client.get("name", "") for client in clients]
        ours = {name: names.count(f"occupancy-{name}") for name in OUR_NAMES}
        connected = len(clients)
        counts = {**ours, "other": connected - sum(ours.values())}
    maxclients = None if info is None else info.get("maxclients")
    return {"maxclients": maxclients, "connected": connected, **counts}


def _sum(counted: Sequence[dict[str, Any]]) -> dict[str, int | None]:
    """The sums of all counts; a sum with an unknown part is unknown."""
    sums = {}
    for name in (*_COUNTED, "topology"):
        parts = [each[name] for each in counted]
        sums[name] = None if None in parts else sum(parts)
    return sums

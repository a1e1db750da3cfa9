"""What one Sentinel says: where the primary is, or why it does not say it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import redis
from redis.connection import Connection

from occupancy.core.server_url import Address, ServerUrl
from occupancy.storage.connections import close_half_open

_TIMEOUT_S = 0.3  # one that hangs must not delay the others' answers

FAILURES = (redis.RedisError, OSError, ValueError)
"""What asking a Sentinel may raise."""


class Primary(NamedTuple):
    """Where the primary is, and the failover epoch that made it one."""

    address: Address
    epoch: int


class Answer(NamedTuple):
    """What a Sentinel says: the primary (None during a change), its fields, its replicas."""

    primary: Primary | None
    fields: dict[str, str]  # of SENTINEL MASTER
    replicas: int  # that a failover may choose
    known_replicas: int


class Trouble(NamedTuple):
    """Why a Sentinel does not say it."""

    text: str
    advice: str = ""  # for a person: what is wrong with REDIS_URL, without its values


class Sentinels:
    """Makes connections to Sentinels; ``options`` are redis-py's for them (TLS, for example).

    ``addresses`` translates what a Sentinel says to where to connect.
    """

    def __init__(
        self, url: ServerUrl, connection_class: type[Connection], options: dict[str, Any],
        addresses: Mapping[Address, Address],
    ) -> None:  # fmt: skip
        self._url = url
        self._connection_class = connection_class
        self._options = options
        self._addresses = addresses

    @contextlib.contextmanager
    def connected(self, address: Address) -> Iterator[Any]:
        """A connection to the Sentinel at ``address``, closed at the end."""
        connection = self._connection_class(
            host=address.host, port=address.port, protocol=2, driver_info=None,
            client_name="occupancy-topology",
            username=self._url.sentinel_username, password=self._url.sentinel_password,
            socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S, **self._options,
        )  # fmt: skip
        try:
            try:
                connection.connect()
            except BaseException as error:  # killed: another Sentinel has answered, or we stop
                close_half_open(error)
                raise
            yield connection
        finally:
            connection.disconnect()

    def ask(self, connection: Any) -> Answer:
        """What the Sentinel says now.

        Address and epoch come by different commands. The address is asked before and after: if it
        stayed the same, the epoch in between belongs to it.
        """
        where = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.service)
        what = ("SENTINEL", "MASTER", self._url.service)
        who = ("SENTINEL", "REPLICAS", self._url.service)
        connection.send_packed_command(connection.pack_commands([where, what, who, where]))
        replies = []
        for _ in range(4):
            try:
                replies.append(connection.read_response())
            except redis.ResponseError as error:
                replies.append(error)
        for each in replies:
            if isinstance(each, Exception):
                raise each
        before, fields, replicas, after = replies
        named = _named(fields)
        primary = None
        if before is not None and before == after:
            announced = Address(before[0].decode(), int(before[1]))
            address = self._addresses.get(announced, announced)
            primary = Primary(address, int(named.get("config-epoch", 0)))
        promotable = sum(_may_be_promoted(_named(each)) for each in replicas)
        return Answer(primary, named, promotable, len(replicas))

    def replicas(self, connection: Any) -> list[Address]:
        """Where the replicas are."""
        connection.send_command("SENTINEL", "REPLICAS", self._url.service)
        found = []
        for flat in connection.read_response():
            named = _named(flat)
            announced = Address(named["ip"], int(named["port"]))
            found.append(self._addresses.get(announced, announced))
        return found

    def trouble(self, error: Exception) -> Trouble:
        """What ``error``, of a Sentinel that was asked, means."""
        text = str(error)
        if text.lower().startswith("unknown command"):
            return Trouble(f"it is no Sentinel ({text[:60]})", _NO_SENTINEL)
        if "No such master" in text:
            return Trouble(f"it knows no primary named {self._url.service!r}", _NO_SERVICE)
        if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
            return Trouble(text, _NO_RIGHTS)
        return Trouble(text)


def _named(fields: Sequence[bytes]) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in zip(*[iter(fields)] * 2, strict=True)}


def _may_be_promoted(replica: dict[str, str]) -> bool:
    """Whether a failover may choose the replica, now or in a moment.

    Right after a failover a Sentinel is "disconnected" from all replicas, so that says nothing.
    Sentinels do not choose one whose link to the primary is down for ten times the time after
    which a server counts as down.
    """
    if "s_down" in replica["flags"] or "o_down" in replica["flags"]:
        return False
    link_down_ms = int(replica.get("master-link-down-time", 0))
    return link_down_ms <= 10 * int(replica.get("down-after-milliseconds", link_down_ms))


_NO_SENTINEL = (
    "REDIS_URL=redis+sentinel://… must name Sentinels, and it leads to another kind of server: "
    "a single server is redis://…, a cluster is redis+cluster://…."
)
_NO_SERVICE = (
    "The Sentinels know no primary of the name in REDIS_URL: it must be the name of their "
    "`sentinel monitor`, as in redis+sentinel://host:port/NAME."
)
_NO_RIGHTS = (
    "The Sentinels refuse our password or user: REDIS_URL must have theirs, as in "
    "redis+sentinel://…/NAME?sentinel_username=…&sentinel_password=…."
)

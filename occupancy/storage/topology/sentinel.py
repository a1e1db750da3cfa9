"""Sentinel: one shard, whose address changes when the Sentinels promote another server.

Every Sentinel is asked a few times a second. Redis leaves the old primary writable for ten seconds
and more after a promotion, and what is written there is lost; so a change is followed at once, and
every connection to the old address is dropped. The answer with the highest epoch counts: a Sentinel
that was cut off from the others may name the old primary for ever.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import gevent
import redis
from gevent.event import Event
from redis.connection import Connection

from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Address, ServerUrl
from occupancy.storage.client import OpsClient
from occupancy.storage.pool import FairPool
from occupancy.storage.topology.shard import Member, Shard

log = logging.getLogger(__name__)

POLL_S = 0.25
_TIMEOUT_S = 0.3  # of a Sentinel: one that hangs must not delay the others' answers
_FIRST_ANSWER_S = 1.0  # how long the first connection waits for any of them


class Primary(NamedTuple):
    """What a Sentinel says: where the primary is, and the failover epoch that made it one."""

    address: Address
    epoch: int


class Sentinel:
    """See :class:`~occupancy.storage.topology.shard.Topology`.

    ``connection_options`` are redis-py's for a connection to a Sentinel (TLS, for example).
    """

    is_sharded = False
    on_change: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self, url: ServerUrl, make_pool: Callable[..., FairPool], *,
        connection_class: type[Connection] = Connection,
        connection_options: dict[str, Any] | None = None,
        is_command_line: bool = False,
    ) -> None:  # fmt: skip
        self._url = url
        self._connection_class = connection_class
        self._options = connection_options or {}
        self._make_pool = make_pool
        self._primary: Primary | None = None
        self._is_known = Event()
        self._greenlets: list[gevent.Greenlet] = []
        ops_pool = make_pool("ops", locate=self._locate, greet=self._greet)
        pubsub_pool = (
            ops_pool if is_command_line
            else make_pool("pubsub", locate=self._locate, greet=self._greet)
        )  # fmt: skip
        self.shard = Shard("", ops_pool, pubsub_pool)
        self.client = self.shard.client
        self.client.has_failover = True

    def start(self) -> None:
        if not self._greenlets:
            self._greenlets = [gevent.spawn(self._follow, each) for each in self._url.addresses]

    def stop(self) -> None:
        gevent.killall(self._greenlets)
        self._greenlets = []
        self.shard.close()

    def refresh(self) -> None:
        self._ask_all()

    def shards(self) -> Sequence[Shard]:
        return (self.shard,)

    def shard_of(self, key: str) -> Shard:
        return self.shard

    def sentinels(self) -> dict[Address, dict[str, str] | None]:
        """What each Sentinel says of the primary (SENTINEL MASTER); None if it does not answer."""
        asked = {each: gevent.spawn(self._ask_once, each) for each in self._url.addresses}
        gevent.joinall(list(asked.values()))
        return {
            address: None if each.value is None else each.value[1]
            for address, each in asked.items()
        }

    def members(self) -> Sequence[Member]:
        if self._primary is None:
            self._ask_all()
        shard = self.shard
        primary = Member(shard.address, "primary", shard.incarnation, shard.client, shard)
        return [primary, *map(self._replica, self._replicas())]

    def _replica(self, address: Address) -> Member:
        pool = self._make_pool("topology", address=address, timeout_s=_TIMEOUT_S)
        shard = self.shard
        return Member(
            str(address), "replica", shard.incarnation, OpsClient(connection_pool=pool),
            primary=shard.address,
        )  # fmt: skip

    def _replicas(self) -> list[Address]:
        """The replicas, as the first Sentinel that answers lists them; [] if none answers."""
        for address in self._url.addresses:
            with contextlib.suppress(redis.RedisError, OSError, ValueError):
                with self._connected(address) as connection:
                    connection.send_command("SENTINEL", "REPLICAS", self._url.service)
                    listed = [named_fields(each) for each in connection.read_response()]
                found = [Address(each["ip"], int(each["port"])) for each in listed]
                return [each for each in found if str(each) != self.shard.address]
        return []

    # Connecting

    def _locate(self, connection: Any) -> None:
        """Point ``connection`` to the primary. Raises StoreUnavailable if no Sentinel knows it."""
        if self._primary is None:
            self._ask_all()
        primary = self._primary
        if primary is None:
            raise StoreUnavailable(
                "No Sentinel says where the primary is. Try again in a moment.", retry_after=2
            )
        connection.host, connection.port = primary.address
        connection.primary = primary

    def _greet(self, connection: Any) -> int:
        """The epoch of the primary that was asked for. Raises ReadOnlyError if it is none."""
        connection.send_command("ROLE")
        role = connection.read_response()[0]
        if role != b"master":
            connection.has_wrong_server = True
            raise redis.ReadOnlyError(f"{connection.primary.address} is no primary any more")
        epoch: int = connection.primary.epoch  # of that address, whatever is known by now
        return epoch

    def _ask_all(self) -> None:
        """Ask every Sentinel, and take the highest epoch; for the first connection."""
        asked = [gevent.spawn(self._ask_once, each) for each in self._url.addresses]
        gevent.joinall(asked, timeout=_FIRST_ANSWER_S)
        for each in asked:
            if each.value is not None:
                self._learn(each.value[0])

    # Following

    def _follow(self, address: Address) -> None:
        """Ask one Sentinel, for ever, over one connection."""
        is_answering = True
        while True:
            try:
                with self._connected(address) as connection:
                    while True:
                        found = self._ask(connection)
                        if not is_answering:
                            log.info("the Sentinel %s answers again", address)
                            is_answering = True
                        if found is not None:
                            self._learn(found[0])
                        gevent.sleep(POLL_S)
            except (redis.RedisError, OSError, ValueError) as error:
                if is_answering:
                    log.warning("the Sentinel %s does not answer: %s", address, error)
                    is_answering = False
            gevent.sleep(POLL_S)

    def _learn(self, found: Primary) -> None:
        """Move to ``found`` if it is newer than what is known. No switch point."""
        known = self._primary
        if known is not None and found.epoch <= known.epoch:
            return
        self._primary = found
        self.shard.address, self.shard.incarnation = str(found.address), found.epoch
        if known is None:
            return
        log.warning("the primary is %s now, by failover %d", found.address, found.epoch)
        # In use or not: an answer of the old primary is worth nothing now.
        self.shard.ops_pool.hang_up()
        self.shard.pubsub_pool.follow(self.shard.ops_pool)
        self.on_change()

    @contextlib.contextmanager
    def _connected(self, address: Address) -> Iterator[Any]:
        connection = self._connection_class(
            host=address.host, port=address.port, protocol=2, driver_info=None,
            client_name="occupancy-topology",
            username=self._url.sentinel_username, password=self._url.sentinel_password,
            socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S, **self._options,
        )  # fmt: skip
        try:
            connection.connect()
            yield connection
        finally:
            connection.disconnect()

    def _ask_once(self, address: Address) -> tuple[Primary, dict[str, str]] | None:
        with contextlib.suppress(redis.RedisError, OSError, ValueError):
            with self._connected(address) as connection:
                return self._ask(connection)
        return None

    def _ask(self, connection: Any) -> tuple[Primary, dict[str, str]] | None:
        """The primary and its fields; None during a change.

        Address and epoch come by different commands. The address is asked before and after: if it
        stayed the same, the epoch in between belongs to it.
        """
        where = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.service)
        what = ("SENTINEL", "MASTER", self._url.service)
        connection.send_packed_command(connection.pack_commands([where, what, where]))
        replies = []
        for _ in range(3):
            try:
                replies.append(connection.read_response())
            except redis.ResponseError as error:
                replies.append(error)
        for each in replies:
            if isinstance(each, Exception):
                raise each
        before, fields, after = replies
        if before is None or before != after:
            return None
        named = named_fields(fields)
        host, port = before
        return Primary(Address(host.decode(), int(port)), int(named["config-epoch"])), named


def named_fields(flat: Sequence[bytes]) -> dict[str, str]:
    """The names and values of a Sentinel's reply, which has them in turn."""
    return {name.decode(): value.decode() for name, value in zip(*[iter(flat)] * 2, strict=True)}

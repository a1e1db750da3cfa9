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
from occupancy.storage.pool import FairPool
from occupancy.storage.topology.shard import Shard

log = logging.getLogger(__name__)

POLL_S = 0.25
_TIMEOUT_S = 0.3  # of a Sentinel: one that hangs must not delay the others' answers
_FIRST_ANSWER_S = 1.0  # how long the first connection waits for any of them


class Primary(NamedTuple):
    """What a Sentinel says: where the primary is, and the failover epoch that made it one."""

    address: Address
    epoch: int


class View(NamedTuple):
    """What a Sentinel says of the replicas of a primary."""

    primary: Primary
    known_replicas: int
    replicas: int  # that are not down


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
        self._primary: Primary | None = None
        self._views: dict[Address, View] = {}  # of the Sentinels that answer
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

    @property
    def is_complete(self) -> bool:
        return self._primary is not None

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
        asked = {each: gevent.spawn(self._ask_once, each) for each in self._url.addresses}
        gevent.joinall(list(asked.values()), timeout=_FIRST_ANSWER_S)
        for address, each in asked.items():
            if each.value is not None:
                self._see(address, *each.value)

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
                            self._see(address, *found)
                        gevent.sleep(POLL_S)
            except (redis.RedisError, OSError, ValueError) as error:
                self._views.pop(address, None)
                if is_answering:
                    log.warning("the Sentinel %s does not answer: %s", address, error)
                    is_answering = False
            gevent.sleep(POLL_S)

    def _see(self, address: Address, view: View, _fields: dict[str, str]) -> None:
        """Take over what a Sentinel says. No switch point."""
        self._views[address] = view
        self._learn(view.primary)
        # The highest number: who asks fewer replicas for a confirmation than there are loses it.
        now = [each for each in self._views.values() if each.primary == self._primary]
        if now:
            self.shard.replicas = max(each.replicas for each in now)
            self.shard.known_replicas = max(each.known_replicas for each in now)

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

    def _ask_once(self, address: Address) -> tuple[View, dict[str, str]] | None:
        with contextlib.suppress(redis.RedisError, OSError, ValueError):
            with self._connected(address) as connection:
                return self._ask(connection)
        return None

    def _ask(self, connection: Any) -> tuple[View, dict[str, str]] | None:
        """The primary with its replicas, and its fields; None during a change.

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
        if before is None or before != after:
            return None
        named = _named(fields)
        host, port = before
        primary = Primary(Address(host.decode(), int(port)), int(named["config-epoch"]))
        promotable = sum(_may_be_promoted(_named(each)) for each in replicas)
        return View(primary, len(replicas), promotable), named


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

"""Sentinel: one shard, whose address changes when the Sentinels promote another server.

Every Sentinel is asked a few times a second. Redis leaves the old primary writable for ten seconds
and more after a promotion, and what is written there is lost; so a change is followed at once, and
every connection to the old address is dropped. What the old primary acknowledges before that, for
POLL_S and a round trip at most, is lost; nothing is acknowledged for it later.

``sentinel_agreement.py`` decides which of their answers counts.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent
import redis
from redis.connection import Connection

from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Address, ServerUrl
from occupancy.storage.client import OpsClient
from occupancy.storage.pool import FairPool
from occupancy.storage.topology.sentinel_agreement import Agreement
from occupancy.storage.topology.sentinel_answers import (
    FAILURES,
    Answer,
    Primary,
    Sentinels,
    Trouble,
)  # fmt: skip
from occupancy.storage.topology.sentinel_client import SentinelClient
from occupancy.storage.topology.shard import Member, Shard

log = logging.getLogger(__name__)

POLL_S = 0.25
_FIRST_ANSWER_S = 0.8  # how long a connection waits for any Sentinel
_OTHERS_S = 0.05  # and for the others, once a majority has answered
_REPLICA_TIMEOUT_S = 0.5


class Sentinel:
    """See :class:`~occupancy.storage.topology.shard.Topology`.

    ``connection_options`` are redis-py's for a connection to a Sentinel (TLS, for example).
    """

    is_sharded = False
    on_change: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self, url: ServerUrl, make_pool: Callable[..., FairPool], *, wait_s: float,
        connection_class: type[Connection] = Connection,
        connection_options: dict[str, Any] | None = None,
        addresses: Mapping[Address, Address] | None = None,
        is_command_line: bool = False,
    ) -> None:  # fmt: skip
        self.service = url.service  # its name of the primary
        self._addresses = url.addresses
        self._agreement = Agreement(len(url.addresses), url.service)
        self._make_pool = make_pool
        self._sentinels = Sentinels(
            url, connection_class, connection_options or {}, addresses or {}
        )
        self._primary: Primary | None = None
        self._unreached_since: float | None = None  # no connection to the primary succeeds
        self._greenlets: list[gevent.Greenlet] = []
        self._asking: gevent.Greenlet | None = None
        ops_pool = make_pool("ops", locate=self._locate, greet=self._greet)
        pubsub_pool = (
            ops_pool if is_command_line
            else make_pool("pubsub", locate=self._locate, greet=self._greet)
        )  # fmt: skip
        self._asked_at, self._asking_took_s = 0.0, 0.0  # all of them, once; monotonic
        self.client: OpsClient = SentinelClient(
            ops_pool, wait_s=wait_s, refresh=self.refresh,
            before=self._ask_if_due if is_command_line else None,
        )  # fmt: skip
        self.shard = Shard("", ops_pool, pubsub_pool, self.client)

    @property
    def is_complete(self) -> bool:
        return self._primary is not None

    def start(self) -> None:
        if not self._greenlets:
            self._greenlets = [gevent.spawn(self._follow, each) for each in self._addresses]

    def stop(self) -> None:
        gevent.killall([*self._greenlets, *([self._asking] if self._asking else [])])
        self._greenlets, self._asking = [], None
        self.shard.close()

    def refresh(self) -> None:
        if not self._greenlets:  # else they ask all the time
            self._ask_all()

    def shards(self) -> Sequence[Shard]:
        return (self.shard,)

    def shard_of(self, key: str) -> Shard:
        return self.shard

    def sentinels(self) -> dict[Address, dict[str, str] | None]:
        """What each Sentinel says of the primary (SENTINEL MASTER); None if it does not answer."""
        asked = {each: gevent.spawn(self._ask_once, each) for each in self._addresses}
        gevent.joinall(list(asked.values()))
        return {address: each.value for address, each in asked.items()}

    def members(self) -> Sequence[Member]:
        if self._primary is None:
            self._ask_all()
        shard = self.shard
        primary = Member(shard.address, "primary", shard.incarnation, shard.client, shard)
        return [primary, *map(self._replica, self._replicas())]

    def _replica(self, address: Address) -> Member:
        pool = self._make_pool("topology", address=address, timeout_s=_REPLICA_TIMEOUT_S)
        shard = self.shard
        return Member(
            str(address), "replica", shard.incarnation, OpsClient(connection_pool=pool),
            primary=shard.address,
        )  # fmt: skip

    def _replicas(self) -> list[Address]:
        """The replicas, as the first Sentinel that answers lists them; [] if none answers."""
        for address in self._addresses:
            with contextlib.suppress(*FAILURES), self._sentinels.connected(address) as connection:
                found = self._sentinels.replicas(connection)
                return [each for each in found if str(each) != self.shard.address]
        return []

    # Connecting

    def _locate(self, connection: Any) -> None:
        """Point ``connection`` to the primary. Raises StoreUnavailable if no Sentinel knows it."""
        if self._primary is None or not self._greenlets:
            self._ask_all()
        primary = self._primary
        if primary is None:
            troubles = self._agreement.troubles
            advice = next((each.advice for each in troubles.values() if each.advice), "")
            why = "; ".join(f"{each}: {what.text}" for each, what in troubles.items())
            raise StoreUnavailable(
                advice or "No Sentinel says where the primary is. Try again in a moment.",
                retry_after=2,
            ) from redis.ConnectionError(why or "no Sentinel has answered yet")
        connection.host, connection.port = primary.address
        connection.primary = primary
        if self._unreached_since is None:
            self._unreached_since = time.monotonic()

    def _greet(self, connection: Any) -> int:
        """The epoch of the primary that was asked for. Raises ReadOnlyError if it is none.

        Also if another is known by now: the pool opens a connection twice at most, and the change
        may fall into either. From here on ``hang_up`` finds the connection's socket.
        """
        connection.send_command("ROLE")
        role = connection.read_response()[0]
        if role != b"master":
            raise redis.ReadOnlyError(f"{connection.primary.address} is no primary any more")
        primary: Primary = connection.primary
        if primary != self._primary:
            raise redis.ReadOnlyError(f"{primary.address} was replaced while we connected")
        self._unreached_since = None
        return primary.epoch

    def _ask_all(self) -> None:
        """Ask every Sentinel once, or wait for others who do that. Returns once it is known."""
        if self._asking is None or self._asking.ready():
            self._asking = gevent.spawn(self._ask_each_once)
        self._asking.join(timeout=_FIRST_ANSWER_S)

    def _ask_if_due(self) -> None:
        """Before each command of the command line, which has no greenlets.

        Else a long import would go on writing to an old primary. Asking takes a quarter of the time
        at most, also where a Sentinel hangs.
        """
        if time.monotonic() - self._asked_at >= max(POLL_S, 3 * self._asking_took_s):
            self._ask_all()

    def _ask_each_once(self) -> None:
        began = time.monotonic()
        asked = [gevent.spawn(self._ask_once, each) for each in self._addresses]
        answers = 0
        for each in gevent.iwait(asked, timeout=_FIRST_ANSWER_S):
            answers += each.value is not None
            if answers >= self._agreement.majority:  # one that hangs delays nobody
                break
        # Just after a promotion, only the Sentinel that has made it knows: it may be the last.
        gevent.joinall(asked, timeout=_OTHERS_S)
        gevent.killall(asked, block=False)
        self._asked_at = time.monotonic()
        self._asking_took_s = self._asked_at - began

    def _ask_once(self, address: Address) -> dict[str, str] | None:
        try:
            with self._sentinels.connected(address) as connection:
                answer = self._sentinels.ask(connection)
        except FAILURES as error:
            self._hear(address, self._sentinels.trouble(error))
            return None
        self._hear(address, answer)
        return answer.fields

    # Following

    def _follow(self, address: Address) -> None:
        """Ask one Sentinel, for ever, over one connection."""
        failures = 0
        while True:
            try:
                with self._sentinels.connected(address) as connection:
                    while True:
                        answer = self._sentinels.ask(connection)
                        if failures > 1:
                            log.info("the Sentinel %s answers again", address)
                        failures = 0
                        self._hear(address, answer)
                        gevent.sleep(POLL_S)
            except Exception as error:  # following goes on after any failure
                if not isinstance(error, FAILURES):
                    log.exception("asking the Sentinel %s failed", address)
                failures += 1
                trouble = self._sentinels.trouble(error)
                if failures == 2:  # at the second, which a process that was busy does not make
                    level = logging.ERROR if trouble.advice else logging.WARNING
                    log.log(level, "the Sentinel %s does not say where the primary is: %s. %s",
                            address, trouble.text, trouble.advice)  # fmt: skip
                self._hear(address, trouble)
            gevent.sleep(POLL_S)

    def _hear(self, address: Address, answer: Answer | Trouble) -> None:
        """Take what a Sentinel says, and follow it. No switch point."""
        agreement = self._agreement
        agreement.take(address, answer)
        found = agreement.next_primary(self._primary, unreached_since=self._unreached_since)
        if found is not None:
            self._move(found)
        counts = agreement.replicas_of(self._primary)
        if counts is not None:
            self.shard.replicas, self.shard.known_replicas = counts

    def _move(self, found: Primary) -> None:
        """Use another primary from now on. No switch point."""
        known, self._primary = self._primary, found
        self._agreement.begin_anew()
        self._unreached_since = None
        self.shard.address, self.shard.incarnation = str(found.address), found.epoch
        if known is None:
            return
        level = logging.WARNING if self._greenlets else logging.INFO
        log.log(level, "the primary is %s now, by failover %d", found.address, found.epoch)
        # In use or not: an answer of the old primary is worth nothing now.
        self.shard.ops_pool.hang_up()
        self.shard.pubsub_pool.follow(self.shard.ops_pool)
        self.on_change()

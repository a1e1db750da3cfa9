"""Sentinel: one shard, whose address changes when the Sentinels promote another server.

Every Sentinel is asked a few times a second. Redis leaves the old primary writable for ten seconds
and more after a promotion, and what is written there is lost; so a change is followed at once, and
every connection to the old address is dropped. What the old primary acknowledges before that, for
POLL_S and a round trip at most, is lost; nothing is acknowledged for it later.

The answer with the highest epoch counts: a Sentinel that was cut off from the others may name the
old primary for ever. A majority overrules it only where the known primary is gone, see _overrule.
"""

from __future__ import annotations

import collections
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
AGREEMENT_S = 3.0  # for which a majority must name another address before it overrules the epoch
_FIRST_ANSWER_S = 0.8  # how long a connection waits for any Sentinel
_REPLICA_TIMEOUT_S = 0.5
_OTHERS_S = 0.05  # and for the others, once a majority has answered


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
        self._addresses = url.addresses
        self._majority = len(url.addresses) // 2 + 1
        self._make_pool = make_pool
        self._sentinels = Sentinels(
            url, connection_class, connection_options or {}, addresses or {}
        )
        self._primary: Primary | None = None
        self._said: dict[Address, Primary | None] = {}  # by each Sentinel at last; None: nothing
        self._answers: dict[Address, Answer] = {}  # of those that answer now
        self._troubles: dict[Address, Trouble] = {}  # of those that do not answer now
        self._agreed: tuple[Address, float] | None = None  # what a majority says, and since when
        self._has_warned = False  # of a majority that says something else
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
            advice = next((each.advice for each in self._troubles.values() if each.advice), "")
            why = "; ".join(f"{each}: {what.text}" for each, what in self._troubles.items())
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
            if answers >= self._majority:  # one that hangs delays nobody
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
        if isinstance(answer, Trouble):
            self._said[address], self._troubles[address] = None, answer
            self._answers.pop(address, None)
        else:
            self._said[address], self._answers[address] = answer.primary, answer
            self._troubles.pop(address, None)
        self._follow_said()
        # The highest number: to wait for fewer replicas than there are loses writes.
        now = [each for each in self._answers.values() if each.primary == self._primary]
        if self._primary is not None and now:
            self.shard.replicas = max(each.replicas for each in now)
            self.shard.known_replicas = max(each.known_replicas for each in now)

    def _follow_said(self) -> None:
        """Follow the primary that the Sentinels name."""
        said = [each for each in self._said.values() if each is not None]
        if not said:
            return
        # Of two with the same epoch, which epochs that began anew may have, the one that more say.
        newest = max(said, key=lambda each: (each.epoch, said.count(each)))
        if self._primary is not None and newest.epoch > self._primary.epoch:
            self._move(newest)
        elif self._primary is not None:
            self._overrule(said, self._primary)
        elif len(said) >= self._majority or len(self._said) == len(self._addresses):
            # The first may be the one that was cut off: it waits for others, or for their failures.
            self._move(newest)

    def _overrule(self, said: Sequence[Primary], known: Primary) -> None:
        """Move to an address that a majority names, if the known primary is gone for good.

        Epochs begin anew where the Sentinels are set up anew (SENTINEL REMOVE and MONITOR); then
        the highest epoch names a server of the past. Two conditions hold for AGREEMENT_S: a
        majority of all Sentinels of REDIS_URL names one other address, and no connection to the
        known one succeeds. Without the first, a minority that was cut off could take us back to an
        old primary. Without the second, a majority that has not yet heard of a promotion could; a
        new primary takes connections, so it is not left. If it dies at once, the Sentinels that
        know the old primary alone are the majority, and it is the server that they use.

        The incarnation does not go back: it stays the higher of the two epochs. So the Sentinel
        with the old answer does not lead back either. As long as the new epochs are not above it,
        each further failover takes this way too, some seconds later, and resets no streams.
        """
        address, votes = collections.Counter(each.address for each in said).most_common(1)[0]
        if votes < self._majority or address == known.address:
            self._agreed, self._has_warned = None, False
            return
        now = time.monotonic()
        if self._agreed is None or self._agreed[0] != address:
            self._agreed = (address, now)
        if now - self._agreed[1] < AGREEMENT_S:
            return
        if self._unreached_since is not None and now - self._unreached_since >= AGREEMENT_S:
            epochs = [each.epoch for each in said if each.address == address]
            self._move(Primary(address, max(known.epoch, *epochs)))
        elif not self._has_warned:
            self._has_warned = True
            log.error(
                "most Sentinels name %s as the primary, by an epoch that is not above %d, which is "
                "that of %s; it still serves, so this process stays. If the Sentinels were set up "
                "anew, restart all processes", address, known.epoch, known.address,
            )  # fmt: skip

    def _move(self, found: Primary) -> None:
        """Use another primary from now on. No switch point."""
        known, self._primary = self._primary, found
        self._agreed, self._has_warned, self._unreached_since = None, False, None
        self.shard.address, self.shard.incarnation = str(found.address), found.epoch
        if known is None:
            return
        level = logging.WARNING if self._greenlets else logging.INFO
        log.log(level, "the primary is %s now, by failover %d", found.address, found.epoch)
        # In use or not: an answer of the old primary is worth nothing now.
        self.shard.ops_pool.hang_up()
        self.shard.pubsub_pool.follow(self.shard.ops_pool)
        self.on_change()

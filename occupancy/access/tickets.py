"""Tickets: an EventSource without a cookie opens a stream with one.

An EventSource can send no header, and proxies would log a token in its URL. So a page asks for a
ticket, which is valid for a minute. An EventSource reconnects with the same URL, so a ticket may be
used again, from the address and for the board of its first use. It stays valid while its stream is
open and for ten minutes after that, as long as the credential behind it, checked at each use.
"""

from __future__ import annotations

import collections
import logging
import time

import gevent

from occupancy.core.errors import PoolTimeout, RateLimited, StoreUnavailable, Unauthenticated
from occupancy.core.keys import Keys
from occupancy.core.principal import Credential, Principal, digest_of, new_secret
from occupancy.core.rate_limit import RateLimiter
from occupancy.storage.client import OpsClient
from occupancy.storage.scripts import Script

log = logging.getLogger(__name__)

TICKET_TTL_S = 60  # until the first use
COMEBACK_S = 600  # after the end of its stream
_RENEWAL_S = 60
_BATCH = 1000  # tickets in a round trip
_MIN_BURST = 20  # the same as for streams


class Tickets:
    """All tickets, and renewal of those of this process's open streams.

    Methods raise PoolTimeout or StoreUnavailable, but for ``hold`` and ``let_go``.
    ``writes`` is the client for changes, which confirms them: a ticket stays bound to its first
    use.
    """

    def __init__(
        self, client: OpsClient, keys: Keys, *, per_caller: int, writes: OpsClient
    ) -> None:
        self._rate_limiter = RateLimiter(max(per_caller, _MIN_BURST))
        self._client = client
        self._keys = keys
        self._writes = writes
        self._use = Script(self._writes, "access/use_ticket")
        self._open: collections.Counter[str] = collections.Counter()  # streams, by key
        self._greenlet: gevent.Greenlet | None = None

    def create(self, principal: Principal) -> str:
        """The secret of a new ticket for one event stream as ``principal``. Raises RateLimited."""
        now_s = time.monotonic()
        wait_s = self._rate_limiter.wait_s(principal.worker.id, now_s)
        if wait_s > 0:
            raise RateLimited("Too many tickets at once.", retry_after=int(wait_s) + 1)
        self._rate_limiter.count(principal.worker.id, now_s)
        secret, credential = new_secret(), principal.credential
        ticket = f"{credential.auth_method} {credential.digest}"
        self._writes.set(self._key(secret), ticket, ex=TICKET_TTL_S)
        return secret

    def use(self, secret: str, *, address: str, board: str) -> Credential:
        """Bind a ticket to address and board; return its credential. Raises Unauthenticated."""
        found = self._use.run([self._key(secret)], [f"{address} {board}", COMEBACK_S])
        if not isinstance(found, bytes):
            raise Unauthenticated(
                "The ticket is older than a minute, was used elsewhere, or its stream ended long "
                "ago. Ask for a new one."
            )
        auth_method, digest = found.decode().split(" ")[:2]
        return Credential("session" if auth_method == "session" else "token", digest)

    def hold(self, secret: str) -> None:
        """Keep a ticket valid for its open stream, until ``let_go``."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._renew)
        self._open[self._key(secret)] += 1

    def let_go(self, secret: str) -> None:
        """The ticket's stream has ended; it may reconnect for COMEBACK_S from the last renewal."""
        key = self._key(secret)
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    def _key(self, secret: str) -> str:
        return self._keys.ticket(digest_of(secret))

    def _renew(self) -> None:
        """Renew the tickets of open streams, for ever. They may expire while Redis is away."""
        while True:
            gevent.sleep(_RENEWAL_S)
            keys = list(self._open)
            for first in range(0, len(keys), _BATCH):
                try:
                    self.renew(keys[first : first + _BATCH])
                except (PoolTimeout, StoreUnavailable) as error:
                    log.info("tickets not renewed: %s", error.__cause__ or error)
                    break

    def renew(self, keys: list[str]) -> None:
        """Make these tickets, given by their keys, valid for another COMEBACK_S.

        Not confirmed: a renewal that a failover loses is made again within the minute.
        """
        self._client.run_pipeline(
            lambda pipeline: [pipeline.expire(key, COMEBACK_S) for key in keys]
        )

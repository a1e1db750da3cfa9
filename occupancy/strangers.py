"""Strangers: connections whose stream could begin at once, if it were known who they are.

After a restart thousands of browsers come back together, each with a session of its own. A
greenlet for each, which asks the store for that one, cost 210 µs. Here they wait without one, and
the store is asked for a hundred in a round trip.

As long as it answers, nobody waits for long. When it fails, all who wait are told, and not one
hundred after the other; and more than MOST are left to greenlets.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import NamedTuple

import gevent

from .access import Access
from .callers import Credential
from .errors import OccupancyError, PoolTimeout, StoreUnavailable
from .plain import PlainRequest

log = logging.getLogger(__name__)

MOST = 1000
_AT_ONCE = 100  # in a round trip, so that no connection is held for long


class Stranger(NamedTuple):
    """One of them. ``serve`` leaves it to a greenlet after all."""

    credential: Credential
    request: PlainRequest
    taken: socket.socket
    serve: Callable[[], None]


class Strangers:
    """Of one worker process.

    ``go_on`` gets those whose credentials were looked at, whatever came of that, or those for whom
    the store could not be asked, and why.
    """

    waiting_count = 0  # in this process

    def __init__(
        self, access: Access, go_on: Callable[[list[Stranger], OccupancyError | None], None]
    ) -> None:
        self._access = access
        self._go_on = go_on
        self._waiting: list[Stranger] = []
        self._is_asking = False

    def add(self, stranger: Stranger) -> bool:
        """Let it wait until it is known; False if too many do. No switch point in here."""
        if Strangers.waiting_count >= MOST:
            return False
        Strangers.waiting_count += 1
        self._waiting.append(stranger)
        if not self._is_asking:
            self._is_asking = True
            gevent.spawn(self._ask)
        return True

    def _ask(self) -> None:
        # From the loop's end to the change of is_asking nobody runs who could add one.
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                trouble = self._learn(batch)
                if trouble is not None:
                    batch, self._waiting = batch + self._waiting, []
                try:
                    self._go_on(batch, trouble)
                except Exception:
                    log.exception("strangers were not told")  # and their connections end with this
                finally:
                    Strangers.waiting_count -= len(batch)
        finally:
            self._is_asking = False

    def _learn(self, batch: list[Stranger]) -> OccupancyError | None:
        try:
            self._access.learn(list({each.credential for each in batch}))
        except (PoolTimeout, StoreUnavailable) as error:
            return error
        except Exception:
            log.exception("callers were not looked at")  # and greenlets ask for each
        return None

"""Strangers: connections whose stream could begin at once, if it were known who they are.

After a restart thousands of browsers come back together, each with a session of its own. A
greenlet for each, which asks the store for that one, cost 210 µs. Here they wait without one, and
the store is asked for many in a round trip.

When the store fails, all who wait are told at once, instead of some after each timeout; when it is
slow, they go on at once too, as greenlets that ask all at the same time. No more than MOST wait.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

import gevent

from occupancy.access.authenticator import Authenticator
from occupancy.core.errors import OccupancyError, PoolTimeout, StoreUnavailable
from occupancy.core.principal import Credential
from occupancy.server.fast.request import FastRequest

log = logging.getLogger(__name__)

MOST = 1000  # some tens of milliseconds
_SLOW_S = 1.0  # for a round trip
_AT_ONCE = 32  # in a round trip; their streams then begin in one turn, a millisecond of it


class PendingStream(NamedTuple):
    """One of them. ``serve`` leaves it to a greenlet after all."""

    credential: Credential
    request: FastRequest
    taken: socket.socket
    serve: Callable[[], None]


class AuthBatcher:
    """Of one worker process.

    ``go_on`` gets those whose credentials were looked at, whatever came of that, or those for whom
    the store could not be asked, and why.
    """

    waiting_count = 0  # in this process

    def __init__(
        self,
        access: Authenticator,
        go_on: Callable[[list[PendingStream], OccupancyError | None], None],
    ) -> None:
        self._access = access
        self._go_on = go_on
        self._asked: list[PendingStream] = []  # for whom the store is being asked
        self._waiting: list[PendingStream] = []
        self._is_asking = False

    def add(self, stranger: PendingStream) -> bool:
        """Let it wait until it is known; False if too many do. No switch point in here."""
        if AuthBatcher.waiting_count >= MOST:
            return False
        AuthBatcher.waiting_count += 1
        self._waiting.append(stranger)
        if not self._is_asking:
            self._is_asking = True
            gevent.spawn(self._ask)
        return True

    def leave(self) -> list[PendingStream]:
        """All who wait; what the store says of them is not waited for any more."""
        left, self._asked, self._waiting = self._asked + self._waiting, [], []
        AuthBatcher.waiting_count -= len(left)
        return left

    def _ask(self) -> None:
        while self._waiting:
            self._asked, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            began, trouble = time.monotonic(), None
            try:
                self._access.identify_many(list({each.credential for each in self._asked}))
            except (PoolTimeout, StoreUnavailable) as error:
                trouble = error
            except Exception:
                log.exception("callers were not looked at")  # and greenlets ask for each
            batch, self._asked = self._asked, []
            if trouble is not None or time.monotonic() - began > _SLOW_S:
                batch, self._waiting = batch + self._waiting, []
            try:
                self._go_on(batch, trouble)
            except Exception:
                log.exception("strangers were not served")  # and those who still wait are
            AuthBatcher.waiting_count -= len(batch)
        # Since the loop's last look nobody has run who could have added one.
        self._is_asking = False

"""The authentication batcher: looks up together the callers of many streams that begin at once.

A greenlet for each, which asks the store for that one, cost 210 µs. Here their connections wait
without a greenlet, and one round trip to the store answers for many. When the store fails, all that
wait are answered at once, instead of some after each timeout; when it is slow, they go on at once
too, as greenlets that ask all at the same time. No more than MAX_PENDING wait.
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

MAX_PENDING = 1000  # streams; some tens of milliseconds of work
_SLOW_LOOKUP_S = 1.0  # a round trip that takes longer is slow
_MAX_BATCH = 32  # per round trip; their streams then begin in one turn of a millisecond


class PendingStream(NamedTuple):
    """A stream that is asked for; ``serve`` gives its connection a greenlet instead."""

    request: FastRequest
    board: str
    cursor: str | None
    credential: Credential
    taken: socket.socket
    serve: Callable[[], None]


OnAnswer = Callable[[list[PendingStream], OccupancyError | None], None]


class AuthBatcher:
    """One per process.

    ``on_answer`` gets the streams whose callers were looked up, whatever came of that, or those for
    which the store could not be asked, and why.
    """

    def __init__(self, authenticator: Authenticator, on_answer: OnAnswer) -> None:
        self.waiting_count = 0
        self._authenticator = authenticator
        self._on_answer = on_answer
        self._batch: list[PendingStream] = []  # which the store is being asked about
        self._waiting: list[PendingStream] = []
        self._is_running = False

    def add(self, pending: PendingStream) -> bool:
        """Add a stream that awaits authentication; False if too many do. No switch point."""
        if self.waiting_count >= MAX_PENDING:
            return False
        self.waiting_count += 1
        self._waiting.append(pending)
        if not self._is_running:
            self._is_running = True
            gevent.spawn(self._run)
        return True

    def take_all(self) -> list[PendingStream]:
        """Remove and return all that wait; the store's answer about them is dropped."""
        taken, self._batch, self._waiting = self._batch + self._waiting, [], []
        self.waiting_count -= len(taken)
        return taken

    def _run(self) -> None:
        while self._waiting:
            self._batch, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
            began_s, trouble = time.monotonic(), None
            try:
                self._authenticator.identify_many(list({each.credential for each in self._batch}))
            except (PoolTimeout, StoreUnavailable) as error:
                trouble = error
            except Exception:
                log.exception("callers were not looked up")  # and greenlets ask for each
            batch, self._batch = self._batch, []
            if trouble is not None or time.monotonic() - began_s > _SLOW_LOOKUP_S:
                batch, self._waiting = batch + self._waiting, []
            try:
                self._on_answer(batch, trouble)
            except Exception:
                log.exception("streams were not begun")  # and those that still wait are
            self.waiting_count -= len(batch)
        # Since the loop's last look nobody has run who could have added one.
        self._is_running = False

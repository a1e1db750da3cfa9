"""The client of the primary behind Sentinels: asks again where a server is the primary no more.

READONLY, MASTERDOWN, and a ROLE that is not master right after connecting, prove that nothing ran.
So the command is sent again, to the primary known by then, for OCCUPANCY_POOL_WAIT_S at most. A
command whose reply was lost may have run: it is never sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import redis

from occupancy.storage.client import Command, OpsClient
from occupancy.storage.pool import FairPool

_RETRY_S = 0.05
_NOT_PRIMARY = (redis.ReadOnlyError, redis.exceptions.MasterDownError)


class SentinelClient(OpsClient):
    """See :class:`OpsClient`; ``refresh`` finds out where the primary is. It may wait.

    ``before`` is called before each command.
    """

    has_failover = True

    def __init__(
        self, pool: FairPool, *, wait_s: float, refresh: Callable[[], None],
        before: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(connection_pool=pool)
        self._wait_s = wait_s
        self._refresh = refresh
        self._before = before

    def execute_once(self, args: Sequence[Any], options: dict[str, Any]) -> Any:
        if self._before is not None:
            self._before()
        try:
            return super().execute_once(args, options)
        except _NOT_PRIMARY:
            until = time.monotonic() + self._wait_s
        while True:
            self._wait()
            try:
                return super().execute_once(args, options)
            except _NOT_PRIMARY:
                if time.monotonic() > until:
                    raise

    def exchange(
        self, commands: Sequence[Command], *, transaction: bool = False, asking: bool = False
    ) -> list[Any]:
        """As in OpsClient. What is refused is sent again; of a transaction, all or nothing."""
        if self._before is not None:
            self._before()
        until = time.monotonic() + self._wait_s
        replies: list[Any] = [None] * len(commands)
        left = list(range(len(commands)))
        while True:
            found: list[Any]
            try:
                found = super().exchange(
                    [commands[each] for each in left], transaction=transaction, asking=asking
                )
            except _NOT_PRIMARY as error:  # after connecting: nothing was sent
                found = [error] * len(left)
            for position, reply in zip(left, found, strict=True):
                replies[position] = reply
            left = [each for each in left if isinstance(replies[each], _NOT_PRIMARY)]
            if not left or time.monotonic() > until:
                return replies
            self._wait()

    def _wait(self) -> None:
        gevent.sleep(_RETRY_S)
        self._refresh()

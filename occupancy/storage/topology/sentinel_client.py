"""The client of the primary behind Sentinels: asks again where a server is the primary no more.

READONLY, MASTERDOWN, and a ROLE that is not master right after connecting, prove that nothing ran.
So the command is sent again, to the primary known by then, for OCCUPANCY_POOL_WAIT_S at most. A
command whose reply was lost may have run: it is never sent again.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gevent
import redis

from occupancy.storage.client import OpsClient
from occupancy.storage.commands import Command, Confirming
from occupancy.storage.pool import FairPool

_RETRY_S = 0.05
_NOT_PRIMARY = (redis.ReadOnlyError, redis.exceptions.MasterDownError)
T = TypeVar("T")


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

    def execute_once(
        self, args: Sequence[Any], options: dict[str, Any], confirmation: Confirming | None = None
    ) -> Any:
        if self._before is not None:
            self._before()
        try:
            return super().execute_once(args, options, confirmation)
        except _NOT_PRIMARY:
            until = time.monotonic() + self._wait_s
        while True:
            self._wait()
            try:
                return super().execute_once(args, options, confirmation)
            except _NOT_PRIMARY:
                if time.monotonic() > until:
                    raise

    def exchange(
        self, commands: Sequence[Command], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[Any]:  # fmt: skip
        """As in OpsClient; commands that are refused are sent again."""
        send = functools.partial(super().exchange, confirmation=confirmation)
        return self._sent_again(commands, send, lambda reply: reply)

    def exchange_transactions(
        self, blocks: Sequence[Sequence[Command]], *, asking: bool = False,
        confirmation: Confirming | None = None,
    ) -> list[list[Any]]:  # fmt: skip
        """As in OpsClient; a transaction of which a command is refused is sent again as a whole."""
        # An error is in place of every reply.
        send = functools.partial(super().exchange_transactions, confirmation=confirmation)
        return self._sent_again(blocks, send, lambda replies: replies[0] if replies else None)

    def _sent_again(
        self, whole: Sequence[T], send: Callable[[Sequence[T]], list[Any]],
        outcome: Callable[[Any], Any],
    ) -> list[Any]:  # fmt: skip
        """The replies to ``whole``, of which the refused parts are sent again, for the wait."""
        if self._before is not None:
            self._before()
        until = time.monotonic() + self._wait_s
        replies: list[Any] = [None] * len(whole)
        left = list(range(len(whole)))
        while True:
            try:
                found = send([whole[each] for each in left])
            except _NOT_PRIMARY:  # after connecting: nothing was sent
                if time.monotonic() > until:
                    raise
            else:
                for position, reply in zip(left, found, strict=True):
                    replies[position] = reply
                left = [each for each in left if isinstance(outcome(replies[each]), _NOT_PRIMARY)]
                if not left or time.monotonic() > until:
                    return replies
            self._wait()

    def _wait(self) -> None:
        gevent.sleep(_RETRY_S)
        self._refresh()

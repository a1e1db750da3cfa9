"""What all workers of a load have in common: one operation after the other, each answered."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import gevent

from proof.history.call import Call, Reply
from proof.load.watchers import Watcher

_RESEND_S = 0.1


class Connection(Protocol):
    """A client of the API, of either kind."""

    def close(self) -> None: ...


AnyClient = TypeVar("AnyClient", bound=Connection)


class Worker(ABC, Generic[AnyClient]):
    """A worker on one board, until :meth:`stop`. A subclass chooses the operations.

    An operation without a known answer (none, a 5xx, a 429) is sent again with the same key, until
    it has one. So each ends with one answer, and is in the log at most once.
    """

    def __init__(
        self, client: AnyClient, board: str, name: str, *, seed: int, page: Watcher, pause_s: float
    ) -> None:
        self.calls: list[Call] = []
        self._client, self._board, self._name = client, board, name
        self._page = page  # the worker looks at it, so it takes the answers
        self._random = random.Random(seed)
        self._pause_s = pause_s  # between two operations, about
        self._is_stopping = False
        self._deadline_s = float("inf")
        self.greenlet = gevent.spawn(self._work)

    def stop(self, timeout_s: float) -> None:
        """Begin no further operation; those begun are sent until their answer is known."""
        self._deadline_s = time.monotonic() + timeout_s
        self._is_stopping = True

    def close(self) -> None:
        self._client.close()

    def _work(self) -> None:
        while not self._is_stopping:
            self._operate()
            gevent.sleep(self._pause_s * self._random.uniform(0.5, 1.5))

    @abstractmethod
    def _operate(self) -> None:
        """Choose one operation and carry it out."""

    def _key(self) -> str:
        return f"{self._random.getrandbits(96):024x}"

    def _call(self, key: str, operation: str, tag: str, arguments: dict[str, Any]) -> Call:
        return Call(self._board, self._name, key, operation, tag, arguments)

    def _send(self, calls: Sequence[Call], send: Callable[[], Reply]) -> Reply | None:
        """Send the request of ``calls`` until its answer is known; None after the deadline."""
        self.calls += calls
        sent_s = time.monotonic()
        for each in calls:
            each.sent_s = sent_s
        while True:
            reply = send()
            for each in calls:
                each.statuses.append(reply.status)
            if reply.is_known:
                return reply
            if time.monotonic() > self._deadline_s:
                return None
            gevent.sleep(_RESEND_S)

    def _answer(self, call: Call, reply: Reply, answered_s: float) -> None:
        """Note the answer, and show it on the page."""
        call.reply, call.answered_s = reply, answered_s
        if call.item is not None:
            self._page.put(call.item)

"""What all loads have in common: workers and watchers on some boards, and how they end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import gevent

from proof.history.call import Call
from proof.history.history import Items
from proof.load.watchers import Watcher
from proof.load.wire import Client
from proof.load.workers import Worker
from tests.support.waiting import wait_until

_SNAPSHOT_S = 60.0


class Load(ABC):
    """Workers send operations from :meth:`begin` to :meth:`end`; watchers follow to :meth:`stop`.

    A subclass says in ``begin`` who they are. Watchers have ``settle_s`` to see the last events,
    and workers ``answer_s`` to get their last answers.
    """

    def __init__(
        self, reader: Client, boards: Sequence[str], *, settle_s: float, answer_s: float
    ) -> None:
        self.watchers: list[Watcher] = []
        self._workers: list[Worker[Any]] = []
        self._reader, self._boards = reader, boards
        self._settle_s, self._answer_s = settle_s, answer_s

    @property
    def calls(self) -> list[Call]:
        """Every operation so far."""
        return [call for each in self._workers for call in each.calls]

    @abstractmethod
    def begin(self) -> None:
        """Start the watchers and the workers, and wait until the watchers are served."""

    def end(self) -> None:
        """Begin no further operation, and wait for the last answers."""
        for each in self._workers:
            each.stop(self._answer_s)
        gevent.joinall([each.greenlet for each in self._workers], timeout=2 * self._answer_s)

    def stop(self) -> None:
        """End everything at once."""
        gevent.killall([each.greenlet for each in self._workers])
        for worker in self._workers:
            worker.close()
        for watcher in self.watchers:
            watcher.stop()
        self._reader.close()

    def settle(self) -> dict[str, Items]:
        """The items of each board, when every watcher has them or has had time enough."""
        found: dict[str, Items] = {}

        def is_quiet() -> bool:
            found.update({board: self.items_of(board) for board in self._boards})
            return all(each.model == found[each.board] for each in self.watchers)

        deadline_s = time.monotonic() + self._settle_s
        while not is_quiet() and time.monotonic() < deadline_s:
            gevent.sleep(0.1)
        return found

    def items_of(self, board: str) -> Items:
        """The items of the board now."""

        def items() -> Items | None:
            reply = self._reader.send("GET", f"/api/boards/{board}/items")
            if reply.status != 200:
                return None
            return {each["tag"]: each for each in reply.body["items"]}

        found: Items = wait_until(items, timeout_s=_SNAPSHOT_S, what=f"the items of {board}")
        return found

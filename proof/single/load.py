"""The load of a round: 200 workers and some watchers on its boards, and what they have seen."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import gevent

from proof.history.call import Call
from proof.load.raw_wire import FastClient
from proof.load.watchers import Items, Watcher
from proof.load.wire import Client
from proof.single.site import STEPS, WORKERS_PER_BOARD, Site
from proof.single.workers import Worker
from tests.support.waiting import wait_until

PAUSE_S = 0.005  # between two operations of a worker
_QUIET_S = 30.0
_LAST_ANSWERS_S = 60.0


class RestlessWatcher(Watcher):
    """Ends its connection every now and then, and goes on from its cursor."""

    def __init__(
        self, client: Client, reader: Client, board: str, name: str, *, every_s: float, seed: int
    ) -> None:
        self.forced_reconnects = 0
        self._every_s, self._chance = every_s, random.Random(seed)
        self._until_s = 0.0
        super().__init__(client, reader, board, name)

    def _receive(self, kind: str, data: bytes) -> None:
        super()._receive(kind, data)
        if kind == "ready":
            self._until_s = time.monotonic() + self._every_s * self._chance.uniform(0.5, 1.5)
        elif kind == "item" and self.is_live and time.monotonic() > self._until_s:
            self.forced_reconnects += 1
            raise ConnectionAbortedError("this is enough")


class Load:
    """Goes on from :meth:`begin` to :meth:`end`; the watchers, to :meth:`stop`."""

    def __init__(
        self, site: Site, boards: Sequence[str], chance: random.Random, *,
        pause_s: float = PAUSE_S, reconnect_every_s: float = 1.0,
    ) -> None:  # fmt: skip
        self.watchers: list[Watcher] = []
        self._workers: list[Worker] = []
        self._site, self._boards, self._random = site, boards, chance
        self._pause_s, self._reconnect_every_s = pause_s, reconnect_every_s
        self._reader = site.client("watcher")

    @property
    def calls(self) -> list[Call]:
        """Every operation so far."""
        return [call for each in self._workers for call in each.calls]

    @property
    def call_count(self) -> int:
        return sum(len(each.calls) for each in self._workers)

    @property
    def forced_reconnects(self) -> int:
        return sum(
            each.forced_reconnects for each in self.watchers if isinstance(each, RestlessWatcher)
        )

    def begin(self) -> None:
        """Two watchers on each board, one of them restless; then the workers."""
        names = list(self._site.roles)
        for board in self._boards:
            self.watchers += [
                Watcher(self._client(), self._client(), board, f"calm of {board}"),
                RestlessWatcher(
                    self._client(), self._client(), board, f"restless of {board}",
                    every_s=self._reconnect_every_s, seed=self._random.getrandbits(32),
                ),
            ]  # fmt: skip
        wait_until(
            lambda: all(each.is_live for each in self.watchers),
            timeout_s=60, what="every watcher to be live",
        )  # fmt: skip
        for number, board in enumerate(self._boards):
            own = names[number * WORKERS_PER_BOARD : (number + 1) * WORKERS_PER_BOARD]
            pages = self.watchers[2 * number : 2 * number + 2]
            self._workers += [
                Worker(
                    FastClient(self._site.port, self._site.tokens[name]), board, name,
                    self._site.roles[name], colleagues=own, steps=STEPS,
                    seed=self._random.getrandbits(32), page=pages[place % 2],
                    pause_s=self._pause_s,
                )
                for place, name in enumerate(own)
            ]  # fmt: skip

    def end(self) -> None:
        """Begin nothing more, and wait for the last answers."""
        for each in self._workers:
            each.stop(_LAST_ANSWERS_S)
        gevent.joinall([each.greenlet for each in self._workers], timeout=2 * _LAST_ANSWERS_S)

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

        deadline_s = time.monotonic() + _QUIET_S
        while not is_quiet() and time.monotonic() < deadline_s:
            gevent.sleep(0.1)
        return found

    def items_of(self, board: str) -> Items:
        def items() -> Items | None:
            reply = self._reader.send("GET", f"/api/boards/{board}/items")
            if reply.status != 200:
                return None
            return {each["tag"]: each for each in reply.body["items"]}

        found: Items = wait_until(items, timeout_s=60, what=f"the items of {board}")
        return found

    def _client(self) -> Client:
        return self._site.client("watcher")

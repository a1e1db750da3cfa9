"""The load of a round: 200 workers and some watchers on its boards, and what they have seen."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from proof.load.load import Load
from proof.load.raw_wire import FastClient
from proof.load.watchers import Watcher
from proof.load.wire import Client
from proof.single.site import STEPS, WORKERS_PER_BOARD, Site
from proof.single.workers import SingleWorker
from tests.support.waiting import wait_until

PAUSE_S = 0.005  # between two operations of a worker
_SETTLE_S = 30.0
_ANSWER_S = 60.0


class RestlessWatcher(Watcher):
    """Reconnects now and then, and goes on from its cursor."""

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
            raise ConnectionAbortedError("a forced reconnect")


class SingleLoad(Load):
    """200 workers, and on each board two watchers, one of which reconnects now and then."""

    def __init__(
        self, site: Site, boards: Sequence[str], chance: random.Random, *,
        pause_s: float = PAUSE_S, reconnect_every_s: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(site.client("watcher"), boards, settle_s=_SETTLE_S, answer_s=_ANSWER_S)
        self._site, self._random = site, chance
        self._pause_s, self._reconnect_every_s = pause_s, reconnect_every_s

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
                SingleWorker(
                    FastClient(self._site.port, self._site.tokens[name]), board, name,
                    self._site.roles[name], colleagues=own, steps=STEPS,
                    seed=self._random.getrandbits(32), page=pages[place % 2],
                    pause_s=self._pause_s,
                )
                for place, name in enumerate(own)
            ]  # fmt: skip

    def _client(self) -> Client:
        return self._site.client("watcher")

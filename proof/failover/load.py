"""The load of a failover: some workers and watchers on every board of a site."""

from __future__ import annotations

import random

from proof.deployment.site import Site
from proof.failover.workers import FailoverWorker
from proof.load.load import Load
from proof.load.watchers import Watcher
from tests.support.waiting import wait_until

WATCHERS_PER_BOARD = 2
_SETTLE_S = 20.0
_ANSWER_S = 40.0


class FailoverLoad(Load):
    """Each worker of a board looks at the page of one of its watchers."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        super().__init__(
            site.client("watcher"), site.boards, settle_s=_SETTLE_S, answer_s=_ANSWER_S
        )
        self._site, self._random = site, chance

    def begin(self) -> None:
        for board in self._boards:
            for number in range(WATCHERS_PER_BOARD):
                clients = self._site.client("watcher"), self._site.client("watcher")
                self.watchers.append(Watcher(*clients, board, f"watcher {number} of {board}"))
            known = self.items_of(board)
            for name, page in zip(
                self._site.people, self.watchers[-WATCHERS_PER_BOARD:], strict=True
            ):
                seed = self._random.getrandbits(32)
                client = self._site.client(name)
                self._workers.append(
                    FailoverWorker(client, board, name, known=known, seed=seed, page=page)
                )
        wait_until(
            lambda: all(sum(seen.kind == "item" for seen in each.trail) >= 2
                        for each in self.watchers),
            timeout_s=60, what="every watcher to see events",
        )  # fmt: skip

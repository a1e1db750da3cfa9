"""All workers and watchers of a site: some of each on every board."""

from __future__ import annotations

import random
import time

import gevent

from proof.deployment.site import Site
from proof.history.call import Call
from proof.load.watchers import Items, Watcher
from proof.load.workers import Worker
from tests.support.waiting import wait_until

WATCHERS_PER_BOARD = 2
_QUIET_S = 20.0


class Load:
    """Goes on from :meth:`begin` to :meth:`end`; the watchers, to :meth:`stop`."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self.watchers: list[Watcher] = []
        self._workers: list[Worker] = []
        self._site, self._random = site, chance
        self._reader = site.client("watcher")

    @property
    def calls(self) -> list[Call]:
        """Every operation so far."""
        return [call for each in self._workers for call in each.calls]

    def stop(self) -> None:
        """End everything at once."""
        gevent.killall([each.greenlet for each in self._workers])
        for worker in self._workers:
            worker.close()
        for watcher in self.watchers:
            watcher.stop()
        self._reader.close()

    def begin(self) -> None:
        for board in self._site.boards:
            for number in range(WATCHERS_PER_BOARD):
                clients = self._site.client("watcher"), self._site.client("watcher")
                self.watchers.append(Watcher(*clients, board, f"watcher {number} of {board}"))
            known = self.items_of(board)
            for name, page in zip(
                self._site.people, self.watchers[-WATCHERS_PER_BOARD:], strict=True
            ):
                seed = self._random.getrandbits(32)
                client = self._site.client(name)
                self._workers.append(Worker(client, board, name, known=known, seed=seed, page=page))
        wait_until(
            lambda: all(sum(seen.kind == "item" for seen in each.trail) >= 2
                        for each in self.watchers),
            timeout_s=60, what="every watcher to see events",
        )  # fmt: skip

    def end(self) -> None:
        for each in self._workers:
            each.stop()
        gevent.joinall([each.greenlet for each in self._workers], timeout=60)

    def settle(self) -> dict[str, Items]:
        """The items of each board, when every watcher has them or has had time enough."""
        found: dict[str, Items] = {}

        def is_quiet() -> bool:
            found.update({board: self.items_of(board) for board in self._site.boards})
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

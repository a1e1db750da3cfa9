"""One round: load, a fault in its midst, quiet, and the checks."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

import gevent

from proof.checks import figures, violations
from proof.deployment.site import BUDGET, Site
from proof.faults import Fault
from proof.load.watchers import Watcher
from proof.load.workers import Worker
from proof.observer import Observer
from proof.record import Contents, Items, Record
from proof.stage import Stage

WATCHERS_PER_BOARD = 2
_LEAST_CHANGES = 20
_WHOLE_S = 90.0  # a Sentinel takes some 12 s to find that an old primary is back
_QUIET_S = 20.0
_AFTER_S = 0.8


@dataclass
class Result:
    """What a round has shown."""

    fault: str
    seed: int
    void: str = ""  # why it proves nothing
    violations: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    took_s: float = 0.0


class Round:
    """One fault on a site that runs and is whole."""

    def __init__(
        self, site: Site, contents: Contents, name: str, seed: int, *, is_short: bool = True
    ) -> None:
        self._site, self._contents = site, contents
        self._name, self._seed, self._is_short = name, seed, is_short
        self._random = random.Random(f"{name} {seed}")
        self._reader = site.client("watcher")
        self._admin = site.client("admin")
        self._workers: list[Worker] = []
        self._watchers: list[Watcher] = []

    def run(self, fault: Fault) -> Result:
        began_s = time.monotonic()
        result = Result(self._name, self._seed)
        observer = Observer(self._site.servers)
        stage = Stage(self._site, observer, self._random, is_short=self._is_short)
        try:
            logs_before = {each: self._site.log_of(each) for each in self._site.boards}
            self._begin_load()
            secret, token_id = self._site.new_token()
            revoking = gevent.spawn_later(
                self._random.uniform(0.3, 2.5), self._revoke, secret, token_id
            )
            fault(stage)
            if not stage.wait_for(self._site.servers.is_whole, _WHOLE_S):
                result.void = "the servers did not become whole"
                return result
            gevent.sleep(_AFTER_S)
            self._end_load()
            revoking.get(timeout=60)
            items = self._settle()
            record = Record(
                people=self._site.people,
                calls=[call for each in self._workers for call in each.calls],
                watchers=self._watchers, items=items,
                logs={each: self._site.log_of(each) for each in self._site.boards},
                logs_before=logs_before, struck_s=stage.struck_s, ended_s=stage.ended_s,
                concerned=stage.boards, most_connections=dict(observer.most_connections),
                budget=BUDGET, revoked_status=self._status_of(secret),
                is_strict=self._site.is_strict, contents=self._contents,
            )  # fmt: skip
            result.figures = figures(record)
            result.violations = violations(record)
            if not stage.has_happened:
                result.void = "the fault did not happen"
            elif result.figures["changes"] < _LEAST_CHANGES:
                result.void = f"only {result.figures['changes']} changes"
        finally:
            observer.stop()
            self._end()
            result.took_s = time.monotonic() - began_s
        return result

    def _begin_load(self) -> None:
        for board in self._site.boards:
            for number in range(WATCHERS_PER_BOARD):
                clients = self._site.client("watcher"), self._site.client("watcher")
                self._watchers.append(Watcher(*clients, board, f"watcher {number} of {board}"))
            known = self._items_of(board)
            for name in self._site.people:
                self._workers.append(
                    Worker(
                        self._site.client(name), board, name, known, self._random.getrandbits(32)
                    )
                )
        self._wait(
            lambda: all(sum(seen.kind == "item" for seen in each.trail) >= 2
                        for each in self._watchers),
            60, "every watcher to see events",
        )  # fmt: skip

    def _end_load(self) -> None:
        for each in self._workers:
            each.stop()
        gevent.joinall([each.greenlet for each in self._workers], timeout=60)

    def _settle(self) -> dict[str, Items]:
        """The items of each board, when every watcher has them or has had time enough."""
        found: dict[str, Items] = {}

        def is_quiet() -> bool:
            found.update({board: self._items_of(board) for board in self._site.boards})
            return all(each.model == found[each.board] for each in self._watchers)

        deadline_s = time.monotonic() + _QUIET_S
        while not is_quiet() and time.monotonic() < deadline_s:
            gevent.sleep(0.1)
        return found

    def _items_of(self, board: str) -> Items:
        def items() -> Items | None:
            reply = self._reader.send("GET", f"/api/boards/{board}/items")
            if reply.status != 200:
                return None
            return {each["tag"]: each for each in reply.body["items"]}

        found: Items = self._wait(items, 60, f"the items of {board}")
        return found

    def _revoke(self, secret: str, token_id: str) -> None:
        """Revoke a token while the fault goes on, until that is acknowledged."""
        self._wait(
            lambda: self._admin.send("DELETE", f"/api/tokens/{token_id}").status in (200, 204, 404),
            60, "the revocation",
        )  # fmt: skip

    def _status_of(self, secret: str) -> int:
        client = self._site.client("watcher")
        client._headers["Authorization"] = f"Bearer {secret}"
        try:
            for _ in range(4):  # each process, as a rule
                status = client.send("GET", "/api/session").status
                if status == 200:
                    break
            return status
        finally:
            client.close()

    def _wait(self, condition: Any, timeout_s: float, what: str) -> Any:
        deadline_s = time.monotonic() + timeout_s
        while not (found := condition()):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}")
            gevent.sleep(0.05)
        return found

    def _end(self) -> None:
        gevent.killall([each.greenlet for each in self._workers])
        for each in self._watchers:
            each.stop()
        for client in (self._reader, self._admin):
            client.close()

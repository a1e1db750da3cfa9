"""The workers of a failover's load: few operations, most of which can succeed."""

from __future__ import annotations

import time

from proof.history.call import Call
from proof.history.history import Items
from proof.load.watchers import Watcher
from proof.load.wire import Client
from proof.load.workers import Worker

PAUSE_S = 0.08  # between two operations of a worker
_CHANCE_OF_A_REFUSAL = 0.1  # operations that cannot succeed are sent too


class FailoverWorker(Worker[Client]):
    """Knows the items of its board from answers; ``known`` is shared by the board's workers."""

    def __init__(
        self, client: Client, board: str, name: str, *, known: Items, seed: int, page: Watcher
    ) -> None:
        self._known = known
        super().__init__(client, board, name, seed=seed, page=page, pause_s=PAUSE_S)

    def _operate(self) -> None:
        call = self._next()
        reply = self._send(
            [call],
            lambda: self._client.send(
                "POST", call.path, call.arguments or None, Idempotency_Key=call.key
            ),
        )
        if reply is None:
            return
        self._answer(call, reply, time.monotonic())
        if call.item is None:
            found = self._client.send("GET", f"/api/boards/{self._board}/items/{call.tag}")
            if found.status == 200:
                self._known[call.tag] = found.body["item"]
        elif call.item["version"] >= self._known[call.tag]["version"]:
            self._known[call.tag] = call.item

    def _next(self) -> Call:
        tag = self._random.choice(sorted(self._known))
        item = self._known[tag]
        is_mine = (item.get("holder") or {}).get("id") == self._name
        if self._random.random() < _CHANCE_OF_A_REFUSAL:
            operation = self._random.choice(["take", "pause", "complete"])
        elif item["state"] == "completed":
            operation = self._random.choice(["reopen", "reopen", "undo"])
        elif item["state"] == "occupied" and is_mine:
            operation = self._random.choice(["pause", "complete", "release"])
        elif item["state"] == "occupied":
            operation = "force-release"
        else:
            operation = "take"
        arguments = {"reason": "test"} if operation == "force-release" else {}
        return self._call(self._key(), operation, tag, arguments)

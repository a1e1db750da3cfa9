"""The workers: each sends operations to one board, one after the other, each with its own key.

An operation without a known answer (none, or a 5xx) is sent again with the same key, until it has
one. So each operation ends with one answer, and is in the log at most once.
"""

from __future__ import annotations

import random
import time
from typing import Any

import gevent

from proof.history.call import Call
from proof.load.watchers import Watcher
from proof.load.wire import Client

PAUSE_S = 0.08  # between two operations of a worker
_RESEND_S = 0.1
_CHANCE_OF_A_REFUSAL = 0.1  # operations that cannot succeed are sent too


class Worker:
    """A worker on one board, until :meth:`stop`."""

    def __init__(
        self, client: Client, board: str, name: str, *,
        known: dict[str, dict[str, Any]], seed: int, page: Watcher,
    ) -> None:  # fmt: skip
        self.calls: list[Call] = []
        self._client, self._board, self._name = client, board, name
        self._known = known  # the items of the board, shared by its workers
        self._page = page  # the worker looks at it, so it takes the answers
        self._random = random.Random(seed)
        self._is_stopping = False
        self._deadline_s = float("inf")
        self.greenlet = gevent.spawn(self._work)

    def stop(self, timeout_s: float = 40.0) -> None:
        """Begin no further operation; those begun are sent until their answer is known."""
        self._deadline_s = time.monotonic() + timeout_s
        self._is_stopping = True

    def close(self) -> None:
        self._client.close()

    def _work(self) -> None:
        while not self._is_stopping:
            call = self._next()
            self.calls.append(call)
            self._carry_out(call)
            gevent.sleep(PAUSE_S * self._random.uniform(0.5, 1.5))

    def _next(self) -> Call:
        tag = self._random.choice(sorted(self._known))
        item = self._known[tag]
        is_mine = (item.get("holder") or {}).get("id") == self._name
        if self._random.random() < _CHANCE_OF_A_REFUSAL:
            operation = self._random.choice(["take", "pause", "complete"])
        elif item["state"] == "completed":
            operation = "reopen"
        elif item["state"] == "occupied" and is_mine:
            operation = self._random.choice(["pause", "complete", "release"])
        elif item["state"] == "occupied":
            operation = "force-release"
        else:
            operation = "take"
        key = f"{self._random.getrandbits(96):024x}"
        arguments = {"reason": "test"} if operation == "force-release" else {}
        return Call(self._board, self._name, key, operation, tag, arguments)

    def _carry_out(self, call: Call) -> None:
        call.sent_s = time.monotonic()
        while True:
            reply = self._client.send(
                "POST", call.path, call.arguments or None, Idempotency_Key=call.key
            )
            call.statuses.append(reply.status)
            if reply.is_known:
                break
            if time.monotonic() > self._deadline_s:
                return
            gevent.sleep(_RESEND_S)
        call.reply, call.answered_s = reply, time.monotonic()
        if call.item is not None:
            self._page.put(call.item)
        if call.item is not None and call.item["version"] >= self._known[call.tag]["version"]:
            self._known[call.tag] = call.item
        elif call.item is None:
            found = self._client.send("GET", f"/api/boards/{self._board}/items/{call.tag}")
            if found.status == 200:
                self._known[call.tag] = found.body["item"]

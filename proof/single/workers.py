"""The workers of one server's load: all operations, with hardly a pause between two."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from occupancy.core.entities import Role
from proof.history.call import Call, Reply
from proof.history.history import Items
from proof.load.raw_wire import FastClient
from proof.load.watchers import Watcher
from proof.load.workers import Worker

_MOST_TAGS = 6  # of a batch

# What may succeed in each state: for the holder, and for everybody else.
_OF_HOLDER = ("pause", "complete", "complete", "release")
_OF_WORKERS = {"available": ("take",), "paused": ("take",)}
_OF_SUPERVISORS = {
    "available": ("take", "take", "take", "reassign", "block", "send-back"),
    "paused": ("take", "take", "take", "reassign", "block", "send-back"),
    "occupied": ("force-release", "force-release", "reassign", "take", "take", "block"),
    "blocked": ("unblock",),
    "completed": ("reopen", "send-back"),
}
_FOR_SUPERVISORS = ("force-release", "reassign", "block", "unblock", "reopen", "send-back")
_OF_ANYBODY = ("take", "pause", "complete", "release", "undo")
_ALL = (*_OF_ANYBODY, *_FOR_SUPERVISORS)


class Chances:
    """How often an operation will be refused, has a precondition, or is a batch."""

    refusal = 0.12
    forbidden = 0.004
    if_match = 0.08
    epoch = 0.08
    batch = 0.03
    undo = 0.15  # after one's own completion
    own = 0.7  # of a holder, on one of its items
    free = 0.7  # otherwise, on an item that may be taken
    hot = 0.3  # otherwise, on one of the first three items, so that workers compete


class SingleWorker(Worker[FastClient]):
    """Chooses among the operations that its role has, by what its page shows."""

    def __init__(
        self, client: FastClient, board: str, name: str, role: Role, *,
        colleagues: Sequence[str], steps: Sequence[str], seed: int, page: Watcher, pause_s: float,
    ) -> None:  # fmt: skip
        self._role, self._colleagues, self._steps = role, colleagues, steps
        self._completed = ""  # the tag of the last operation, if that was to complete an item
        super().__init__(client, board, name, seed=seed, page=page, pause_s=pause_s)

    def _operate(self) -> None:
        if self._random.random() < Chances.batch:
            self._send_batch()
        else:
            self._send_one()

    def _send_one(self) -> None:
        tag = self._tag()
        if self._completed in self._items and self._random.random() < Chances.undo:
            tag, operation = self._completed, "undo"
        else:
            operation = self._operation(self._items[tag])
        self._completed = tag if operation == "complete" else ""
        item = self._items[tag]
        call = self._call(self._key(), operation, tag, self._arguments(operation))
        if self._random.random() < Chances.if_match:
            call.if_match = item["version"]
        if self._random.random() < Chances.epoch:
            call.arguments = {**call.arguments, "epoch": item["epoch"]}
        self._carry_out([call], call.path, call.arguments, call.key)

    def _send_batch(self) -> None:
        """One request for several tags. Each is a call of its own, with a part of the key."""
        tags = list({self._tag() for _ in range(self._random.randint(1, _MOST_TAGS))})
        operation, key = self._operation(self._items[tags[0]]), self._key()
        arguments = self._arguments(operation)
        calls = [self._call(f"{key}|{each}", operation, each, arguments) for each in tags]
        body = {"operation": operation, "tags": tags, **arguments}
        self._carry_out(calls, f"/api/boards/{self._board}/batch", body, key)

    def _carry_out(
        self, calls: Sequence[Call], path: str, body: Mapping[str, Any], key: str
    ) -> None:
        headers = f"Idempotency-Key: {key}\r\n"
        if calls[0].if_match is not None:
            headers += f'If-Match: "{calls[0].if_match}"\r\n'
        reply = self._send(calls, lambda: self._client.post(path, body, headers))
        if reply is None:
            return
        answered_s = time.monotonic()
        for each, own in zip(calls, _replies(reply, len(calls)), strict=True):
            self._answer(each, own, answered_s)

    @property
    def _items(self) -> Items:
        return self._page.model

    def _tag(self) -> str:
        items = self._items
        own = [each for each in items if (items[each]["holder"] or {}).get("id") == self._name]
        if own and self._random.random() < Chances.own:
            return self._random.choice(own)
        free = [each for each in items if items[each]["state"] in _OF_WORKERS]
        if free and self._random.random() < Chances.free:
            return self._random.choice(free)
        tags = list(items)
        if self._random.random() < Chances.hot:
            tags = tags[:3]
        return self._random.choice(tags)

    def _operation(self, item: dict[str, Any]) -> str:
        is_supervisor = self._role >= Role.SUPERVISOR
        chance = self._random.random()
        if chance < Chances.forbidden:
            return self._random.choice(_FOR_SUPERVISORS)
        if chance < Chances.refusal:
            return self._random.choice(_ALL if is_supervisor else _OF_ANYBODY)
        if (item["holder"] or {}).get("id") == self._name:
            return self._random.choice(_OF_HOLDER)
        allowed = _OF_SUPERVISORS if is_supervisor else _OF_WORKERS
        return self._random.choice(allowed.get(item["state"], ("take",)))

    def _arguments(self, operation: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if operation in ("force-release", "block", "send-back") or (
            operation in ("pause", "reassign") and self._random.random() < 0.5
        ):
            found["reason"] = f"reason {self._random.randrange(100)}"
        if operation == "reassign":
            found["to"] = self._random.choice(self._colleagues)
        if operation == "send-back" or (operation == "reopen" and self._random.random() < 0.5):
            found["step"] = self._random.choice(self._steps)
        return found


def _replies(reply: Reply, count: int) -> list[Reply]:
    """The reply to each call: of a batch, as if its tag had been sent alone."""
    results = reply.body.get("results")
    if results is None:
        return [reply] * count
    return [Reply(each.pop("status"), each, reply.is_replayed) for each in results]

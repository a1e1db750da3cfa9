"""A simulated server and its callers, in simulated time: they make histories.

The server does one thing at a time at a moment of its own; sending and answer take time, get lost,
and are repeated with the same key. A bug is a subclass that overrides one method.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from proof.history.call import Call, Reply
from proof.history.history import BoardState, History, Items, Log, Seen
from proof.history.model.operations import Outcome, Request, Rules, carry_out
from proof.history.model.state import State, state_of
from proof.history.model.table import NO_ITEM, TABLE

BOARD = "b"
STEPS = ("ARM", "SOLD")
_STATUS = {"forbidden": 403, "not_holder": 403, "invalid_request": 400, "version_mismatch": 412}
_EPOCH_S = 1_800_000_000.0
_LIKELY = {
    "available": ["take"], "paused": ["take", "reassign"], "blocked": ["unblock"],
    "completed": ["reopen", "send-back"],
    "occupied": ["pause", "complete", "release", "force-release"],
}  # fmt: skip
_UNDO_S = 60.0
_SHOWS_NO_ITEM = {"forbidden", "invalid_request", "item_not_found", "worker_not_found"}


@dataclass
class Watched:
    """A watcher that was there from the start to the end."""

    name: str = "watcher"
    board: str = BOARD
    trail: list[Seen] = field(default_factory=list)
    model: Items = field(default_factory=dict)
    snapshots: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Stored:
    """An item as it is stored."""

    state: State
    since_s: float = 0.0
    worked_s: float = 0.0
    undo_s: tuple[float, float] = (0.0, 0.0)  # since and worked time before a completion


class Server:
    """Correct. ``now_s`` is its clock."""

    def __init__(self, rules: Rules, tags: list[str]) -> None:
        self.rules, self.now_s = rules, 0.0
        self.items: dict[str, Stored] = {}
        self.records: dict[tuple[str, str], Reply] = {}
        self.log: Log = []
        self.watchers = [Watched("one"), Watched("two")]
        self.by_holder: dict[str, str] = {}
        self.earlier: dict[str, list[Stored]] = {}
        self.random = random.Random(1)
        for tag in tags:
            self.operate(Call(BOARD, "boss", f"add {tag}", "put", tag))
        self.before = self.stored()
        for each in self.watchers:
            each.model = copy.deepcopy(self.before.items)
            each.trail = [Seen(0.0, "snapshot", self.log[-1][0], len(self.log))]

    def operate(self, call: Call) -> Reply:
        record = self.record_of(call)
        if record is not None:
            return record._replace(is_replayed=True)
        reply = self.decide_and_write(call)
        self.records[call.worker, call.key] = reply
        return reply

    def record_of(self, call: Call) -> Reply | None:
        return self.records.get((call.worker, call.key))

    def load(self, tag: str) -> Stored:
        return self.items.get(tag) or Stored(state_of(None))

    def decide(self, state: State, request: Request) -> Outcome:
        return next(iter(carry_out(state, request, self.rules)))

    def decide_and_write(self, call: Call) -> Reply:
        stored = self.load(call.tag)
        request = Request(call.operation, call.tag, call.worker, call.arguments, call.if_match)
        outcome = self.decide(stored.state, request)
        is_late = self.now_s - stored.since_s > _UNDO_S
        if call.operation == "undo" and outcome.is_change and is_late:
            outcome = Outcome(stored.state, "wrong_state")
        if outcome.code:
            status = _STATUS.get(outcome.code, 404 if "not_found" in outcome.code else 409)
            body: dict[str, Any] = {"code": outcome.code}
            if outcome.code not in _SHOWS_NO_ITEM:
                body["item"] = view(call.tag, stored)
            return Reply(status, body)
        if not outcome.is_change:
            return Reply(200, {"changed": False, "item": view(call.tag, stored)})
        after = self.counted(stored.state, outcome.state)
        written = self.timed(call.operation, stored, after)
        shown = written
        if after.state == NO_ITEM:
            last = stored.state._replace(version=after.version)
            shown = Stored(last, stored.since_s, stored.worked_s)
        kind = TABLE[call.operation].event
        if stored.state.state == NO_ITEM:
            kind = "item.added"
        self.write(call.tag, written)
        body = view(call.tag, shown)
        self.record_event(kind, call.worker, body)
        return Reply(200, {"changed": True, "item": body, "cursor": self.log[-1][0]})

    def counted(self, before: State, after: State) -> State:
        return after

    def timed(self, operation: str, stored: Stored, after: State) -> Stored:
        if operation == "undo":
            return Stored(after, *stored.undo_s)
        before = stored.state
        worked_s = stored.worked_s
        if TABLE[operation].counts_time and before.state == "occupied":
            worked_s += self.now_s - stored.since_s
        if before.step != after.step:
            worked_s = 0.0
        keeps = operation == "put" and before.state != NO_ITEM
        keeps = keeps or (operation == "reassign" and before.state == "occupied")
        undo_s = (stored.since_s, stored.worked_s)
        return Stored(after, stored.since_s if keeps else self.now_s, worked_s, undo_s)

    def write(self, tag: str, written: Stored) -> None:
        self.earlier.setdefault(tag, []).append(self.load(tag))
        self.items[tag] = written
        self.by_holder.pop(tag, None)
        if written.state.holder:
            self.by_holder[tag] = written.state.holder

    def record_event(self, kind: str, actor: str, item: dict[str, Any]) -> None:
        seq = self.next_seq()
        event = json.dumps({"seq": seq, "type": kind, "board": BOARD, "at": iso(self.now_s),
                            "actor": {"id": actor}, "item": item})  # fmt: skip
        cursor = f"{seq * 10}-1"
        self.log.append((cursor, {"seq": str(seq), "event": event}))
        for each in self.watchers:
            self.publish(each, Seen(self.now_s, "item", cursor, seq, event))

    def next_seq(self) -> int:
        return len(self.log) + 1

    def publish(self, watcher: Watched, seen: Seen) -> None:
        watcher.trail.append(seen)
        event = json.loads(seen.event)
        watcher.model[event["item"]["tag"]] = event["item"]
        if event["type"] == "item.removed":
            del watcher.model[event["item"]["tag"]]
        if self.random.random() < 0.05:
            watcher.trail.append(Seen(self.now_s, "end", seen.cursor))
            watcher.trail.append(Seen(self.now_s, "ready", seen.cursor, seen.seq))

    def stored(self) -> BoardState:
        present = {tag: each for tag, each in self.items.items() if each.state.state != NO_ITEM}
        by_state = {f"{each.state.state}|{tag}" for tag, each in present.items()}
        by_holder = {f"{holder}|{tag}" for tag, holder in self.by_holder.items()}
        return BoardState(
            {tag: view(tag, each) for tag, each in present.items()}, list(self.log),
            {"by_tag": set(present), "by_state": by_state, "by_holder": by_holder},
        )  # fmt: skip


def view(tag: str, stored: Stored) -> dict[str, Any]:
    state = stored.state
    return {
        "tag": tag, "title": state.title, "state": state.state, "step": state.step,
        "holder": {"id": state.holder, "name": state.holder.title()} if state.holder else None,
        "since": iso(stored.since_s), "reason": state.reason, "epoch": state.epoch,
        "version": state.version, "worked_s": round(stored.worked_s, 3),
        "attributes": json.loads(state.attributes),
    }  # fmt: skip


def iso(at_s: float) -> str:
    at = datetime.fromtimestamp(_EPOCH_S + round(at_s, 3), UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Simulation:
    """Workers who send operations at random, for some simulated time."""

    def __init__(
        self, seed: int, *, make_server: Callable[[Rules, list[str]], Server] = Server,
        workers: int = 6, items: int = 3, loss: float = 0.15, unknown: float = 0.02,
        removals: bool = False,
    ) -> None:  # fmt: skip
        self.random = random.Random(seed)
        self.roles = {f"w{number}": "worker" if number % 3 else "supervisor"
                      for number in range(workers)}  # fmt: skip
        self.roles |= {"boss": "admin", "eye": "observer"}
        self.tags = [f"T-{number}" for number in range(items)]
        self.server = make_server(Rules(STEPS, self.roles), self.tags)
        self.calls: list[Call] = []
        self._loss, self._unknown, self._removals = loss, unknown, removals
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()

    def run(self, calls: int) -> History:
        for worker in self.roles:
            self._at(self.random.uniform(1, 2), lambda now_s, w=worker: self._send(w, now_s))  # type: ignore[misc] # mypy infers no lambda with defaults
        while self._agenda:
            now_s, _, act = heapq.heappop(self._agenda)
            if len(self.calls) < calls or not act.__name__.startswith("<"):
                act(now_s)
        server = self.server
        return History(
            self.roles, {BOARD: STEPS}, {BOARD: server.before}, {BOARD: server.stored()},
            self.calls, server.watchers, budget=20, most_connections=18,
        )  # fmt: skip

    def _at(self, at_s: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._agenda, (at_s, next(self._numbers), act))

    def _send(self, worker: str, now_s: float) -> None:
        call = self._next(worker)
        call.sent_s = now_s
        self.calls.append(call)
        self._try(call, now_s)

    def _try(self, call: Call, now_s: float) -> None:
        effect_s = now_s + self.random.expovariate(20)
        is_lost = self.random.random() < self._loss
        is_given_up = self.random.random() < self._unknown
        answer_s = effect_s + self.random.expovariate(20)

        def effect(at_s: float) -> None:
            if is_lost and self.random.random() < 0.5:
                return  # the request got lost, not the answer
            self.server.now_s = at_s
            reply = self.server.operate(call)

            def answer(answered_s: float) -> None:
                call.statuses.append(reply.status)
                call.reply, call.answered_s = reply, answered_s

            if not is_lost and not is_given_up:
                self._at(answer_s, answer)

        def again(at_s: float) -> None:
            call.statuses.append(0)
            self._try(call, at_s)

        self._at(effect_s, effect)
        if is_given_up:
            call.statuses.append(0)
        elif is_lost:
            self._at(now_s + 0.05, again)
        self._at(answer_s + self.random.uniform(0, 0.2),
                 lambda next_s: self._send(call.worker, next_s))  # fmt: skip

    def _next(self, worker: str) -> Call:
        tag = self.random.choice(self.tags)
        state = self.server.load(tag).state
        operation = self.random.choice(
            ["take", "take", "take", "pause", "complete", "release", "put"]
            + ["force-release", "reassign", "block", "unblock", "reopen", "undo", "send-back"]
            + ["remove", "put"] * self._removals
        )
        if self.random.random() < 0.7 and state.state in _LIKELY:
            operation = self.random.choice(_LIKELY[state.state])
            if operation in ("pause", "complete", "release") and self.random.random() < 0.9:
                worker = state.holder
        if state.last is not None and state.last[0] == "complete" and self.random.random() < 0.3:
            operation = "undo"
            if self.random.random() < 0.8:
                worker = state.last[1]
        arguments: dict[str, Any] = {}
        row = TABLE[operation]
        if row.reason == "required" or (row.reason and self.random.random() < 0.3):
            arguments["reason"] = self.random.choice(["ink", "lunch"])
        if row.to:
            arguments["to"] = self.random.choice([*self.roles, "nobody"])
        if row.step == "required" or (row.step and self.random.random() < 0.5):
            arguments["step"] = self.random.choice([STEPS[0], *STEPS, "none"])
        if operation == "put":
            arguments["title"] = self.random.choice(["one", "two"])
        elif self.random.random() < 0.1:
            arguments["epoch"] = state.epoch
        if_match = state.version if self.random.random() < 0.1 else None
        key = f"k{len(self.calls)}"
        return Call(BOARD, worker, key, operation, tag, arguments, if_match=if_match)

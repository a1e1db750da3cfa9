"""The judge's model: the promised table, and that the product's answers are those of the model."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from typing import Any

import pytest

from occupancy import create_app
from occupancy.services import Services
from proof.history.call import Call, Reply
from proof.history.checks import violations
from proof.history.history import BoardState, History
from proof.history.model.operations import Request, Rules, carry_out
from proof.history.model.state import State, seen_as, state_of
from proof.history.model.table import TABLE
from tests.conftest import add_people
from tests.proof.simulation import Stored, view
from tests.support.api_client import Api
from tests.support.deployment import ROOT

ROLES = {"ana": "worker", "ben": "worker", "eva": "supervisor", "eye": "observer"}
RULES = Rules(("ARM", "SOLD"), ROLES)
BOARD = "main"


def item(state: str = "available", holder: str = "", **other: Any) -> State:
    found = State(state, "ARM", holder, None, 3, 7, "T", "{}", prior="paused", prior_reason="ink")
    return found._replace(**other)


def do(state: State, operation: str, caller: str, **arguments: Any) -> tuple[str, bool, State]:
    """What comes of it, where that is certain."""
    outcome, *late = carry_out(state, Request(operation, "T", caller, arguments), RULES)
    is_undone = operation == "undo" and outcome.is_change
    assert [each.code for each in late] == ["wrong_state"] * is_undone
    return outcome.code, outcome.is_change, outcome.state


HELD = item("occupied", "ana")
DONE = item("completed", last=("complete", "ana"), undo=("SOLD", "hurry"), step="SOLD")
BACK = {"step": "ARM", "reason": "porous"}
REFUSALS = [
    (item(), "undo", "ana", {}, "wrong_state"),
    (DONE, "undo", "ben", {}, "not_holder"),
    (DONE._replace(undo=("", None)), "undo", "ana", {}, "wrong_state"),
    (DONE._replace(last=("reopen", "eva")), "undo", "eva", {}, "wrong_state"),
    (HELD, "undo", "ben", {}, "held"),
    (item("paused"), "undo", "ana", {}, "wrong_state"),
    (item(), "send-back", "eva", BACK, "invalid_request"),
    (item(step="SOLD"), "send-back", "eva", {"step": "ARM"}, "invalid_request"),
    (item(step="SOLD"), "send-back", "eva", {**BACK, "step": "none"}, "invalid_request"),
    (HELD, "send-back", "eva", BACK, "held"),
    (item(step="SOLD"), "send-back", "ana", BACK, "forbidden"),
    (HELD, "take", "ben", {}, "held"),
    (item("blocked"), "take", "ben", {}, "blocked"),
    (item("completed"), "take", "ben", {}, "wrong_state"),
    (HELD, "pause", "ben", {}, "not_holder"),
    (HELD, "release", "eva", {}, "not_holder"),
    (item(), "pause", "ana", {}, "wrong_state"),
    (HELD, "force-release", "ben", {"reason": "x"}, "forbidden"),
    (HELD, "force-release", "eva", {}, "invalid_request"),
    (HELD, "take", "ana", {"reason": "x"}, "invalid_request"),
    (HELD, "reassign", "eva", {"to": "eye"}, "worker_not_found"),
    (HELD, "take", "ben", {"epoch": 2}, "stale_epoch"),
    (item("completed"), "reopen", "eva", {"step": "none"}, "invalid_request"),
    (HELD, "remove", "eva", {}, "held"),
    (state_of(None), "take", "ana", {}, "item_not_found"),
    (item(), "take", "eye", {}, "forbidden"),
    (item(), "steal", "ana", {}, "not_found"),
]


@pytest.mark.parametrize(("state", "operation", "caller", "arguments", "code"), REFUSALS)
def test_what_the_table_forbids_is_refused(
    state: State, operation: str, caller: str, arguments: dict[str, Any], code: str
) -> None:
    assert do(state, operation, caller, **arguments) == (code, False, state)


EFFECTS = [
    (item(), "take", "ana", {}, {"state": "occupied", "holder": "ana", "prior": "available"}),
    (HELD, "pause", "ana", {"reason": "x"}, {"state": "paused", "holder": "", "reason": "x"}),
    (HELD, "complete", "ana", {}, {"state": "available", "step": "SOLD", "holder": ""}),
    (HELD._replace(step="SOLD"), "complete", "ana", {}, {"state": "completed", "step": "SOLD"}),
    (HELD, "release", "ana", {}, {"state": "paused", "reason": "ink", "holder": ""}),
    (HELD, "force-release", "eva", {"reason": "x"}, {"state": "paused", "holder": ""}),
    (HELD, "reassign", "eva", {"to": "ben"}, {"state": "occupied", "holder": "ben"}),
    (HELD, "block", "eva", {"reason": "x"}, {"state": "blocked", "holder": "", "prior": "paused"}),
    (item("blocked"), "unblock", "eva", {}, {"state": "paused", "reason": "ink"}),
    (item("completed"), "reopen", "eva", {}, {"state": "available", "step": "SOLD"}),
    (item("completed"), "reopen", "eva", {"step": "ARM"}, {"state": "available", "step": "ARM"}),
    (DONE, "undo", "ana", {}, {"state": "occupied", "holder": "ana", "reason": "hurry"}),
    (item(step="SOLD"), "send-back", "eva", BACK, {"state": "available", **BACK}),
    (item("completed", step="SOLD"), "send-back", "eva", BACK, {"state": "available", **BACK}),
    (item(), "put", "eva", {"title": "New"}, {"title": "New"}),
]


@pytest.mark.parametrize(("state", "operation", "caller", "arguments", "effect"), EFFECTS)
def test_what_the_table_allows_has_its_effect(
    state: State, operation: str, caller: str, arguments: dict[str, Any], effect: dict[str, Any]
) -> None:
    code, is_change, after = do(state, operation, caller, **arguments)
    assert (code, is_change) == ("", True)
    assert {name: getattr(after, name) for name in effect} == effect
    assert after.version == state.version + 1
    assert after.epoch == state.epoch + (after.holder != state.holder)
    if operation != "put":
        assert do(after, operation, caller, **{**arguments}) in (
            ("", False, after), ("wrong_state", False, after),
        )  # fmt: skip


def test_each_operation_has_an_effect_or_is_tested_with_the_product() -> None:
    assert {operation for _, operation, *_ in EFFECTS} | {"remove"} == TABLE.keys()


def test_a_repetition_is_no_change_for_the_same_caller_only() -> None:
    _, _, paused = do(HELD, "pause", "ana")
    assert do(paused, "pause", "ana") == ("", False, paused)
    assert do(paused, "pause", "ben")[0] == "wrong_state"
    assert do(HELD, "take", "ana") == ("", False, HELD)


def test_what_is_not_known_of_an_item_leaves_several_outcomes() -> None:
    shown = view("T", Stored(HELD))
    unknown = state_of(shown)
    after = [each.state for each in carry_out(unknown, Request("release", "T", "ana"), RULES)]
    assert {each.state for each in after} == {"available", "paused"}
    seen = seen_as(after[1], {**view("T", Stored(after[1])), "reason": "lunch"})
    assert seen is not None
    assert seen.reason == "lunch"


# The product


def test_the_judge_imports_nothing_of_the_product() -> None:
    code = "import sys, proof.history.checks; print(*{n.split('.')[0] for n in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "proof" in loaded
    assert "occupancy" not in loaded


@pytest.fixture
def api(valkey_services: Services) -> Api:
    app = create_app(valkey_services)
    return Api(app.test_client(), add_people(valkey_services), valkey_services)


_LIKELY = {
    "": "put", "available": "take", "occupied": "take", "paused": "reassign",
    "blocked": "unblock", "completed": "reopen",
}  # fmt: skip


def call_of(
    chance: random.Random, number: int, items: dict[str, dict[str, Any]], last: Call | None
) -> Call:
    """A call at random, often one that can succeed."""
    if last is not None and last.operation == "complete" and chance.random() < 0.4:
        worker = last.worker if chance.random() < 0.7 else "supervisor"
        return Call(BOARD, worker, f"k{number}", "undo", last.tag)
    tag = chance.choice(["T-0", "T-1", "T-2"])
    present = items.get(tag)
    worker = chance.choice(["holder", "colleague", "supervisor", "supervisor", "admin", "watcher"])
    if chance.random() < 0.1:
        operation = "remove" if present else "put"
    elif chance.random() < 0.5:
        operation = chance.choice([each for each in TABLE if each != "remove"])
    else:
        operation = _LIKELY[present["state"] if present else ""]
    if present and present["holder"] and chance.random() < 0.4:
        worker = present["holder"]["id"]
        operation = chance.choice(["pause", "complete", "release", "take"])
    row = TABLE[operation]
    arguments: dict[str, Any] = {}
    if row.reason == "required" or (row.reason and chance.random() < 0.5):
        arguments["reason"] = chance.choice(["ink", "lunch"])
    if row.to:
        arguments["to"] = chance.choice(["holder", "colleague", "admin", "watcher", "nobody"])
    if row.step == "required" or (row.step and chance.random() < 0.6):
        arguments["step"] = chance.choice(["ARM", "SOLD", "none"])
    if operation == "put":
        arguments |= {"title": chance.choice(["One", "Two"]), "attributes": {"area": "B2"}}
    elif chance.random() < 0.1:
        arguments["epoch"] = chance.randint(0, 3)
    if chance.random() < 0.04:
        arguments["reason"] = "none is taken"
    if_match = chance.randint(1, 9) if chance.random() < 0.1 else None
    return Call(BOARD, worker, f"k{number}", operation, tag, arguments, if_match=if_match)


def carry_out_on(api: Api, call: Call) -> None:
    headers = {"Idempotency-Key": call.key}
    if call.if_match is not None:
        headers["If-Match"] = f'"{call.if_match}"'
    method = {"put": "PUT", "remove": "DELETE"}.get(call.operation, "POST")
    call.sent_s = call.sent_s or time.monotonic()
    path = call.path.removeprefix("/api/boards")
    response = api.send(method, path, call.worker, headers, json=dict(call.arguments))
    call.answered_s = time.monotonic()
    call.statuses.append(response.status_code)
    body = json.loads(response.text)
    call.reply = Reply(response.status_code, body, "Idempotency-Replayed" in response.headers)


def state_of_board(services: Services) -> BoardState:
    snapshot = services.store.queries.snapshot(BOARD)
    assert snapshot is not None
    log = [
        (entry.cursor, {"seq": str(entry.seq), "event": entry.event.decode()})
        for entry in services.store.log.replay(BOARD, "0-0", 10_000).entries
    ]
    keys = services.store.keys.board(BOARD)
    indexes = {}
    for name in ("by_tag", "by_state", "by_holder"):
        members: Any = services.store.client.zrange(getattr(keys, name), 0, -1)
        indexes[name] = {each.decode() for each in members}
    return BoardState({each["tag"]: each for each in map(json.loads, snapshot.items)}, log, indexes)


def test_the_judge_finds_nothing_in_what_the_product_does(api: Api) -> None:
    services = api.services
    services.store.boards.create(BOARD, steps=["ARM", "SOLD"])
    chance = random.Random(4)
    roles = {"watcher": "observer", "holder": "worker", "colleague": "worker",
             "supervisor": "supervisor", "admin": "admin"}  # fmt: skip
    before = state_of_board(services)
    calls: list[Call] = []
    items: dict[str, dict[str, Any]] = {}
    for number in range(400):
        call = call_of(chance, number, items, calls[-1] if calls else None)
        carry_out_on(api, call)
        if chance.random() < 0.1:
            carry_out_on(api, call)  # the same key again
        if call.item is not None:
            items[call.tag] = call.item
        calls.append(call)
    history = History(
        roles, {BOARD: ("ARM", "SOLD")}, {BOARD: before}, {BOARD: state_of_board(services)},
        calls, [],
    )  # fmt: skip
    assert violations(history) == {}
    codes = {str(each.reply and each.reply.body.get("code")) for each in calls}
    assert {
        "None", "blocked", "forbidden", "held", "invalid_request", "item_not_found", "not_holder",
        "stale_epoch", "version_mismatch", "worker_not_found", "wrong_state",
    } <= codes, codes  # fmt: skip
    assert {each.operation for each in calls if each.has_changed} == TABLE.keys()

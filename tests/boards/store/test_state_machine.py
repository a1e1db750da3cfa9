"""The store against an independent model: operations at random do what the table promises."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.records import Answer, Preconditions
from occupancy.boards.store import Store
from occupancy.core.entities import STATES, Person
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.boards.store.changes import WORKERS, do
from tests.boards.store.model import SOURCES, ModelBoard, ModelItem


def check_item(board: ModelBoard, tag: str, view: dict[str, Any]) -> None:
    item = board.items.get(tag) or board.gone[tag]
    names = {worker.id: worker.name for worker in WORKERS}
    assert view["tag"] == tag
    assert view["state"] == item.state
    assert view["step"] == board.steps[item.step]
    assert view["epoch"] == item.epoch
    assert view["version"] == item.version
    assert view["title"] == item.title
    assert view["holder"] == (
        {"id": item.holder, "name": names[item.holder]} if item.holder else None
    )
    assert (item.state == "occupied") == (item.holder is not None)


def check_board(store: Store, board: ModelBoard) -> None:
    """All that can be read of a board agrees with the model."""
    snapshot = store.queries.snapshot(board.name)
    assert snapshot is not None
    views = [json.loads(each) for each in snapshot.items]
    assert [view["tag"] for view in views] == sorted(board.items)
    for view in views:
        check_item(board, view["tag"], view)
        assert json.loads(store.queries.item(board.name, view["tag"])) == view
    figures = store.boards.get(board.name)
    assert snapshot.seq == figures.seq == len(board.log)
    assert snapshot.cursor == figures.cursor
    for state in STATES:
        wanted = sorted(tag for tag, item in board.items.items() if item.state == state)
        by_state = store.queries.snapshot(board.name, state=state)
        assert by_state is not None
        assert [json.loads(each)["tag"] for each in by_state.items] == wanted
        assert figures.counts[state] == len(wanted)
    for worker in WORKERS:
        held = sorted(tag for tag, item in board.items.items() if item.holder == worker.id)
        by_holder = store.queries.snapshot(board.name, holder=worker.id)
        assert by_holder is not None
        assert [json.loads(each)["tag"] for each in by_holder.items] == held
    replay = store.log.replay(board.name, "0-0", 10_000)
    events = [json.loads(entry.event) for entry in replay.entries]
    assert [entry.seq for entry in replay.entries] == list(range(1, len(board.log) + 1))
    assert [event["seq"] for event in events] == [entry.seq for entry in replay.entries]
    assert [(e["type"], e["item"]["tag"], e["actor"]["id"]) for e in events] == board.log
    for tag in {*board.items, *board.gone}:
        history, following = store.queries.history(board.name, tag, limit=1000)
        own = [entry.event for entry in replay.entries if f'"tag":"{tag}"'.encode() in entry.event]
        assert history == own[::-1]
        assert following is None
        if tag in board.items:
            assert events[[e["item"]["tag"] for e in events].index(tag)]["type"] == "item.added"
            assert json.loads(history[0])["item"] == json.loads(store.queries.item(board.name, tag))


def put(store: Store, board: ModelBoard, tag: str, actor: Person, title: str) -> None:
    is_new = tag not in board.items
    item = board.items.setdefault(tag, ModelItem())
    is_change = is_new or item.title != title
    answer = store.commands.execute(
        Command(board.name, PUT, [tag], actor=actor, items=[{"title": json.dumps(title)}])
    )
    (outcome,) = answer.outcomes
    assert (outcome.code, outcome.changed) == ("added" if is_new else "ok", is_change)
    view = json.loads(outcome.item)
    if is_new:
        before = board.gone.pop(tag, ModelItem())
        assert view["epoch"] >= before.epoch
        assert view["version"] > before.version
        item.epoch, item.version = view["epoch"], view["version"]
    elif is_change:
        item.version += 1
    if is_change:
        item.title = title
        board.log.append(("item.added" if is_new else "item.updated", tag, actor.id))
    check_item(board, tag, view)


def choose(dice: random.Random, board: ModelBoard, tags: list[str]) -> tuple[str, Person]:
    """An operation and who does it: mostly what is possible, often what is not."""
    operations = [*SOURCES, "take", "take", "complete", "complete", "put", "reopen"]
    operation = dice.choice(operations)
    actor = dice.choice(WORKERS)
    item = board.items.get(tags[0])
    if item is not None and item.holder is not None and dice.random() < 0.6:
        actor = next(worker for worker in WORKERS if worker.id == item.holder)
        operation = dice.choice(["pause", "complete", "complete", "release", operation])
    elif item is not None and item.last is not None and dice.random() < 0.2:
        if dice.random() < 0.7:
            actor = next(worker for worker in WORKERS if worker.id == item.last[1])
        operation = "undo"
    if operation == "remove" and dice.random() < 0.7:
        operation = "put"
    return operation, actor


def options_for(dice: random.Random, board: ModelBoard, operation: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if operation == "reassign":
        options["to"] = dice.choice(WORKERS)
    elif operation == "reopen" and len(board.steps) > 1:
        options["step"] = board.steps[0]
    elif operation == "send-back":
        options |= {"step": dice.choice(board.steps), "reason": "porous"}
    elif operation in ("block", "force-release"):
        options["reason"] = 'a "reason"'
    if dice.random() < 0.2:
        options["preconditions"] = Preconditions(
            idempotency_key=str(dice.random()), fingerprint="same"
        )
    return options


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.thorough
def test_random_operations_do_what_the_table_promises(services: Services, seed: int) -> None:
    dice = random.Random(seed)
    store = services.store
    boards = [
        ModelBoard("main", ["work"]),
        ModelBoard("line", ["ARM", "SOLD", "METROLOGÍA"]),
        ModelBoard("capped", ["one", "two"], max_holds=1),
    ]
    for board in boards[1:]:
        store.boards.create(board.name, steps=board.steps, max_holds=board.max_holds)
    seen: set[tuple[str, str, bool]] = set()
    for turn in range(450):
        board = dice.choice(boards)
        tags = dice.sample(["A", "B-1", "C", "D"], dice.choice([1, 1, 1, 3]))
        operation, actor = choose(dice, board, tags)
        if operation == "put":
            for tag in tags:
                put(store, board, tag, actor, dice.choice(["Spool", "Señal “1”"]))
            continue
        options = options_for(dice, board, operation)
        to = options["to"].id if "to" in options else None
        expected = [
            board.expect(operation, tag, actor.id, to=to, step=options.get("step")) for tag in tags
        ]
        answer = do(store, operation, *tags, board=board.name, actor=actor, **options)
        found = [(each.code, each.changed) for each in answer.outcomes]
        assert found == expected, (turn, operation, tags)
        assert not answer.is_replayed
        seen |= {(operation, *each) for each in found}
        for outcome in answer.outcomes:
            if outcome.code != "item_not_found":
                check_item(board, outcome.tag, json.loads(outcome.item))
        if "preconditions" in options:
            again = do(store, operation, *tags, board=board.name, actor=actor, **options)
            assert again == Answer(answer.cursor, answer.outcomes, is_replayed=True)
        assert store.log.head(board.name).head_seq == len(board.log)
        if turn % 90 == 89:
            for each in boards:
                check_board(store, each)
    assert {operation for operation, _, is_change in seen if is_change} == set(SOURCES)
    assert {code for _, code, _ in seen} == {
        "ok", "item_not_found", "held", "wrong_state", "blocked", "not_holder", "limit_reached",
        "not_earlier", "undo_touched", "undo_others",
    }  # fmt: skip

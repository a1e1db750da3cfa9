"""The store against an independent model of the promised state machine, and on its own."""

from __future__ import annotations

import base64
import dataclasses
import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy.boards import queries as queries_module
from occupancy.boards.commands import Command
from occupancy.boards.records import Answer, Outcome, Preconditions
from occupancy.boards.store import Store
from occupancy.core.entities import STATES, Person
from occupancy.core.errors import (
    AlreadyExists,
    BoardNotFound,
    IdempotencyKeyReused,
    InvalidRequest,
    ItemNotFound,
)
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from tests.conftest import services_on
from tests.support.elsewhere import bounded
from tests.support.selection import CLUSTER
from tests.support.servers import BINARIES, RealServer

WORKERS = [Person(f"w{number}", f"Worker {number}") for number in range(4)]
ANA, BEN = WORKERS[:2]
LUA = Path(__file__).parents[2] / "occupancy" / "storage" / "lua" / "board"


@pytest.fixture(params=[*BINARIES, CLUSTER])
def real_services(
    request: pytest.FixtureRequest, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    """On the real servers only, for what a fake that runs one thing at a time cannot show."""
    yield from services_on(request.param, tmp_path, server_of)


def add(store: Store, *tags: str, board: str = "main", **texts: str) -> Answer:
    return store.commands.execute(Command(board, PUT, tags, actor=ANA, items=[texts] * len(tags)))


def do(store: Store, operation: str, *tags: str, board: str = "main", **options: Any) -> Answer:
    row = REMOVE if operation == "remove" else TRANSITIONS[operation]
    return store.commands.execute(Command(board, row, tags, **{"actor": ANA, **options}))


def item_of(store: Store, tag: str, board: str = "main") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.queries.item(board, tag))
    return found


def everything(services: Services) -> dict[bytes, Any]:
    """All keys under the prefix, with what is in them."""
    client: Any = services.store.client
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    keys = client.scan_iter(match=f"{services.settings.prefix}:*", count=1000)
    # The processes report about themselves and try their rights: nothing to do with the boards.
    ours = (key for key in keys if b":process" not in key and b":rights" not in key)
    return {key: readers[client.type(key)](key) for key in ours}


def seqs_of(store: Store, board: str = "main") -> list[int]:
    return [entry.seq for entry in store.log.replay(board, "0-0", 10_000).entries]


# The state machine as promised, written from its table and not from the script


@dataclasses.dataclass
class ModelItem:
    step: int = 0
    state: str = "available"
    holder: str | None = None
    epoch: int = 0
    version: int = 0
    title: str = ""
    before: str = "available"  # what release or unblock goes back to
    last: tuple[str, str] | None = None  # the last change of state, and by whom


SOURCES = {
    "take": {"available", "paused"},
    "pause": {"occupied"},
    "complete": {"occupied"},
    "release": {"occupied"},
    "force-release": {"occupied"},
    "reassign": {"occupied", "available", "paused"},
    "block": {"available", "paused", "occupied"},
    "unblock": {"blocked"},
    "reopen": {"completed"},
    "remove": {"available", "paused", "blocked", "completed"},
}
EVENT_NAMES = {
    "take": "taken", "pause": "paused", "complete": "completed", "release": "released",
    "force-release": "force_released", "reassign": "reassigned", "block": "blocked",
    "unblock": "unblocked", "reopen": "reopened", "remove": "removed",
}  # fmt: skip


class ModelBoard:
    def __init__(self, name: str, steps: list[str], max_holds: int = 0) -> None:
        self.name = name
        self.steps = steps
        self.max_holds = max_holds
        self.items: dict[str, ModelItem] = {}
        self.gone: dict[str, ModelItem] = {}  # removed ones: their epoch must not come back
        self.log: list[tuple[str, str, str]] = []  # (event, tag, actor)

    def holds(self, worker: str) -> int:
        return sum(item.holder == worker for item in self.items.values())

    def expect(  # noqa: PLR0911 - it reads as the table does, row by row
        self,
        operation: str,
        tag: str,
        actor: str,
        *,
        to: str | None = None,
        step: str | None = None,
    ) -> tuple[str, bool]:
        """The code and whether it is a change; carries it out."""
        item = self.items.get(tag)
        if item is None:
            return "item_not_found", False
        target = actor if operation == "take" else to if operation == "reassign" else None
        if target is not None:
            if item.state == "occupied" and item.holder == target:
                return "ok", False
        elif item.last == (operation, actor):
            return "ok", False
        if item.state not in SOURCES[operation]:
            if item.state == "occupied" and operation in ("take", "remove"):
                return "held", False
            return ("blocked" if item.state == "blocked" else "wrong_state"), False
        if operation in ("pause", "complete", "release") and item.holder != actor:
            return "not_holder", False
        if target is not None and self.max_holds and self.holds(target) >= self.max_holds:
            return "limit_reached", False
        self._carry_out(operation, item, target, step)
        item.version += 1
        item.last = (operation, actor)
        self.log.append((f"item.{EVENT_NAMES[operation]}", tag, actor))
        if operation == "remove":
            self.gone[tag] = self.items.pop(tag)
        return "ok", True

    def _carry_out(
        self, operation: str, item: ModelItem, target: str | None, step: str | None
    ) -> None:
        was_occupied = item.state == "occupied"
        if operation in ("take", "reassign"):
            if not was_occupied:
                item.before = item.state
            item.state = "occupied"
        elif operation in ("pause", "force-release"):
            item.state = "paused"
        elif operation == "complete":
            is_last = item.step == len(self.steps) - 1
            item.state = "completed" if is_last else "available"
            item.step += not is_last
        elif operation in ("release", "unblock"):
            item.state = item.before
        elif operation == "block":
            item.before = "paused" if was_occupied else item.state
            item.state = "blocked"
        elif operation == "reopen":
            item.state = "available"
            item.step = self.steps.index(step) if step else len(self.steps) - 1
        if item.holder != target:
            item.epoch += 1
        item.holder = target


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
    if operation == "remove" and dice.random() < 0.7:
        operation = "put"
    return operation, actor


def options_for(dice: random.Random, board: ModelBoard, operation: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if operation == "reassign":
        options["to"] = dice.choice(WORKERS)
    elif operation == "reopen" and len(board.steps) > 1:
        options["step"] = board.steps[0]
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
    }  # fmt: skip


# Repeats


@pytest.mark.parametrize(
    ("before", "operation", "options"),
    [
        ([], "take", {}),
        (["take"], "pause", {}),
        (["take"], "complete", {}),
        (["take"], "release", {}),
        (["take"], "force-release", {"reason": "x"}),
        ([], "reassign", {"to": BEN}),
        ([], "block", {"reason": "x"}),
        (["block"], "unblock", {}),
        (["take", "complete"], "reopen", {}),
    ],
)
def test_a_repeat_changes_nothing_and_makes_no_event(
    services: Services, before: list[str], operation: str, options: dict[str, Any]
) -> None:
    store = services.store
    add(store, "A")
    for each in before:
        do(store, each, "A")
    first = do(store, operation, "A", **options)
    assert first.outcomes[0].changed
    kept = everything(services)
    second = do(store, operation, "A", **options)
    (outcome,) = first.outcomes
    assert outcome.version == json.loads(outcome.item)["version"]
    assert second.outcomes == [Outcome("A", "ok", False, outcome.item, outcome.version)]
    assert second.cursor == first.cursor
    assert everything(services) == kept


def test_a_reopen_at_another_step_is_no_repeat(services: Services) -> None:
    store = services.store
    store.boards.create("steps", steps=["one", "two"])
    add(store, "A", board="steps")
    for _ in range(2):
        do(store, "take", "A", board="steps")
        do(store, "complete", "A", board="steps")
    assert do(store, "reopen", "A", board="steps", step="one").outcomes[0].changed
    assert do(store, "reopen", "A", board="steps", step="one").outcomes[0].code == "ok"
    # It does not stand at two, so "ok" would be untrue.
    assert do(store, "reopen", "A", board="steps", step="two").outcomes[0].code == "wrong_state"
    assert item_of(store, "A", "steps")["step"] == "one"


def test_a_tag_twice_in_one_batch_is_changed_once(services: Services) -> None:
    add(services.store, "A")
    answer = do(services.store, "take", "A", "A")
    assert [each.changed for each in answer.outcomes] == [True, False]
    assert item_of(services.store, "A")["epoch"] == 1


# Refusals leave no trace


def test_refusals_leave_no_trace(services: Services) -> None:
    store = services.store
    add(store, "A", "B", "C")
    do(store, "take", "A", actor=BEN)
    do(store, "block", "B", reason="x", actor=BEN)
    kept = everything(services)
    answers = [
        do(store, "take", "A"), do(store, "pause", "A"), do(store, "complete", "A"),
        do(store, "remove", "A"), do(store, "take", "B"), do(store, "reopen", "C"),
        do(store, "take", "C", preconditions=Preconditions(epoch=9)),
        do(store, "take", "C", preconditions=Preconditions(versions=["9"])),
        do(store, "take", "NONE"),
        store.commands.execute(Command("main", PUT, ["NEW"], actor=ANA, items=[{}],
                                       preconditions=Preconditions(versions=["1"]))),
    ]  # fmt: skip
    assert [each.outcomes[0].code for each in answers] == [
        "held", "not_holder", "not_holder", "held", "blocked", "wrong_state", "stale_epoch",
        "version_mismatch", "item_not_found", "version_mismatch",
    ]  # fmt: skip
    assert not any(each.outcomes[0].changed for each in answers)
    assert everything(services) == kept


def test_an_unknown_board_is_refused_everywhere(services: Services) -> None:
    store = services.store
    for call in (
        lambda: do(store, "take", "A", board="none"),
        lambda: store.queries.snapshot("none"),
        lambda: store.queries.item("none", "A"),
        lambda: store.queries.history("none", "A", limit=1),
        lambda: store.log.replay("none", "0-0", 1),
        lambda: store.boards.get("none"),
        lambda: list(store.commands.put_many("none", [("A", {})], actor=ANA)),
    ):
        with pytest.raises(BoardNotFound):
            call()
    assert everything(services) == {}


def test_an_epoch_or_version_that_is_right_lets_the_operation_through(services: Services) -> None:
    add(services.store, "A")
    given = Preconditions(epoch=0, versions=["7", "1"])
    assert do(services.store, "take", "A", preconditions=given).outcomes[0].changed


def test_a_cap_on_holds_counts_across_a_batch(services: Services) -> None:
    store = services.store
    store.boards.create("capped", max_holds=2)
    add(store, "A", "B", "C", board="capped")
    answer = do(store, "take", "A", "B", "C", board="capped")
    assert [each.code for each in answer.outcomes] == ["ok", "ok", "limit_reached"]
    given = do(store, "reassign", "C", board="capped", to=ANA, actor=BEN)
    assert given.outcomes[0].code == "limit_reached"
    assert do(store, "take", "A", board="capped").outcomes[0].code == "ok"  # holds it already
    do(store, "pause", "A", board="capped")
    assert do(store, "take", "C", board="capped").outcomes[0].changed


def test_workers_whose_ids_begin_alike_have_holds_of_their_own(services: Services) -> None:
    store = services.store
    add(store, "A", "B", "C")
    for tag, worker in (("A", "9"), ("B", "93"), ("C", "9-3")):
        do(store, "take", tag, actor=Person(worker, worker))
    for tag, worker in (("A", "9"), ("B", "93"), ("C", "9-3")):
        found = store.queries.snapshot("main", holder=worker)
        assert found is not None
        assert [json.loads(each)["tag"] for each in found.items] == [tag]


# What an operation does to reason and time


def test_what_release_and_unblock_go_back_to_has_its_reason_again(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    do(store, "pause", "A", reason="lunch")
    do(store, "take", "A", actor=BEN)
    assert item_of(store, "A")["reason"] is None
    do(store, "release", "A", actor=BEN)
    assert (item_of(store, "A")["state"], item_of(store, "A")["reason"]) == ("paused", "lunch")
    do(store, "block", "A", reason="crack")
    assert item_of(store, "A")["reason"] == "crack"
    do(store, "unblock", "A")
    assert (item_of(store, "A")["state"], item_of(store, "A")["reason"]) == ("paused", "lunch")


def test_what_was_occupied_is_paused_after_a_block(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    do(store, "block", "A", reason="crack")
    assert item_of(store, "A")["holder"] is None
    do(store, "unblock", "A")
    assert (item_of(store, "A")["state"], item_of(store, "A")["reason"]) == ("paused", None)


def test_reassigning_keeps_since_and_leaves_no_moment_free(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    since = item_of(store, "A")["since"]
    gevent.sleep(0.003)  # so that another since would be another text
    do(store, "reassign", "A", to=BEN, reason="shift")
    view = item_of(store, "A")
    assert (view["since"], view["holder"]["id"], view["epoch"]) == (since, BEN.id, 2)
    assert do(store, "pause", "A").outcomes[0].code == "not_holder"


def test_time_is_counted_for_work_and_not_for_a_mistaken_take(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    gevent.sleep(0.005)
    do(store, "release", "A")
    assert item_of(store, "A")["worked_s"] == 0
    do(store, "take", "A")
    gevent.sleep(0.005)
    do(store, "pause", "A")
    worked = item_of(store, "A")["worked_s"]
    assert worked > 0
    do(store, "take", "A", actor=BEN)
    gevent.sleep(0.005)
    do(store, "force-release", "A", reason="x")
    assert item_of(store, "A")["worked_s"] > worked


def test_an_epoch_never_comes_back_though_the_item_is_removed(services: Services) -> None:
    store = services.store
    add(store, "A", "B")
    seen: set[int] = set()
    for _ in range(4):
        do(store, "take", "A")
        epoch = item_of(store, "A")["epoch"]
        assert epoch not in seen
        seen.add(epoch)
        do(store, "release", "A")
        version = item_of(store, "A")["version"]
        do(store, "remove", "A")
        add(store, "A")
        assert item_of(store, "A")["version"] > version


@pytest.mark.parametrize("text", ['"', "\\", "\u2028", "日本", "]]", "%s", "{}", "'"])
def test_texts_come_back_as_they_went_in(services: Services, text: str) -> None:
    store = services.store
    person = Person("w9", f"name {text}")
    attributes = {"a": text, "empty": {}, "list": [], "big": 12345678901234567890, "f": 0.1}
    add(store, "A", title=json.dumps(text), attributes=json.dumps(attributes))
    do(store, "take", "A", actor=person)
    do(store, "pause", "A", actor=person, reason=text)
    view = item_of(store, "A")
    assert (view["title"], view["reason"], view["attributes"]) == (text, text, attributes)
    given = Preconditions(idempotency_key=text, fingerprint=text)
    first = do(store, "take", "A", actor=person, preconditions=given)
    again = do(store, "take", "A", actor=person, preconditions=given)
    assert again.outcomes == first.outcomes
    assert json.loads(first.outcomes[0].item)["holder"]["name"] == person.name


# Adding many


def test_a_dry_run_says_what_would_happen_and_writes_nothing(services: Services) -> None:
    store = services.store
    add(store, "A", title='"one"')
    kept = everything(services)
    rows = [("A", {"title": '"one"'}), ("A", {"title": '"two"'}), ("B", {})]
    outcomes = list(store.commands.put_many("main", rows, actor=ANA, dry_run=True))
    assert [(each.code, each.changed) for each in outcomes] == [
        ("ok", False), ("ok", True), ("added", True),
    ]  # fmt: skip
    assert do(store, "take", "A", dry_run=True).outcomes[0].changed
    assert everything(services) == kept


@pytest.mark.thorough
def test_many_items_are_added_in_order_over_several_round_trips(services: Services) -> None:
    store = services.store
    rows = [(f"T-{number:04}", {"title": f'"{number}"'}) for number in range(250)]
    assert {each.code for each in store.commands.put_many("main", iter(rows), actor=ANA)} == {
        "added"
    }
    assert {each.changed for each in store.commands.put_many("main", rows, actor=ANA)} == {False}
    assert seqs_of(store) == list(range(1, 251))
    assert store.boards.get("main").counts["available"] == 250
    assert list(store.commands.put_many("main", [], actor=ANA)) == []


# Snapshots


def test_pages_of_any_size_give_every_item_once_and_in_order(services: Services) -> None:
    store = services.store
    tags = sorted(["a", "A", "a.b", "a-b", "a:b", "a_b", "Z", "0", *map(str, range(10, 30))])
    add(store, *tags)
    do(store, "take", *tags[::3])
    held = tags[::3]
    for limit in (1, 2, 7, len(tags) - 1, len(tags), len(tags) + 1):
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({}, tags),
            ({"state": "occupied"}, held),
            ({"holder": ANA.id}, held),
            ({"holder": ANA.id, "state": "paused"}, []),
        ]
        for filters, wanted in cases:
            found: list[str] = []
            page = None
            while True:
                snapshot = store.queries.snapshot("main", limit=limit, page=page, **filters)
                assert snapshot is not None
                assert len(snapshot.items) <= limit
                found += [json.loads(each)["tag"] for each in snapshot.items]
                page = snapshot.next
                if page is None:
                    break
            assert found == wanted, (limit, filters)


def test_the_text_is_found_in_tag_title_and_holder_whatever_its_case(services: Services) -> None:
    store = services.store
    add(store, "SPOOL-1", title='"Señal \\"X\\""')
    add(store, "B", title='"zzz"', attributes='{"area":"spool"}')
    do(store, "take", "B")

    def found(text: str) -> list[str]:
        snapshot = store.queries.snapshot("main", text=text)
        assert snapshot is not None
        return [json.loads(each)["tag"] for each in snapshot.items]

    assert found("spool") == ["SPOOL-1"]  # and not what stands in the attributes
    assert found("SEÑAL") == ["SPOOL-1"]
    assert found('"x"') == ["SPOOL-1"]
    assert found("worker 0") == found("W0") == ["B"]
    assert found("state") == []


LARGE = 3


@pytest.fixture
def large_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards are large from a few items on."""
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", LARGE)


@pytest.mark.usefixtures("large_boards")
@pytest.mark.parametrize("count", [LARGE - 1, LARGE, LARGE + 1])
def test_a_large_board_has_the_same_snapshot_as_a_small_one(services: Services, count: int) -> None:
    store = services.store
    tags = ["b", "A", "a-1", "B"][:count]
    cursor = add(store, *tags).cursor
    snapshot = store.queries.snapshot("main")
    assert snapshot is not None
    assert [json.loads(each)["tag"] for each in snapshot.items] == sorted(tags)
    assert (snapshot.cursor, snapshot.seq, snapshot.next) == (cursor, count, None)
    assert store.queries.snapshot("main", known_cursor=cursor) is None


@pytest.mark.usefixtures("large_boards")
def test_a_large_board_beyond_the_limit_has_pages(services: Services) -> None:
    store = services.store
    add(store, "A", "B", "C", "D")
    first = store.queries.snapshot("main", limit=3)
    assert first is not None
    assert (len(first.items), first.next is None) == (3, False)
    rest = store.queries.snapshot("main", limit=3, page=first.next)
    assert rest is not None
    assert (len(rest.items), rest.next) == (1, None)


@pytest.mark.usefixtures("large_boards")
@pytest.mark.parametrize("meanwhile", ["emptied", "grown"])
def test_a_large_board_that_changes_after_it_was_counted(
    services: Services, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    store = services.store
    store.boards.create("line")
    add(store, "A", "B", "C", board="line")
    keys, whole = store.keys.board("line"), store.queries.whole

    def changed(*args: Any) -> Any:
        if meanwhile == "emptied":
            store.client.delete(keys.board, keys.by_tag, keys.view)  # the server was emptied
        else:
            add(store, "D", board="line")
        return whole(*args)

    monkeypatch.setattr(store.queries, "whole", changed)
    if meanwhile == "emptied":
        with pytest.raises(BoardNotFound):
            store.queries.snapshot("line", limit=3)
    else:
        snapshot = store.queries.snapshot("line", limit=3)
        assert snapshot is not None
        assert (len(snapshot.items), snapshot.next is None) == (3, False)


def test_a_snapshot_is_not_sent_again_while_nothing_has_changed(services: Services) -> None:
    store = services.store
    empty = store.queries.snapshot("main")
    assert empty is not None
    assert (empty.cursor, empty.seq, empty.items, empty.next) == ("0-0", 0, [], None)
    assert store.queries.snapshot("main", known_cursor="0-0") is None
    cursor = add(store, "A").cursor
    assert store.queries.snapshot("main", known_cursor="0-0") is not None
    assert store.queries.snapshot("main", known_cursor=cursor) is None


@pytest.mark.parametrize("page", ["", "%", "not-base64!", "AA", "e30", "w7w", "LWE", "YQphYg"])
def test_a_page_token_that_is_none_is_refused(services: Services, page: str) -> None:
    add(services.store, "A")
    if page:
        with pytest.raises(InvalidRequest):
            services.store.queries.snapshot("main", page=page)
        with pytest.raises(InvalidRequest):
            services.store.queries.history("main", "A", limit=1, page=page)


@pytest.mark.parametrize("text", ["0-0", "18446744073709551616-0", "99999999999999999999-0"])
def test_a_made_up_page_token_of_a_history_is_refused_or_empty(
    services: Services, text: str
) -> None:
    add(services.store, "A")
    token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    try:
        events, following = services.store.queries.history("main", "A", limit=1, page=token)
    except InvalidRequest:
        return
    assert following is None
    assert len(events) <= 1


@pytest.mark.parametrize("large", [LARGE, 500])
def test_a_snapshot_and_the_log_from_its_cursor_make_the_present(
    real_services: Services, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", large)
    store = real_services.store
    tags = [f"T-{number}" for number in range(20)]
    add(store, *tags)
    is_over = False

    def change(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(60):
            operation = dice.choice(["take", "release", "pause", "remove", "put"])
            tag = dice.choice(tags)
            if operation == "put":
                add(store, tag, title=f'"{dice.random()}"')
            else:
                do(store, operation, tag, actor=WORKERS[seed])

    snapshots = []

    def look() -> None:
        while not is_over:
            snapshots.append(store.queries.snapshot("main"))
            gevent.sleep(0)

    writers = [gevent.spawn(change, seed) for seed in range(4)]
    reader = gevent.spawn(look)
    gevent.joinall(writers, raise_error=True)
    is_over = True
    reader.get(timeout=10)
    last = store.queries.snapshot("main")
    assert last is not None
    present = {json.loads(each)["tag"]: json.loads(each) for each in last.items}
    assert len(snapshots) > 5
    for snapshot in snapshots[:: max(1, len(snapshots) // 20)]:
        assert snapshot is not None
        items = {json.loads(each)["tag"]: json.loads(each) for each in snapshot.items}
        replay = store.log.replay("main", snapshot.cursor, 10_000)
        assert replay.is_known
        for number, entry in enumerate(replay.entries, snapshot.seq + 1):
            event = json.loads(entry.event)
            assert event["seq"] == number
            items[event["item"]["tag"]] = event["item"]
            if event["type"] == "item.removed":
                del items[event["item"]["tag"]]
        assert items == present


# The log


def test_the_log_is_read_in_pieces_from_any_cursor(services: Services) -> None:
    store = services.store
    assert store.log.replay("main", "0-0", 10).is_known  # an empty board: nothing was missed
    add(store, *[f"T-{number}" for number in range(25)])
    found, cursor = [], "0-0"
    while entries := store.log.replay("main", cursor, 10).entries:
        assert len(entries) <= 10
        found += [entry.seq for entry in entries]
        cursor = entries[-1].cursor
    assert found == list(range(1, 26))
    head = store.log.head("main")
    assert (head.head_cursor, head.head_seq, head.entries) == (cursor, 25, [])
    assert store.log.replay("main", cursor, 10).is_known


@pytest.mark.parametrize(
    "cursor",
    [
        "1-1", "1763838000123-0", "9999999999999-0", "18446744073709551615-18446744073709551615",
        "0-1",
    ],
)  # fmt: skip
def test_a_cursor_that_is_not_in_the_log_is_unknown(services: Services, cursor: str) -> None:
    add(services.store, "A")
    replay = services.store.log.replay("main", cursor, 10)
    assert not replay.is_known
    assert replay.entries == []
    assert replay.head_seq == 1


def test_a_cursor_of_another_board_is_unknown(services: Services) -> None:
    services.store.boards.create("other")
    cursor = add(services.store, "A").cursor
    add(services.store, "A", board="other")
    add(services.store, "B", board="other")
    if cursor not in [e.cursor for e in services.store.log.replay("other", "0-0", 10).entries]:
        assert not services.store.log.replay("other", cursor, 10).is_known


@pytest.mark.thorough
def test_the_log_and_the_history_are_kept_to_about_their_settings(services: Services) -> None:
    store = bounded(services, log_entries=100, history_entries=50)
    add(store, "A")
    first = store.log.head("main").head_cursor
    rows = [("A", {"title": f'"{number}"'}) for number in range(400)]
    list(store.commands.put_many("main", rows, actor=ANA))
    keys = store.keys.board("main")
    client: Any = store.client
    assert 100 <= client.xlen(keys.log) <= 300  # whole nodes of 100 are dropped
    assert 50 <= client.xlen(keys.history("A")) <= 250
    assert not store.log.replay("main", "0-0", 10).is_known
    assert not store.log.replay("main", first, 10).is_known
    head = store.log.head("main")
    assert head.head_seq == 401
    kept = client.xrange(keys.log, count=1)[0][0].decode()
    replay = store.log.replay("main", kept, 10_000)
    assert replay.is_known
    assert [each.seq for each in replay.entries] == list(range(402 - len(replay.entries), 402))


def test_the_history_is_paged_newest_first_and_outlives_the_item(services: Services) -> None:
    store = services.store
    add(store, "A")
    for _ in range(5):
        do(store, "take", "A")
        do(store, "release", "A")
    do(store, "remove", "A")
    found: list[int] = []
    page = None
    while True:
        events, page = store.queries.history("main", "A", limit=4, page=page)
        found += [json.loads(each)["seq"] for each in events]
        if page is None:
            break
    assert found == list(range(12, 0, -1))
    client: Any = store.client
    history = store.keys.board("main").history("A")
    assert 0 < client.ttl(history) <= 30 * 24 * 3600
    add(store, "A")
    assert client.ttl(history) == -1
    with pytest.raises(ItemNotFound):
        store.queries.history("main", "NEVER", limit=1)
    with pytest.raises(ItemNotFound):
        store.queries.item("main", "NEVER")


# Idempotency


def test_the_same_key_sent_twenty_times_at_once_changes_once(services: Services) -> None:
    store = services.store
    add(store, "A")
    given = Preconditions(idempotency_key="key", fingerprint="take A")
    senders = [gevent.spawn(do, store, "take", "A", preconditions=given) for _ in range(20)]
    gevent.joinall(senders, raise_error=True)
    answers = [each.value for each in senders]
    assert sum(not each.is_replayed for each in answers) == 1
    assert {each.outcomes[0].item for each in answers} == {answers[0].outcomes[0].item}
    assert all(each.outcomes[0].changed for each in answers)
    assert seqs_of(store) == [1, 2]


def test_the_first_answer_stands_whatever_has_happened_since(services: Services) -> None:
    store = services.store
    add(store, "A")
    given = Preconditions(idempotency_key="key", fingerprint="f")
    first = do(store, "take", "A", preconditions=given)
    do(store, "release", "A")
    again = do(store, "take", "A", preconditions=given)
    assert again.is_replayed
    assert again.outcomes == first.outcomes
    assert item_of(store, "A")["state"] == "available"


def test_a_refusal_is_kept_too(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A", actor=BEN)
    given = Preconditions(idempotency_key="key", fingerprint="f")
    assert do(store, "take", "A", preconditions=given).outcomes[0].code == "held"
    do(store, "release", "A", actor=BEN)
    assert do(store, "take", "A", preconditions=given).outcomes[0].code == "held"


def test_a_key_used_for_another_request_is_refused(services: Services) -> None:
    store = services.store
    add(store, "A", "B")
    do(store, "take", "A", preconditions=Preconditions(idempotency_key="key", fingerprint="f"))
    kept = everything(services)
    with pytest.raises(IdempotencyKeyReused):
        do(store, "take", "B", preconditions=Preconditions(idempotency_key="key", fingerprint="g"))
    assert everything(services) == kept


def test_keys_of_different_workers_have_nothing_to_do_with_each_other(services: Services) -> None:
    store = services.store
    add(store, "A")
    given = Preconditions(idempotency_key="key", fingerprint="f")
    do(store, "take", "A", preconditions=given)
    assert do(store, "take", "A", actor=BEN, preconditions=given).outcomes[0].code == "held"
    record: Any = store.client.ttl(store.keys.board("main").idempotency(ANA.id, "key"))
    assert 23 * 3600 < record <= 24 * 3600


# Double occupancy


def test_of_fifty_that_take_the_same_item_at_once_one_wins(real_services: Services) -> None:
    store = real_services.store
    for round_ in range(5):
        tag = f"T-{round_}"
        add(store, tag)
        people = [Person(f"p{number}", f"P {number}") for number in range(50)]
        takers = [gevent.spawn(do, store, "take", tag, actor=person) for person in people]
        gevent.joinall(takers, raise_error=True)
        outcomes = [each.value.outcomes[0] for each in takers]
        winners = [p for p, o in zip(people, outcomes, strict=True) if o.code == "ok"]
        assert len(winners) == 1
        assert {each.code for each in outcomes} == {"ok", "held"}
        for each in outcomes:
            assert json.loads(each.item)["holder"]["id"] == winners[0].id
        assert item_of(store, tag)["epoch"] == 1


def test_an_item_is_never_in_two_hands_whatever_happens_at_once(real_services: Services) -> None:
    store = real_services.store
    add(store, "A")
    inside: list[str] = []
    takes = 0

    def work(number: int) -> None:
        nonlocal takes
        me = Person(f"p{number}", f"P {number}")
        dice = random.Random(number)
        for _ in range(15):
            outcome = do(store, "take", "A", actor=me).outcomes[0]
            if outcome.code == "ok":
                inside.append(me.id)
                assert inside == [me.id]
                takes += 1
                gevent.sleep(0)
                assert inside == [me.id]
                inside.remove(me.id)
                assert (
                    do(store, dice.choice(["pause", "release"]), "A", actor=me).outcomes[0].changed
                )

    workers = [gevent.spawn(work, number) for number in range(12)]
    gevent.joinall(workers, raise_error=True)
    assert takes > 0
    assert item_of(store, "A")["epoch"] == 2 * takes
    assert seqs_of(store) == list(range(1, 2 * takes + 2))


# Dates


def test_the_dates_that_the_script_writes_are_right(valkey_services: Services) -> None:
    source = (LUA / "operate" / "request.lua").read_text()
    found = re.search(r"^local function iso\(ms\).*?^end$", source, re.DOTALL | re.MULTILINE)
    assert found is not None
    script = found.group() + (
        "\nlocal dates = {} for index, ms in ipairs(ARGV) do dates[index] = iso(tonumber(ms)) end"
        "\nreturn dates"
    )
    dice = random.Random(3)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    days = [
        datetime(year, month, day, tzinfo=UTC)
        for year in (1970, 1972, 1999, 2000, 2024, 2026, 2100, 2400, 9999)
        for month, day in ((1, 1), (2, 28), (3, 1), (12, 31))
    ] + [datetime(year, 2, 29, tzinfo=UTC) for year in (1972, 2000, 2024, 2028, 2400)]
    moments = [(day - epoch) // timedelta(milliseconds=1) for day in days]
    moments += [moment + offset for moment in moments for offset in (-1, 86_399_999) if moment]
    moments += [dice.randrange(253_402_300_800_000) for _ in range(3000)]
    moments = [moment for moment in moments if moment < 253_402_300_800_000]
    dates: Any = valkey_services.store.client.execute_command("EVAL", script, 0, *moments)
    for moment, date in zip(moments, dates, strict=True):
        expected = (epoch + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
        assert date.decode() == expected.replace("+00:00", "Z"), moment


def test_the_date_of_an_event_is_that_of_its_entry(real_services: Services) -> None:
    cursor = add(real_services.store, "A").cursor
    entry = real_services.store.log.replay("main", "0-0", 1).entries[0]
    event = json.loads(entry.event)
    written = datetime.fromtimestamp(int(cursor.partition("-")[0]) / 1000, tz=UTC)
    assert abs(datetime.fromisoformat(event["at"]) - written) < timedelta(seconds=1)
    assert event["item"]["since"] == event["at"]


# Boards


def test_main_is_there_from_the_start_and_others_are_made(services: Services) -> None:
    store = services.store
    assert [board.board for board in store.boards.all()] == ["main"]
    made = store.boards.create("b", title="Línea", steps=["x", "y"], max_holds=3)
    assert (made.title, made.steps, made.max_holds, made.seq) == ("Línea", ["x", "y"], 3, 0)
    assert made.counts == dict.fromkeys(STATES, 0)
    assert [board.board for board in store.boards.all()] == ["b", "main"]
    with pytest.raises(AlreadyExists):
        store.boards.create("b")
    assert store.boards.get("b") == made


def test_main_may_be_given_steps_while_it_is_empty(services: Services) -> None:
    store = services.store
    assert store.boards.create("main", steps=["x", "y"]).steps == ["x", "y"]
    add(store, "A")
    assert item_of(store, "A")["step"] == "x"
    assert [board.board for board in store.boards.all()] == ["main"]


def test_main_with_items_keeps_its_step(services: Services) -> None:
    add(services.store, "A")
    with pytest.raises(AlreadyExists):
        services.store.boards.create("main", steps=["x", "y"])


def test_of_many_that_create_a_board_at_once_one_wins(real_services: Services) -> None:
    store = real_services.store

    def create(number: int) -> bool:
        try:
            store.boards.create("b", steps=[f"s{number}"], title=f"t{number}")
        except AlreadyExists:
            return False
        return True

    makers = [gevent.spawn(create, number) for number in range(10)]
    gevent.joinall(makers, raise_error=True)
    (winner,) = [number for number, each in enumerate(makers) if each.value]
    assert store.boards.get("b").steps == [f"s{winner}"]
    assert store.boards.get("b").title == f"t{winner}"


def test_boards_share_nothing(services: Services) -> None:
    store = services.store
    store.boards.create("b")
    add(store, "A")
    add(store, "A", board="b")
    do(store, "take", "A")
    assert item_of(store, "A", "b")["state"] == "available"
    assert (seqs_of(store), seqs_of(store, "b")) == ([1, 2], [1])

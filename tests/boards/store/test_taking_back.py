"""Taking back: undo of a completion by who made it, and send-back to an earlier step."""

from __future__ import annotations

import json
from typing import Any

import gevent
import pytest

from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.records import Preconditions
from occupancy.boards.refusals import refusal
from occupancy.boards.store import Store
from occupancy.core.entities import Person
from occupancy.core.transitions import RENAME, TRANSITIONS
from occupancy.services import Services
from tests.boards.store.changes import ANA, BEN, add, do, everything, item_of

LINE = ("ARM", "SOLD", "METROLOGIA")


@pytest.fixture
def store(services: Services) -> Store:
    """With the board ``line``, where ana has taken A."""
    services.store.boards.create("line", steps=LINE)
    add(services.store, "A", board="line")
    on_line(services.store, "take")
    return services.store


def on_line(store: Store, operation: str, tag: str = "A", **options: Any) -> str:
    """The outcome of an operation on the line: its code, or ``unchanged``."""
    (outcome,) = do(store, operation, tag, board="line", **options).outcomes
    return "unchanged" if outcome.is_done and not outcome.changed else outcome.code


def detail(store: Store, operation: str, tag: str = "A", **options: Any) -> str:
    """What a refused worker reads."""
    (outcome,) = do(store, operation, tag, board="line", **options).outcomes
    return refusal("line", TRANSITIONS[operation], outcome).detail


def stored(store: Store, tag: str = "A") -> dict[bytes, bytes]:
    client: Any = store.client
    found: dict[bytes, bytes] = client.hgetall(store.keys.board("line").item(tag))
    return found


def shift(store: Store, by_ms: int) -> None:
    """Make the item's last change as old as if ``by_ms`` more had passed."""
    since_ms = int(stored(store)[b"since_ms"]) - by_ms
    store.client.hset(store.keys.board("line").item("A"), "since_ms", since_ms)


# Undo


@pytest.mark.parametrize("completions", [1, 2, 3])
def test_undo_gives_the_item_back_as_it_was_held(store: Store, completions: int) -> None:
    for _ in range(completions - 1):
        on_line(store, "complete")
        on_line(store, "take")
    shift(store, 5000)
    on_line(store, "pause")
    on_line(store, "take")
    before = item_of(store, "A", "line")
    assert before["worked_s"] >= 5
    on_line(store, "complete")
    completed = item_of(store, "A", "line")
    assert on_line(store, "undo") == "ok"
    assert item_of(store, "A", "line") == {
        **before, "epoch": completed["epoch"] + 1, "version": completed["version"] + 1,
    }  # fmt: skip
    event = json.loads(store.log.replay("line", "0-0", 100).entries[-1].event)
    assert (event["type"], event["item"]) == ("item.undone", item_of(store, "A", "line"))


def test_the_time_between_completion_and_undo_counts_as_work(store: Store) -> None:
    on_line(store, "complete")
    shift(store, 40_000)
    began_ms, *_ = stored(store)[b"undo"].split(b"|")[1:]
    earlier = stored(store)[b"undo"].replace(began_ms, b"%d" % (int(began_ms) - 40_000))
    store.client.hset(store.keys.board("line").item("A"), "undo", earlier)
    assert on_line(store, "undo") == "ok"
    on_line(store, "pause")
    assert item_of(store, "A", "line")["worked_s"] >= 40


def test_release_after_undo_restores_what_was_before_the_take(store: Store) -> None:
    on_line(store, "pause", reason="no gas")
    on_line(store, "take")
    on_line(store, "complete")
    on_line(store, "undo")
    on_line(store, "release")
    item = item_of(store, "A", "line")
    assert (item["state"], item["step"], item["reason"]) == ("paused", "ARM", "no gas")


def test_the_reason_of_a_reassign_is_back_after_undo(store: Store) -> None:
    on_line(store, "reassign", to=BEN, reason="knows | it\n")
    on_line(store, "complete", actor=BEN)
    assert on_line(store, "undo", actor=BEN) == "ok"
    item = item_of(store, "A", "line")
    assert (item["holder"]["id"], item["reason"]) == (BEN.id, "knows | it\n")


def test_undo_is_possible_for_60_seconds(store: Store) -> None:
    on_line(store, "complete")
    shift(store, 61_000)
    assert on_line(store, "undo") == "undo_late"
    assert "more than 60 seconds ago" in detail(store, "undo")
    shift(store, -5_000)
    assert on_line(store, "undo") == "ok"


def test_undo_is_for_who_completed_only(store: Store) -> None:
    on_line(store, "complete")
    assert on_line(store, "undo", actor=BEN) == "undo_others"
    assert "Somebody else has completed A" in detail(store, "undo", actor=BEN)
    assert on_line(store, "undo") == "ok"


@pytest.mark.parametrize(
    ("touch", "code"),
    [
        (["take"], "held"),
        (["take", "release"], "undo_touched"),
        (["take", "pause"], "wrong_state"),
        (["block"], "blocked"),
        (["block", "unblock"], "undo_touched"),
        (["put"], "undo_touched"),
        (["send-back"], "undo_touched"),
        (["take", "complete"], "undo_others"),
        (["remove", "put"], "undo_touched"),
    ],
    ids=str,
)
def test_undo_is_refused_once_somebody_has_touched_the_item(
    store: Store, touch: list[str], code: str
) -> None:
    on_line(store, "complete")
    for operation in touch:
        if operation == "put":
            add(store, "A", board="line", title='"New"')
        else:
            assert on_line(store, operation, actor=BEN, reason="x", step="ARM") == "ok"
    kept = stored(store)
    assert on_line(store, "undo") == code
    assert stored(store) == kept
    assert detail(store, "undo").endswith(".")


def test_undo_of_what_nobody_completed_is_refused(store: Store) -> None:
    on_line(store, "release")
    assert on_line(store, "undo") == "undo_touched"
    assert "nobody has completed it" in detail(store, "undo")


def test_an_item_completed_before_there_was_undo_is_refused(store: Store) -> None:
    on_line(store, "complete")
    store.client.hdel(store.keys.board("line").item("A"), "undo")
    assert on_line(store, "undo") == "undo_touched"


def test_what_an_older_process_left_behind_is_not_undone(store: Store) -> None:
    """It changes the item and keeps the field, which has another version then."""
    on_line(store, "complete")
    left = stored(store)[b"undo"]
    on_line(store, "take")
    on_line(store, "release")
    store.client.hset(store.keys.board("line").item("A"), "undo", left)
    assert on_line(store, "undo") == "undo_touched"


def test_undo_is_not_to_a_step_that_the_board_no_longer_has(store: Store) -> None:
    on_line(store, "complete")
    store.client.hset(store.keys.board("line").board, "steps", '["SOLD", "METROLOGIA"]')
    assert on_line(store, "undo") == "undo_touched"


def test_a_repeated_undo_changes_nothing_and_is_no_second_one(
    store: Store, services: Services
) -> None:
    on_line(store, "complete")
    on_line(store, "undo")
    kept = everything(services)
    assert on_line(store, "undo") == "unchanged"
    assert everything(services) == kept
    on_line(store, "complete")
    assert on_line(store, "undo") == "ok"


def test_an_undo_with_its_key_again_gets_its_first_answer(store: Store) -> None:
    on_line(store, "complete")
    key = Preconditions(idempotency_key="k", fingerprint="f" * 32)
    first = do(store, "undo", "A", board="line", preconditions=key)
    on_line(store, "pause")
    again = do(store, "undo", "A", board="line", preconditions=key)
    assert again.is_replayed
    assert again.outcomes == first.outcomes


def test_what_undo_needs_is_dropped_by_the_next_change(store: Store) -> None:
    assert b"undo" not in stored(store), "other operations keep nothing"
    on_line(store, "complete")
    assert stored(store)[b"undo"]
    on_line(store, "take")
    assert stored(store)[b"undo"] == b""


def test_undo_keeps_to_the_boards_limit_of_holds(services: Services) -> None:
    store = services.store
    store.boards.create("capped", max_holds=1)
    add(store, "A", "B", board="capped")
    do(store, "take", "A", board="capped")
    do(store, "complete", "A", board="capped")
    do(store, "take", "B", board="capped")
    assert do(store, "undo", "A", board="capped").outcomes[0].code == "limit_reached"
    do(store, "release", "B", board="capped")
    assert do(store, "undo", "A", board="capped").outcomes[0].code == "ok"


def test_an_undone_completion_is_not_counted(store: Store) -> None:
    for _ in range(2):
        on_line(store, "complete")
        on_line(store, "undo")
    on_line(store, "complete")
    assert store.timelines.get("line", hours=1).points[-1].completions == 1


def test_undo_shows_the_name_that_the_worker_has_now(store: Store) -> None:
    on_line(store, "complete")
    renamed = Person(ANA.id, "Ana María")
    assert on_line(store, "undo", actor=renamed) == "ok"
    assert item_of(store, "A", "line")["holder"]["name"] == "Ana María"
    command = Command("line", RENAME, ["A"], renamed, to=Person(ANA.id, "Ana"))
    assert store.commands.execute(command).outcomes[0].changed


def test_after_a_promotion_undo_counts_on_from_its_floor(store: Store) -> None:
    on_line(store, "complete")
    store.client.hset(store.keys.board("line").board, "incarnation", 7)
    assert on_line(store, "undo") == "ok"
    item = item_of(store, "A", "line")
    assert item["epoch"] > 7e9
    assert item["version"] > 7e9
    assert item["holder"]["id"] == ANA.id


@pytest.mark.parametrize("rival", ["take", "undo", "send-back"])
def test_of_undo_and_what_comes_at_the_same_time_exactly_one_wins(
    real_services: Services, rival: str
) -> None:
    store = real_services.store
    store.boards.create("line", steps=LINE)
    tags = [f"T-{number}" for number in range(20)]
    add(store, *tags, board="line")
    do(store, "take", *tags, board="line")
    do(store, "complete", *tags, board="line")
    for number, tag in enumerate(tags):
        options: dict[str, Any] = {"actor": BEN, "step": "ARM", "reason": "x"}
        if rival == "undo":
            options = {}
        racers = [
            gevent.spawn(do, store, "undo", tag, board="line"),
            gevent.spawn(do, store, rival, tag, board="line", **options),
        ]
        racers = racers if number % 2 else racers[::-1]
        gevent.joinall(racers, timeout=20, raise_error=True)
        changed = [each.value.outcomes[0].changed for each in racers]
        assert sum(changed) == 1
        event = store.log.replay("line", "0-0", 1000).entries[-1].event
        assert json.loads(event)["item"] == item_of(store, tag, "line")
    assert Reconciler(store).run("line", repair=False).problems == []


# Send-back


@pytest.mark.parametrize("state", ["available", "paused", "completed"])
def test_send_back_puts_an_item_without_holder_at_an_earlier_step(store: Store, state: str) -> None:
    on_line(store, "complete")
    on_line(store, "take")
    shift(store, 3000)
    if state == "paused":
        on_line(store, "pause")
    else:
        on_line(store, "complete")
    if state == "completed":
        on_line(store, "take")
        on_line(store, "complete")
    before = item_of(store, "A", "line")
    assert before["state"] == state
    assert on_line(store, "send-back", actor=BEN, step="ARM", reason="porous") == "ok"
    item = item_of(store, "A", "line")
    assert item["since"] >= before["since"]
    assert item == {
        **before, "state": "available", "step": "ARM", "reason": "porous", "worked_s": 0,
        "since": item["since"], "version": before["version"] + 1,
    }  # fmt: skip


def test_the_reason_of_a_send_back_is_back_after_a_released_take(store: Store) -> None:
    on_line(store, "complete")
    on_line(store, "send-back", actor=BEN, step="ARM", reason="porous")
    on_line(store, "take")
    assert item_of(store, "A", "line")["reason"] is None
    on_line(store, "release")
    assert item_of(store, "A", "line")["reason"] == "porous"


@pytest.mark.parametrize("step", ["SOLD", "METROLOGIA", "PINTURA"])
def test_a_step_that_is_not_earlier_is_refused_with_those_that_are(store: Store, step: str) -> None:
    on_line(store, "complete")
    on_line(store, "take")
    on_line(store, "pause")
    on_line(store, "take", actor=BEN)
    on_line(store, "complete", actor=BEN)
    on_line(store, "send-back", actor=BEN, step="SOLD", reason="x")
    kept = stored(store)
    assert on_line(store, "send-back", step=step, reason="x") in ("not_earlier", "unknown_step")
    said = detail(store, "send-back", step=step, reason="x")
    assert said == "step must be one of the steps before SOLD: ARM."
    assert stored(store) == kept


def test_nothing_is_sent_back_from_the_first_step(store: Store) -> None:
    on_line(store, "release")
    said = detail(store, "send-back", step="ARM", reason="x")
    assert said == "step must be one of the steps before ARM: there is none."


def test_who_holds_an_item_is_named_to_who_would_send_it_back(store: Store) -> None:
    assert on_line(store, "send-back", actor=BEN, step="ARM", reason="x") == "held"
    assert ANA.name in detail(store, "send-back", actor=BEN, step="ARM", reason="x")


def test_a_blocked_item_is_not_sent_back(store: Store) -> None:
    on_line(store, "complete")
    on_line(store, "block", reason="crack")
    assert on_line(store, "send-back", step="ARM", reason="x") == "blocked"


def test_an_item_at_a_step_that_the_board_no_longer_has_can_be_sent_to_any(store: Store) -> None:
    on_line(store, "release")
    store.client.hset(store.keys.board("line").board, "steps", '["SOLD", "METROLOGIA"]')
    assert on_line(store, "send-back", step="METROLOGIA", reason="x") == "ok"


def test_each_item_of_a_batch_is_sent_back_or_refused_by_itself(store: Store) -> None:
    add(store, "B", board="line")
    on_line(store, "complete")
    answer = do(store, "send-back", "A", "B", board="line", step="ARM", reason="x")
    assert [each.code for each in answer.outcomes] == ["ok", "not_earlier"]
    assert [each.steps for each in answer.outcomes] == [(), LINE]

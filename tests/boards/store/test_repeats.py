"""Operations whose effect stands already: they change nothing and make no event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from occupancy.boards.records import Outcome
from occupancy.services import Services
from tests.boards.store.changes import BEN, add, do, everything, item_of


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
        (["take", "complete"], "undo", {}),
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

"""Refusals of the store leave no trace, and preconditions and caps refuse what they should."""

from __future__ import annotations

import json

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.records import Preconditions
from occupancy.core.entities import Person
from occupancy.core.errors import (
    BoardNotFound,
)
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.boards.store.changes import ANA, BEN, add, do, everything


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

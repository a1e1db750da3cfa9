"""Boards are created once, with their steps, and share nothing."""

from __future__ import annotations

import gevent
import pytest

from occupancy.core.entities import STATES
from occupancy.core.errors import (
    AlreadyExists,
)
from occupancy.services import Services
from tests.boards.store.changes import add, do, item_of, seqs_of


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

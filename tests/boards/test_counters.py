"""What counts on when items come and go: epochs and versions of a tag never come back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services

ANA = Person("ana", "Ana")


def do(services: Services, operation: str, tag: str) -> None:
    row = {"put": PUT, "remove": REMOVE}.get(operation) or TRANSITIONS[operation]
    options: dict[str, Any] = {"items": [{}]} if row is PUT else {}
    answer = services.store.commands.execute(Command("main", row, [tag], actor=ANA, **options))
    assert answer.outcomes[0].changed


def numbers(services: Services, tag: str) -> tuple[int, int]:
    item = json.loads(services.store.queries.item("main", tag))
    return item["epoch"], item["version"]


@pytest.fixture(autouse=True)
def _young_items(services: Services) -> None:
    """Items with low numbers, to be removed last."""
    for number in range(3):
        do(services, "put", f"B-{number}")


@pytest.mark.parametrize("others", [0, 1, 3])
def test_an_item_that_comes_back_counts_on_whatever_else_was_removed(
    services: Services, others: int
) -> None:
    do(services, "put", "A")
    for _ in range(3):
        do(services, "take", "A")
        do(services, "release", "A")
    epoch, version = numbers(services, "A")
    assert (epoch, version) == (6, 7)
    do(services, "remove", "A")
    for number in range(others):
        do(services, "remove", f"B-{number}")
    do(services, "put", "A")
    do(services, "take", "A")
    again_epoch, again_version = numbers(services, "A")
    assert again_epoch > epoch
    assert again_version > version

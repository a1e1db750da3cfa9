"""Streams of a real store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.live.gapless.parts import Board, Stream


@pytest.fixture
def shop(valkey_services: Services) -> Iterator[Services]:
    yield valkey_services


def add(shop: Services, *tags: str) -> None:
    actor = Person("93", "Worker 93")
    shop.store.commands.execute(Command("main", PUT, tags, actor=actor, items=[{}] * len(tags)))


def real_stream(shop: Services, cursor: str | None) -> Stream:
    return Stream(Board(shop.store.log, "main"), cursor)


def test_a_real_log_is_read_from_its_beginning(shop: Services) -> None:
    add(shop, *[f"T-{number}" for number in range(40)])
    assert real_stream(shop, "0-0").until_live().end().seqs() == list(range(1, 41))


@pytest.mark.parametrize(
    "cursor",
    [
        "1-1", "9999999999999-0", "18446744073709551615-18446744073709551615",
        "18446744073709551616-0", "0-99999999999999999999", "00-0",
    ],
)  # fmt: skip
def test_a_made_up_cursor_on_a_real_log_is_reset(shop: Services, cursor: str) -> None:
    add(shop, "A")
    stream = real_stream(shop, cursor).until_live().end()
    assert stream.kinds() == ["reset", "ready"]

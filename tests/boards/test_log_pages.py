"""Pages of a board's log: each has exactly as many entries as it was asked for, while there are."""

from __future__ import annotations

import pytest

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT
from occupancy.services import Services

ENTRIES = 12
ANA = Person("ana", "Ana")


@pytest.fixture
def cursors(services: Services) -> list[str]:
    """The cursors of a log of main, from its beginning."""
    tags = [f"T-{number}" for number in range(ENTRIES)]
    services.store.commands.execute(Command("main", PUT, tags, actor=ANA, items=[{}] * ENTRIES))
    entries = services.store.log.replay("main", "0-0", 100).entries
    assert [each.seq for each in entries] == list(range(1, ENTRIES + 1))
    return ["0-0", *(each.cursor for each in entries)]


@pytest.mark.parametrize("count", [1, 2, 5, ENTRIES - 1, ENTRIES, ENTRIES + 1])
def test_a_page_is_as_long_as_it_was_asked_for(
    services: Services, cursors: list[str], count: int
) -> None:
    for position, cursor in enumerate(cursors):
        replay = services.store.log.replay("main", cursor, count)
        assert replay.is_known
        assert [each.cursor for each in replay.entries] == cursors[position + 1 :][:count]


def test_the_beginning_of_a_log_that_was_trimmed_is_unknown(
    services: Services, cursors: list[str]
) -> None:
    services.store.client.xtrim(services.store.keys.board("main").log, maxlen=5, approximate=False)
    for cursor in cursors[: ENTRIES - 4]:
        replay = services.store.log.replay("main", cursor, 100)
        assert (replay.is_known, replay.entries) == (False, [])
    for cursor in cursors[ENTRIES - 4 :]:
        assert services.store.log.replay("main", cursor, 100).is_known

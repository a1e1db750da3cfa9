"""A damaged log refuses a change as a whole; a listing's last page names no other."""

from __future__ import annotations

import pytest
import redis

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.errors import OccupancyError
from occupancy.core.transitions import PUT
from occupancy.services import Services


def put(services: Services, *tags: str) -> None:
    actor = Person("ana", "Ana")
    command = Command("main", PUT, tags, actor=actor, items=[{}] * len(tags))
    services.store.commands.execute(command)


def test_a_log_of_another_type_refuses_a_change_before_anything_is_written(
    services: Services,
) -> None:
    keys, client = services.store.keys.board("main"), services.store.client
    client.set(keys.log, "no log")
    with pytest.raises((redis.ResponseError, OccupancyError)):
        put(services, "A")
    assert client.exists(keys.item("A"), keys.view, keys.by_tag, keys.samples) == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 6])
def test_the_last_page_of_a_listing_names_no_other(services: Services, limit: int) -> None:
    put(services, *"ABCDEF")
    lengths, page = [], None
    while True:
        snapshot = services.store.queries.snapshot("main", limit=limit, page=page)
        assert snapshot is not None
        lengths.append(len(snapshot.items))
        page = snapshot.next
        if page is None:
            break
    assert lengths == [limit] * (6 // limit)

"""Changes of items through the store, for tests that watch them."""

from __future__ import annotations

import json
from typing import Any

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services

SUPERVISOR = Person("sup", "Sup")


def change(
    shop: Services, board: str, times: int, tag: str = "T-1", title: str | None = None
) -> str:
    """Add an item and take and release it ``times`` times; returns the last cursor.

    Makes ``times + 1`` events.
    """
    fields = {} if title is None else {"title": json.dumps(title)}
    cursor = shop.store.commands.execute(
        Command(board, PUT, [tag], actor=SUPERVISOR, items=[fields])
    ).cursor
    for number in range(times):
        row = TRANSITIONS["release" if number % 2 else "take"]
        cursor = shop.store.commands.execute(Command(board, row, [tag], actor=SUPERVISOR)).cursor
    return cursor


def log_of(shop: Services, board: str) -> list[dict[str, Any]]:
    """Every event that the board's log holds, oldest first."""
    entries: Any = shop.store.client.xrange(shop.store.keys.board(board).log)
    return [json.loads(fields[b"event"]) for _, fields in entries]

"""Changes of a large board, and readings of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from occupancy.boards.commands import Command
from occupancy.boards.snapshot_cache import SnapshotResponse
from occupancy.boards.store import Store
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS

ANA = Person("ana", 'Ana "},"means":"x","item":{"tag":"A-1" \\')  # a name like an event's parts
BEN = Person("ben", "Ben {O'Hara}, ñ\u2028")
TITLES = [
    "Plain",
    '"},"item":{"tag":"A-1","title":"',
    "back\\slash\\",
    "{}[]",
    "löng " * 30,
    "\n\t",
]
TAGS = [f"{letter}{mark}{number}" for letter in "Aaz" for mark in "-.:_" for number in (1, 10, 2)]
FEW = 3


def put(store: Store, *tags: str, board: str = "main", **texts: str) -> str:
    items = [texts] * len(tags)
    return store.commands.execute(Command(board, PUT, tags, actor=ANA, items=items)).cursor


def do(store: Store, operation: str, *tags: str, board: str = "main", **options: Any) -> str:
    row = REMOVE if operation == "remove" else TRANSITIONS[operation]
    return store.commands.execute(Command(board, row, tags, **{"actor": ANA, **options})).cursor


def fresh(store: Store, board: str = "main") -> bytes:
    snapshot = store.queries.snapshot(board)
    assert snapshot is not None
    return SnapshotResponse(snapshot).plain()


def found(store: Store, board: str = "main") -> bytes:
    response = store.snapshot_cache.find(board)
    assert response is not None
    return response.plain()


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[tuple[Any, ...]]:
    """The arguments of each call of a method from now on."""
    calls: list[tuple[Any, ...]] = []
    real = getattr(owner, name)

    def call(*args: Any) -> Any:
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(owner, name, call)
    return calls


def change_at_random(store: Store, chance: random.Random) -> None:
    """One operation of any kind on some items, which may well be refused."""
    tags = chance.sample(TAGS, chance.choice([1, 1, 1, 4]))
    actor = chance.choice([ANA, BEN])
    kind = chance.choice(["put", "put", "remove", "block", "unblock", "reassign", *TRANSITIONS])
    if kind == "put":
        title = json.dumps(chance.choice(TITLES), ensure_ascii=chance.random() < 0.5)
        attributes = json.dumps({"item": chance.choice(TITLES)})
        items = [{"title": title, "attributes": attributes}] * len(tags)
        store.commands.execute(Command("main", PUT, tags, actor=actor, items=items))
    else:
        do(store, kind, *tags, actor=actor, reason='why, "item"', to=BEN, step="work")


def at_once(many: int, act: Callable[[], Any]) -> list[Any]:
    greenlets = [gevent.spawn(act) for _ in range(many)]
    gevent.joinall(greenlets, timeout=20, raise_error=True)
    return [each.value for each in greenlets]

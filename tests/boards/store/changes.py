"""Changes of a store and what is in it then, for the tests of the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from occupancy.boards.commands import Command
from occupancy.boards.records import Answer
from occupancy.boards.store import Store
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services

WORKERS = [Person(f"w{number}", f"Worker {number}") for number in range(4)]
ANA, BEN = WORKERS[:2]
LARGE = 3  # items from which on a board is large, where a test uses `large_boards`


def add(store: Store, *tags: str, board: str = "main", **texts: str) -> Answer:
    return store.commands.execute(Command(board, PUT, tags, actor=ANA, items=[texts] * len(tags)))


def do(store: Store, operation: str, *tags: str, board: str = "main", **options: Any) -> Answer:
    row = REMOVE if operation == "remove" else TRANSITIONS[operation]
    return store.commands.execute(Command(board, row, tags, **{"actor": ANA, **options}))


def item_of(store: Store, tag: str, board: str = "main") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.queries.item(board, tag))
    return found


def everything(services: Services) -> dict[bytes, Any]:
    """All keys under the prefix, with what is in them."""
    client: Any = services.store.client
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    keys = client.scan_iter(match=f"{services.settings.prefix}:*", count=1000)
    # The processes report about themselves and try their rights: nothing to do with the boards.
    ours = (key for key in keys if b":process" not in key and b":rights" not in key)
    return {key: readers[client.type(key)](key) for key in ours}


def seqs_of(store: Store, board: str = "main") -> list[int]:
    return [entry.seq for entry in store.log.replay(board, "0-0", 10_000).entries]

"""What a site has on its servers: people and their tokens, and the log of a board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from occupancy.core.entities import Role
from occupancy.core.keys import Keys
from occupancy.services import Services


def add_people(services: Services, roles: Mapping[str, Role]) -> dict[str, str]:
    """Add a worker of each id; returns a token of each."""
    tokens = {}
    for name, role in roles.items():
        services.workers.add(name, name=name.title(), role=role)
        tokens[name] = services.tokens.create(name)[0]
    return tokens


def read_log(client: redis.Redis, keys: Keys, board: str) -> list[tuple[str, dict[str, str]]]:
    """Every entry of a board's log, oldest first."""
    entries: Any = client.xrange(keys.board(board).log)
    return [
        (cursor.decode(), {name.decode(): text.decode() for name, text in fields.items()})
        for cursor, fields in entries
    ]

"""A plant with some work behind it, its backup and its restore."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from occupancy.boards.commands import Command
from occupancy.boards.records import Preconditions
from occupancy.cli.backup import file
from occupancy.cli.backup.reader import Reader
from occupancy.cli.backup.restorer import Restorer
from occupancy.cli.backup.selection import is_kept, place_of
from occupancy.core.entities import Person, Role
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services

ANA = Person("ana", "Ana")
Make = Callable[[str], Services]


def do(services: Services, board: str, operation: str, tag: str, key: str = "", **more: Any) -> Any:
    transition = {"put": PUT, "remove": REMOVE}.get(operation) or TRANSITIONS[operation]
    if operation == "put":
        more["items"] = [{"title": json.dumps("A spool")}]
    preconditions = Preconditions(idempotency_key=key, fingerprint="f" * 64) if key else None
    if preconditions is not None:
        more["preconditions"] = preconditions
    return services.store.commands.execute(Command(board, transition, [tag], actor=ANA, **more))


def item_of(services: Services, board: str, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(services.store.queries.item(board, tag))
    return found


def write(services: Services, path: Path, between: Callable[[], object] = lambda: None) -> None:
    """What the command does; ``between`` is called when the boards have been read."""
    reader = Reader(services.store.client, services.store.keys)
    header = file.Header(at="2026-11-28T00:00:00.000Z", boards=reader.find())
    with file.created(path) as stream:
        writer = file.Writer(stream, header)
        for board in header.boards:
            for record in reader.board(board):
                writer.add(record)
        between()
        for record in [*reader.access(), *reader.grown(lambda count: None)]:
            writer.add(record)
        writer.finish()


def restore(services: Services, path: Path, **options: Any) -> None:
    restorer = Restorer(services.store.client, services.store.keys)
    restorer.restore(path, advance=lambda count: None, **options)


def plant(services: Services) -> str:
    """A plant with some work behind it; returns a token."""
    services.store.boards.create("hall", steps=["cut", "weld"], title="Hall")
    services.workers.add("ana", name="Ana", role=Role.WORKER)
    for tag in ("A", "B", "C"):
        do(services, "hall", "put", tag)
    do(services, "hall", "take", "A", key="k")
    do(services, "hall", "take", "B")
    do(services, "hall", "complete", "B")
    do(services, "hall", "remove", "C")
    do(services, "main", "put", "M")
    return services.tokens.create("ana")[0]


def kept(services: Services) -> dict[str, Any]:
    """Every key of a backup but a board's own and its log, with type and value."""
    root, client = f"{services.settings.prefix}:", services.store.client
    read: dict[Any, Callable[[Any], Any]] = {
        b"string": client.get, b"hash": client.hgetall, b"list": lambda k: client.lrange(k, 0, -1),
        b"zset": lambda k: client.zrange(k, 0, -1, withscores=True), b"stream": client.xrange,
    }  # fmt: skip
    found = {}
    for server in client.every_server():
        for key in server.scan_iter(match=f"{root}*"):
            place = place_of(key.decode().removeprefix(root))
            if is_kept(place) and place.name not in ("board", "log"):
                found[f"{place.board}:{place.name}"] = read[client.type(key)](key)
    return found

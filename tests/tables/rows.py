"""Files of items: what is read of them, what goes in, and what is on the board then."""

from __future__ import annotations

import json

import msgspec

from occupancy.boards.commands import Command
from occupancy.core.entities import Item, Person
from occupancy.core.requests.items import ItemBody
from occupancy.core.transitions import PUT
from occupancy.services import Services
from occupancy.tables.imports.item_import import import_items
from occupancy.tables.imports.item_rows import ItemRow, read_items
from occupancy.tables.imports.report import Report
from occupancy.tables.records import Rejected

ADMIN = Person("admin", "Admin")


def bodies(text: str) -> dict[str, ItemBody]:
    """The rows of a file without errors."""
    rows = read_items(text.encode())
    assert all(isinstance(row, ItemRow) for row in rows), rows
    return {row.tag: row.body for row in rows if isinstance(row, ItemRow)}


def rejected(text: str) -> list[tuple[int, str]]:
    """Lines and reasons of the rejected rows."""
    return [(row.line, row.why) for row in read_items(text.encode()) if isinstance(row, Rejected)]


def load(services: Services, text: str, *, dry_run: bool = False) -> Report:
    rows = read_items(text.encode())
    return import_items(services.store, "main", rows, actor=ADMIN, dry_run=dry_run)


def items(services: Services, board: str = "main") -> list[Item]:
    snapshot = services.store.queries.snapshot(board)
    assert snapshot is not None
    return [msgspec.json.decode(each, type=Item) for each in snapshot.items]


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, len(report.rejected)


def put(services: Services, tag: str, **fields: object) -> None:
    texts = {name: json.dumps(value) for name, value in fields.items()}
    body = msgspec.json.decode(json.dumps(fields), type=ItemBody)
    assert set(texts) == set(body.as_json_texts())
    services.store.commands.execute(
        Command("main", PUT, [tag], actor=ADMIN, items=[body.as_json_texts()])
    )

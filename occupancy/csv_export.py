"""Items as CSV, such that importing the file again changes nothing.

An attribute whose values are all non-empty texts is a plain column. Any other (numbers, empty
texts, a name that a spreadsheet or the import would take for something else) becomes a column
``NAME:json``. Cells are written as they are: one that begins with ``=`` stays so, and it is the
spreadsheet's settings that decide whether it is taken for a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec

from .csv_import import JSON_SUFFIX, STATE_COLUMNS
from .model import Item

_RESERVED = {"tag", "title", STATE_COLUMNS[-1]}


def export_items(items: Iterable[Item], *, is_full: bool) -> str:
    """The file's text; ``is_full`` adds state, step, holder … as columns before the attributes."""
    listed = list(items)
    columns = {name: name for item in listed for name in item.attributes}
    reserved = _RESERVED | (set(STATE_COLUMNS) if is_full else set())
    for name in columns:
        if _needs_json(name, listed, reserved):
            columns[name] = name + JSON_SUFFIX
    names = sorted(columns)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    state_columns = STATE_COLUMNS if is_full else ()
    writer.writerow(["tag", "title", *state_columns, *(columns[name] for name in names)])
    for item in listed:
        writer.writerow(
            [
                item.tag,
                item.title,
                *(_state_cell(item, column) for column in state_columns),
                *(_cell(item.attributes, name, columns[name]) for name in names),
            ]
        )
    return out.getvalue()


def _needs_json(name: str, items: list[Item], reserved: set[str]) -> bool:
    is_plain_name = (
        name == name.strip() and name.lower() not in reserved and not name.endswith(JSON_SUFFIX)
    )
    values = [item.attributes[name] for item in items if name in item.attributes]
    return not is_plain_name or not all(isinstance(value, str) and value for value in values)


def _cell(attributes: dict[str, Any], name: str, column: str) -> str:
    if name not in attributes:
        return ""
    value = attributes[name]
    return str(value) if column == name else msgspec.json.encode(value).decode()


def _state_cell(item: Item, column: str) -> Any:
    if column == "holder":
        return item.holder.id if item.holder else ""
    value = getattr(item, column)
    return "" if value is None else value

"""Items as CSV, such that importing the file again changes nothing.

An attribute whose values are all non-empty texts is a plain column. Any other (numbers, empty
texts, a name that a spreadsheet or the import would take for something else) becomes a column
``NAME:json``. A text that a spreadsheet would take for a formula is guarded (csv_cells.py).
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec

from occupancy.cli.csv.cells import guarded
from occupancy.cli.csv.importer import STATE_COLUMNS
from occupancy.cli.csv.table import JSON_SUFFIX
from occupancy.core.entities import Item

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_RESERVED = {"tag", "title", STATE_COLUMNS[-1]}


def for_excel(text: str) -> bytes:
    """``text`` as UTF-8 with the mark without which Excel takes it for Windows-1252."""
    return codecs.BOM_UTF8 + text.encode()


def export_items(items: Iterable[Item], *, is_full: bool, separator: str = ",") -> str:
    """The file's text; ``is_full`` adds state, step, holder … as columns before the attributes."""
    listed = list(items)
    columns = {name: name for item in listed for name in item.attributes}
    reserved = _RESERVED | (set(STATE_COLUMNS) if is_full else set())
    for name in columns:
        if _needs_json(name, listed, reserved):
            columns[name] = name + JSON_SUFFIX
    names = sorted(columns)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    state_columns = STATE_COLUMNS if is_full else ()
    headers = (guarded(columns[name]) for name in names)
    writer.writerow(["tag", "title", *state_columns, *headers])
    for item in listed:
        writer.writerow(
            [
                item.tag,
                guarded(item.title),
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
    # JSON begins with a digit, a letter, a quotation mark, or a minus that a digit follows.
    return guarded(value) if column == name else msgspec.json.encode(value).decode()


def _state_cell(item: Item, column: str) -> Any:
    if column == "holder":
        return item.holder.id if item.holder else ""
    value = getattr(item, column)
    return guarded(value) if isinstance(value, str) else "" if value is None else value

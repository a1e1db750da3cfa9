"""Writes items as CSV; importing the file again changes nothing.

An attribute whose values are all non-empty texts is a plain column. Any other attribute (numbers,
empty texts, a name with another meaning in a spreadsheet or the import) becomes a column
``NAME:json``. A text that a spreadsheet would take for a formula is escaped
(core/spreadsheets/formulas.py).
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable
from typing import Any

import msgspec

from occupancy.cli.csv.importer import STATE_COLUMNS
from occupancy.cli.csv.table import JSON_SUFFIX
from occupancy.core.entities import Item
from occupancy.core.spreadsheets.formulas import escape_formula

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_RESERVED = {"tag", "title", STATE_COLUMNS[-1]}


def excel_bytes(text: str) -> bytes:
    """``text`` as UTF-8 with a byte-order mark; without it, Excel assumes Windows-1252."""
    return codecs.BOM_UTF8 + text.encode()


def export_items(items: Iterable[Item], *, is_full: bool, separator: str = ",") -> str:
    """The file's text; ``is_full`` adds columns for state, step, holder … before the attributes."""
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
    headers = (escape_formula(columns[name]) for name in names)
    writer.writerow(["tag", "title", *state_columns, *headers])
    for item in listed:
        state_cells = (_state_cell(item, column) for column in state_columns)
        cells = (_cell(item.attributes, name, columns[name]) for name in names)
        writer.writerow([item.tag, escape_formula(item.title), *state_cells, *cells])
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
    return escape_formula(value) if column == name else msgspec.json.encode(value).decode()


def _state_cell(item: Item, column: str) -> Any:
    if column == "holder":
        return item.holder.id if item.holder else ""
    value = getattr(item, column)
    return escape_formula(value) if isinstance(value, str) else "" if value is None else value

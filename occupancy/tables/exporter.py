"""Writes items as CSV and XLSX; importing the file again changes nothing.

An attribute whose values are all non-empty texts is a plain column. Any other attribute (numbers,
empty texts, a name with another meaning in a spreadsheet or the import) becomes a column
``NAME:json``. A text that a spreadsheet would take for a formula is escaped (cells.py).
"""

from __future__ import annotations

import codecs
import csv
import datetime
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec

from occupancy.boards.records import Snapshot
from occupancy.core.entities import Item
from occupancy.core.slices import Pause, no_pause, sliced
from occupancy.core.texts.formulas import escape_formula
from occupancy.tables.imports.item_rows import STATE_COLUMNS
from occupancy.tables.table import JSON_SUFFIX
from occupancy.tables.xlsx_file import Cell, xlsx_bytes

Language = Literal["es", "en"]
ReadPage = Callable[[str | None], Snapshot | None]
"""Reads the page of a board's items that a token names; None: the first."""

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_RESERVED = {"tag", "title", STATE_COLUMNS[-1]}


def excel_bytes(text: str) -> bytes:
    """``text`` as UTF-8 with a byte-order mark; without it, Excel assumes Windows-1252."""
    return codecs.BOM_UTF8 + text.encode()


def export_items(
    items: Iterable[Item], *, is_full: bool, separator: str = ",", decimal: str = ".",
    pause: Pause = no_pause,
) -> str:  # fmt: skip
    """The file's text; ``is_full`` adds columns for state, step, holder … before the attributes.

    ``decimal`` is the sign in numbers with decimals.
    """
    listed = list(items)
    columns = _columns(listed, is_full=is_full, pause=pause)
    names = sorted(columns)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    state_columns = STATE_COLUMNS if is_full else ()
    headers = (escape_formula(columns[name]) for name in names)
    writer.writerow(["tag", "title", *state_columns, *headers])
    for item in sliced(listed, pause):
        state_cells = (_state_cell(item, column, decimal) for column in state_columns)
        cells = (_cell(item.attributes, name, columns[name], decimal) for name in names)
        writer.writerow([item.tag, escape_formula(item.title), *state_cells, *cells])
    return out.getvalue()


def export_csv(
    items: Iterable[Item], *, language: Language, is_full: bool, pause: Pause = no_pause
) -> bytes:
    """A CSV file as the spreadsheets of a language open it by themselves."""
    separator, decimal = (";", ",") if language == "es" else (",", ".")
    text = export_items(items, is_full=is_full, separator=separator, decimal=decimal, pause=pause)
    return excel_bytes(text)


def export_xlsx(
    items: Iterable[Item], *, board: str, is_full: bool, pause: Pause = no_pause
) -> bytes:
    """A spreadsheet: texts are texts, numbers are numbers, times are times (UTC)."""
    listed = list(items)
    columns = _columns(listed, is_full=is_full, pause=pause)
    names = sorted(columns)
    state_columns = STATE_COLUMNS if is_full else ()

    def rows() -> Iterator[list[Cell]]:
        for item in listed:
            states = [_typed_state(item, column) for column in state_columns]
            yield [
                item.tag, _text(item.title), *states,
                *(_typed(item.attributes, name, columns[name]) for name in names),
            ]  # fmt: skip

    header = ["tag", "title", *state_columns, *(_text(columns[name]) for name in names)]
    return xlsx_bytes(header, rows(), sheet=board, pause=pause)


def read_all(read: ReadPage) -> tuple[str, list[bytes]]:
    """All items by their pages, and the cursor to follow them from: that of the first page."""
    found: list[bytes] = []
    cursor, page = "", None
    while True:
        snapshot = read(page)
        if snapshot is None:  # only if a known cursor was given
            return cursor, found
        found += snapshot.items
        cursor, page = cursor or snapshot.cursor, snapshot.next
        if page is None:
            return cursor, found


def _columns(listed: list[Item], *, is_full: bool, pause: Pause) -> dict[str, str]:
    """The header of the column of each attribute."""
    columns = {name: name for item in sliced(listed, pause) for name in item.attributes}
    reserved = _RESERVED | (set(STATE_COLUMNS) if is_full else set())
    # One pass over the items, and not one for each column.
    untextual = {
        name
        for item in sliced(listed, pause)
        for name, value in item.attributes.items()
        if not isinstance(value, str) or not value
    }
    for name in columns:
        if name in untextual or not _is_plain(name, reserved):
            columns[name] = name + JSON_SUFFIX
    return columns


def _is_plain(name: str, reserved: set[str]) -> bool:
    return name == name.strip() and name.lower() not in reserved and not name.endswith(JSON_SUFFIX)


def _cell(attributes: dict[str, Any], name: str, column: str, decimal: str) -> str:
    if name not in attributes:
        return ""
    value = attributes[name]
    if column == name:
        return escape_formula(value)
    # JSON begins with a digit, a letter, a quotation mark, or a minus that a digit follows.
    text = msgspec.json.encode(value).decode()
    return text.replace(".", decimal) if isinstance(value, float) and "e" not in text else text


def _state_cell(item: Item, column: str, decimal: str) -> Any:
    if column == "holder":
        return item.holder.id if item.holder else ""
    value = getattr(item, column)
    if isinstance(value, float):
        return str(value).replace(".", decimal)
    return escape_formula(value) if isinstance(value, str) else "" if value is None else value


def _typed(attributes: dict[str, Any], name: str, column: str) -> Cell:
    """The cell of an attribute. A text in a column of JSON is written as JSON."""
    if name not in attributes:
        return None
    value = attributes[name]
    if column == name:
        return _text(value)
    if isinstance(value, int) or (isinstance(value, float) and _stays(value)):
        return value
    return msgspec.json.encode(value).decode()


def _stays(number: float) -> bool:
    """Whether a spreadsheet, with its 15 digits, gives the same number back, and as a float."""
    return not number.is_integer() and float(f"{number:.15g}") == number


def _typed_state(item: Item, column: str) -> Cell:
    if column == "holder":
        return item.holder.id if item.holder else None
    value: Cell = getattr(item, column)
    if column == "since" and item.since:
        return (
            datetime.datetime.fromisoformat(item.since)
            .astimezone(datetime.UTC)
            .replace(tzinfo=None)
        )
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """A text in a cell of texts, which is no formula: only the import must get it back whole."""
    return escape_formula(value) if value.startswith("'") else value

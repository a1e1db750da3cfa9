"""Reads items from the rows of a table; says of each other row why it is none.

A row is checked by the same rules as the body of a PUT. An attribute's column is its name, its
cells are texts, and an empty cell means that the item lacks it. The apostrophe that escapes a
formula (core/texts/formulas.py) is removed. Values that a plain column cannot express (a
number, an empty text, an attribute that is itself called ``title``) are in a column ``NAME:json``,
whose cells are JSON; the exporter writes these where needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from occupancy.core.accepted_values import bidi_control
from occupancy.core.entities import (
    MAX_ATTRIBUTE_CHARS,
    MAX_ATTRIBUTE_NAME_CHARS,
    MAX_ATTRIBUTES,
    MAX_TITLE_CHARS,
    control_character,
)
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.decoding import decode
from occupancy.core.requests.items import ItemBody
from occupancy.core.texts.formulas import unescape_formula
from occupancy.tables.causes import Cause, cause_of, refused
from occupancy.tables.cells import check_key, shown
from occupancy.tables.columns import Mapping, mapped_columns
from occupancy.tables.encoding import AUTO
from occupancy.tables.records import Record, Rejected
from occupancy.tables.table import JSON_SUFFIX, Row, Table

# Columns of a full export that are not attributes. The last one identifies such a file: the
# exporter never writes an attribute into a plain column of that name.
STATE_COLUMNS = ("state", "step", "holder", "since", "reason", "epoch", "version", "worked_s")

# As the export writes decimals for spreadsheets of languages with a comma.
_DECIMAL_COMMA = re.compile(r"-?(?:0|[1-9][0-9]*),[0-9]+")


class ItemRow(msgspec.Struct, frozen=True):
    line: int
    tag: str
    body: ItemBody


def read_items(data: bytes, *, encoding: str = AUTO) -> list[ItemRow | Rejected]:
    """The rows of a file of items, in order. Raises InvalidRequest for the file as a whole."""
    table = Table(data, needed=("tag",), optional=("title",), encoding=encoding)
    reader = ItemReader(table.columns)
    return [reader.read(row) for row in table.rows()]


def item_rows(
    header: Sequence[str], mapping: Mapping, records: Iterable[Record]
) -> Iterator[ItemRow | Rejected]:
    """The rows of records whose columns ``mapping`` names. Raises InvalidRequest at the first."""
    columns = mapped_columns(header, mapping)
    reader = ItemReader(columns.kept)
    for record in records:
        yield reader.read(columns.row(record))


class ItemReader:
    """Makes items of the rows of one file. Raises InvalidRequest for columns of a full export."""

    def __init__(self, columns: Sequence[str]) -> None:
        if STATE_COLUMNS[-1] in columns:
            raise refused(
                "This is a full export: its states would become attributes. "
                "Export without the states to import it again.",
                "full_export",
            )
        self._has_attributes = any(column not in ("tag", "title", "") for column in columns)
        self._lines: dict[str, int] = {}  # of each tag

    def read(self, row: Row | Rejected) -> ItemRow | Rejected:
        if isinstance(row, Rejected):
            return row
        tag = row.cells["tag"].strip()
        try:
            check_key("tag", "tag", tag, self._lines, row.line)
            given: dict[str, Any] = {}
            if row.cells.get("title"):
                given["title"] = unescape_formula(row.cells["title"])
            if self._has_attributes:
                given["attributes"] = _attributes(row)
            return ItemRow(row.line, tag, _decoded(given))
        except InvalidRequest as error:
            return Rejected(row.line, tag, error.detail.rstrip("."), cause_of(error))


def _attributes(row: Row) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    value: Any
    for column, cell in row.cells.items():
        if column in ("tag", "title") or not cell:
            continue
        name, value = column, unescape_formula(cell)
        if column.endswith(JSON_SUFFIX):
            name = column.removesuffix(JSON_SUFFIX)
            if _DECIMAL_COMMA.fullmatch(value):
                value = value.replace(",", ".")
            try:
                msgspec.json.decode(value)
            except (msgspec.DecodeError, RecursionError) as error:
                detail = f"{shown(column[:80])} is not JSON: {error}."
                raise refused(detail, "not_json", column=shown(column[:80])) from error
            value = msgspec.Raw(value.encode())  # unchanged: check_exact examines its digits
        if name in attributes:
            detail = f"{shown(name[:80])} occurs twice, as text and as JSON."
            raise refused(detail, "text_and_json", column=shown(name[:80]))
        attributes[name] = value
    return attributes


def _decoded(given: dict[str, Any]) -> ItemBody:
    """The body of the equivalent PUT. Raises InvalidRequest with the name of a wrong attribute."""
    try:
        return decode(msgspec.json.encode(given), ItemBody)
    except InvalidRequest as error:
        for name, value in given.get("attributes", {}).items():
            try:
                decode(msgspec.json.encode({"attributes": {name: value}}), ItemBody)
            except InvalidRequest as wrong:
                detail = f"column '{shown(name[:80])}': {wrong.detail}"
                raise InvalidRequest(detail, cause=_cause_of_cell(name, value)) from error
        raise InvalidRequest(error.detail, cause=_cause_of_row(given)) from error


def _cause_of_cell(name: str, value: Any) -> Cause:
    column = shown(name[:80])
    if len(name) > MAX_ATTRIBUTE_NAME_CHARS:
        return Cause("column_name_too_long", {"column": column, "most": MAX_ATTRIBUTE_NAME_CHARS})
    if isinstance(value, str) and len(value) > MAX_ATTRIBUTE_CHARS:
        values: dict[str, str | int] = {"column": column, "most": MAX_ATTRIBUTE_CHARS}
        return Cause("cell_too_long", values)
    if isinstance(value, str) and (control_character(value) or bidi_control(value)):
        return Cause("odd_character", {"column": column})
    return Cause("cell_refused", {"column": column})


def _cause_of_row(given: dict[str, Any]) -> Cause:
    title, attributes = given.get("title", ""), given.get("attributes", {})
    if len(title) > MAX_TITLE_CHARS:
        return Cause("title_too_long", {"most": MAX_TITLE_CHARS})
    try:
        decode(msgspec.json.encode({"title": title or "-"}), ItemBody)
    except InvalidRequest:
        return Cause("title_refused")
    if len(attributes) > MAX_ATTRIBUTES:
        return Cause("too_many_attributes", {"count": len(attributes), "most": MAX_ATTRIBUTES})
    return Cause("row_too_long" if attributes else "row_refused")

"""Imports items and workers from tables: adds every good row, reports each other with its line.

A row is checked by the same rules as the body of a PUT. An attribute's column is its name, its
cells are texts, and an empty cell means that the item lacks it. The apostrophe that escapes a
formula (core/texts/formulas.py) is removed. Values that a plain column cannot express (a
number, an empty text, an attribute that is itself called ``title``) are in a column ``NAME:json``,
whose cells are JSON; the exporter writes these where needed.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from occupancy.access.pins import hash_pin, is_pin
from occupancy.access.workers import Workers
from occupancy.boards.refusals import refusal
from occupancy.boards.store import Store
from occupancy.core.accepted_values import bidi_control
from occupancy.core.entities import (
    MAX_ATTRIBUTE_CHARS,
    MAX_ATTRIBUTE_NAME_CHARS,
    MAX_ATTRIBUTES,
    MAX_TITLE_CHARS,
    AuthMethod,
    Person,
    Role,
    Worker,
    control_character,
)
from occupancy.core.errors import InvalidRequest, LastAdmin, OccupancyError
from occupancy.core.requests.checks import check_name
from occupancy.core.requests.decoding import decode
from occupancy.core.requests.items import ItemBody
from occupancy.core.texts.formulas import unescape_formula
from occupancy.core.texts.plurals import counted
from occupancy.core.transitions import PUT
from occupancy.tables.causes import Cause, cause_of, refused
from occupancy.tables.cells import check_not_reformatted, parse_pin, shown
from occupancy.tables.columns import Mapping, mapped_columns
from occupancy.tables.encoding import AUTO
from occupancy.tables.records import Record, Rejected
from occupancy.tables.table import JSON_SUFFIX, Row, Table

# Columns of a full export that are not attributes. The last one identifies such a file: the
# exporter never writes an attribute into a plain column of that name.
STATE_COLUMNS = ("state", "step", "holder", "since", "reason", "epoch", "version", "worked_s")


# As the export writes decimals for spreadsheets of languages with a comma.
_DECIMAL_COMMA = re.compile(r"-?(?:0|[1-9][0-9]*),[0-9]+")


Result = Literal["added", "updated", "unchanged", "rejected"]


class Report(msgspec.Struct):
    """The result of an import, by row."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = []

    @property
    def rows(self) -> int:
        return self.added + self.updated + self.unchanged + len(self.rejected)


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


def put_rows(
    store: Store,
    board: str,
    rows: Iterable[ItemRow | Rejected],
    *,
    actor: Person,
    auth_method: AuthMethod,
    calls: int,
    dry_run: bool = False,
) -> Iterator[tuple[Result, ItemRow | Rejected]]:
    """Add or edit the items of ``rows`` as they come, ``calls`` a round trip, and say the results.

    A rejected row may come a round trip before its turn. Raises as ``put_many``.
    """
    pending: collections.deque[ItemRow] = collections.deque()
    rejected: list[Rejected] = []

    def texts() -> Iterator[tuple[str, dict[str, str]]]:
        for row in rows:
            if isinstance(row, Rejected):
                rejected.append(row)
            else:
                pending.append(row)
                yield row.tag, row.body.as_json_texts()

    outcomes = store.commands.put_many(
        board,
        texts(),
        actor=actor,
        auth_method=auth_method,
        dry_run=dry_run,
        calls=calls,
        is_ahead=True,
    )
    for outcome in outcomes:
        row = pending.popleft()
        if not outcome.is_done:
            why = refusal(board, PUT, outcome).detail
            rejected.append(Rejected(row.line, row.tag, why))
        while rejected:
            yield "rejected", rejected.pop()
        if outcome.is_done:
            changed: Result = "updated" if outcome.changed else "unchanged"
            yield ("added" if outcome.code == "added" else changed), row
    while rejected:
        yield "rejected", rejected.pop()


def import_items(
    store: Store,
    board: str,
    rows: list[ItemRow | Rejected],
    *,
    actor: Person,
    dry_run: bool = False,
    on_progress: Callable[[int], None] = lambda _steps: None,
) -> Report:
    """Add or edit the items of ``rows``; with ``dry_run`` only report the result.

    ``on_progress`` gets the number of rows just done. Raises BoardNotFound, and PoolTimeout or
    StoreUnavailable with the position reached. Rows up to there stay, and importing again is safe.
    """
    report = Report(rejected=[row for row in rows if isinstance(row, Rejected)])
    good = [row for row in rows if isinstance(row, ItemRow)]
    store.log.head(board)  # raises BoardNotFound also if there is no good row
    on_progress(len(report.rejected))
    bodies = ((row.tag, row.body.as_json_texts()) for row in good)
    outcomes = store.commands.put_many(board, bodies, actor=actor, dry_run=dry_run)
    try:
        for row, outcome in zip(good, outcomes, strict=True):
            if not outcome.is_done:
                why = refusal(board, PUT, outcome).detail
                report.rejected.append(Rejected(row.line, row.tag, why))
            elif outcome.code == "added":
                report.added += 1
            elif outcome.changed:
                report.updated += 1
            else:
                report.unchanged += 1
            on_progress(1)
    except OccupancyError as error:
        raise with_position(error, report, len(rows)) from error.__cause__
    report.rejected.sort(key=lambda each: each.line)
    return report


def read_workers(data: bytes, *, encoding: str = AUTO) -> list[Row | Rejected]:
    """The rows of a file of workers, in order. Raises InvalidRequest for the file as a whole."""
    table = Table(data, needed=("id", "name", "role"), optional=("pin",), encoding=encoding)
    unknown = [name for name in table.columns if name not in ("id", "name", "role", "pin", "")]
    if unknown:
        raise InvalidRequest(f"A worker has no column {shown(', '.join(unknown)[:200])}.")
    return list(table.rows())


def import_workers(
    workers: Workers,
    rows: list[Row | Rejected],
    *,
    on_progress: Callable[[int], None] = lambda _steps: None,
) -> Report:
    """Add or edit the workers of ``rows``.

    An empty or missing PIN keeps the worker's PIN, and disabled workers stay disabled.
    ``on_progress`` gets the number of rows just done. Raises PoolTimeout or StoreUnavailable with
    the position reached.
    """
    report = Report(rejected=[])
    present = {worker.id: worker for worker in workers.all()}
    lines: dict[str, int] = {}
    try:
        for row in rows:
            if isinstance(row, Rejected):
                report.rejected.append(row)
            else:
                _import_worker(workers, row, present, lines, report)
            on_progress(1)
    except OccupancyError as error:
        raise with_position(error, report, len(rows)) from error.__cause__
    return report


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


def _import_worker(
    workers: Workers, row: Row, present: dict[str, Worker], lines: dict[str, int], report: Report
) -> None:
    worker_id = row.cells["id"].strip()
    old = present.get(worker_id)
    try:
        check_key("id", "worker", worker_id, lines, row.line)
        name, role = row.cells["name"].strip(), _role(row.cells["role"])
        pin_hash = _pin_hash(row.cells.get("pin", ""), worker_id, old)
        if old is None:
            workers.add(worker_id, name=name, role=role, pin_hash=pin_hash)
            report.added += 1
        elif workers.edit(worker_id, name=name, role=role.label, pin_hash=pin_hash) != old:
            report.updated += 1
        else:
            report.unchanged += 1
    except (InvalidRequest, LastAdmin) as error:
        report.rejected.append(Rejected(row.line, worker_id, error.detail.rstrip(".")))


def _role(text: str) -> Role:
    """The role of that name. Raises InvalidRequest for an unknown one."""
    try:
        return Role.of(text.strip())
    except KeyError as error:
        roles = ", ".join(role.label for role in Role)
        raise InvalidRequest(f"role {text[:80]!r} is none of {roles}.") from error


def _pin_hash(pin: str, worker_id: str, old: Worker | None) -> str | None:
    pin = parse_pin(pin)
    if pin.isdecimal() and len(pin) < 4:
        raise InvalidRequest(
            "pin has fewer than 4 digits. If it began with 0, the spreadsheet has removed that: "
            "format the column as text and enter the PIN again."
        )
    old_hash = old.pin_hash if old else None
    if not pin or (old_hash is not None and is_pin(pin, old_hash)):
        return old_hash
    return hash_pin(pin, worker_id)


def check_key(column: str, kind: str, name: str, lines: dict[str, int], line: int) -> None:
    """Raises InvalidRequest for an invalid tag or id, or one that an earlier line has."""
    check_not_reformatted(column, name)
    try:
        check_name(kind, name)
    except InvalidRequest as error:
        raise refused(error.detail, "bad_code" if name else "no_code") from error
    first = lines.setdefault(name, line)
    if first != line:
        raise refused(f"line {first} has the same one.", "same_code", line=first)


def with_position(error: OccupancyError, report: Report, rows: int) -> OccupancyError:
    """``error``, which also says how far an import of so many rows is."""
    done = report.added + report.updated + report.unchanged
    of_rows = f"{done} of {counted(rows, 'row')} {'is' if rows == 1 else 'are'} done"
    return type(error)(f"{error.detail} {of_rows}; it is safe to import again.", **error.extra)

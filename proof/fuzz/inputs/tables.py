"""CSV files as spreadsheets, other programs and attackers write them, read by the import."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, cast

import gevent
import msgspec
from hypothesis import strategies as st

from occupancy.access.workers import Workers
from occupancy.core.entities import Item, Role, Worker
from occupancy.core.errors import InvalidRequest, WorkerNotFound
from occupancy.tables.encoding import AUTO, ENCODINGS
from occupancy.tables.exporter import SEPARATORS, excel_bytes, export_items
from occupancy.tables.imports.item_rows import ItemRow, read_items
from occupancy.tables.imports.worker_import import import_workers, read_workers
from occupancy.tables.records import Rejected
from occupancy.tables.table import Row
from proof.fuzz.answers import Violation

CASE_S = 5.0
_CELLS = (
    "T-1", "T-2", "T-3", "tag", "title", "=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''=1", "'x",
    "\t=1", "\r=1",
    "＝1", "1.23E+11", "####", "1,5", '"', '""', 'a"b', "a\nb", "a\r\nb", "\0", "\x1b[2J", "\x07",
    "é", "日本",
    "\ufeff", "\u202e", "\u200b", "\u2028", "\x85", " ", "", "", "x" * 200, "x" * 9000, "{}",
    "[1]", "1", "NaN",
    "1e999", '"\\ud800"', '{"a":1}', "[" * 3000, "true", "null", "worker", "admin", "Worker",
    "1234", "0123",
    "123.456", "sep=;", "http://x", "\U0001f600", "12345678901234567890", "9007199254740993",
    "-0", "-x",
)  # fmt: skip
_COLUMNS = (
    "tag", "TAG", " tag ", "title", "area", "n:json", "title:json", "tag:json", ":json", "", "=x",
    "id", "name",
    "role", "pin", "worked_s", "state", "a\nb", "é", "'=x", "x:json:json", "\ufefftag", "area",
    " x:json", "-1", "\u202ex:json",
    "\u200bx:json", "\u2028x", "\u202ex", "\u200bx", "x" * 3000 + ":json",
)  # fmt: skip
_LINE_ENDS = ("\n", "\r\n", "\r", "\n\n", "\r\r\n")


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """A file: a header, rows of other lengths too, in some encoding, with or without damage."""
    separator = draw(st.sampled_from((",", ",", ";", "\t", "|", ":")))
    end = draw(st.sampled_from(_LINE_ENDS))
    first = draw(
        st.sampled_from(
            (["tag"], ["tag", "title"], ["id", "name", "role"], ["id", "name", "role", "pin"], [])
        )
    )
    header = [*first, *draw(st.lists(st.sampled_from(_COLUMNS), max_size=4, unique=True))]
    cell = st.one_of(st.sampled_from(_CELLS), st.text(max_size=8))
    width = len(header)
    rows = draw(st.lists(st.lists(cell, min_size=0, max_size=width + 1), max_size=5))
    text = draw(
        st.sampled_from(
            ("", "", "", "sep=;\n", "sep=,\r\n", '"sep=\t"\n', "sep=|\n", "\n", "\ufeff")
        )
    )
    text += end.join(_line(draw, row, separator) for row in (header, *rows))
    encoding = draw(
        st.sampled_from(
            ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "utf-32")
        )
    )
    data = text.encode(encoding, "replace")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data


def _line(draw: st.DrawFn, cells: Sequence[str], separator: str) -> str:
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, None)))
    if quoting is None:
        return separator.join(cells)
    out = io.StringIO(newline="")
    csv.writer(
        out,
        delimiter=separator,
        quoting=quoting,  # type: ignore[arg-type] # one of the two
        lineterminator="",
    ).writerow(cells)
    return out.getvalue()


class _Table(Workers):
    """Workers in memory, with the methods that the import calls."""

    def __init__(self) -> None:
        self._known: dict[str, Worker] = {}

    def all(self) -> list[Worker]:
        return list(self._known.values())

    def add(
        self,
        worker_id: str,
        *,
        name: str,
        role: Role,
        pin_hash: str | None = None,
        disabled: bool = False,
    ) -> Worker:
        made = Worker(worker_id, name, role.label, disabled=disabled, pin_hash=pin_hash)
        return self._known.setdefault(worker_id, made)

    def edit(self, worker_id: str, **changes: Any) -> Worker:
        if worker_id not in self._known:
            raise WorkerNotFound("none")
        return msgspec.structs.replace(self._known[worker_id], **changes)


def check(case: bytes) -> None:
    """Import a case as items and as workers. Raises Violation, or a bug's own exception."""
    with gevent.Timeout(CASE_S, Violation(f"no end within {CASE_S} s")):
        for encoding in (AUTO, *ENCODINGS[1:]):
            _check_items(case, encoding)
            try:
                rows = read_workers(case, encoding=encoding)
            except InvalidRequest as error:
                _check_shown(error.detail)
                continue
            _check_rows(rows, case)
            # Hashing a PIN takes 50 ms, and is not under test.
            plain = [_without_pin(each) for each in rows]
            report = import_workers(cast(Workers, _Table()), plain)
            _check_rows(report.rejected, case)
            if report.rows != len(rows):
                raise Violation(f"{report.rows} of {len(rows)} rows are reported")


def _check_items(case: bytes, encoding: str) -> None:
    try:
        rows = read_items(case, encoding=encoding)
    except InvalidRequest as error:
        _check_shown(error.detail)
        return
    _check_rows(rows, case)
    items = [_item(each) for each in rows if isinstance(each, ItemRow)]
    for separator in SEPARATORS.values():
        text = export_items(items, is_full=False, separator=separator)
        again = read_items(excel_bytes(text)) if items else []
        read = [_item(each) if isinstance(each, ItemRow) else each for each in again]
        if read != items:
            raise Violation(f"exported {items}, read {read} from {text!r}")


def _item(row: ItemRow) -> Item:
    """The item that a row makes."""
    return Item(
        tag=row.tag, title=row.body.title or row.tag, state="available", step="", holder=None,
        since="", reason=None, epoch=0, version=1, worked_s=0.0,
        attributes=row.body.attributes or {},
    )  # fmt: skip


def _without_pin(row: Row | Rejected) -> Row | Rejected:
    if isinstance(row, Rejected):
        return row
    return Row(row.line, {**row.cells, "pin": ""} if "pin" in row.cells else row.cells)


def _check_rows(rows: Sequence[ItemRow | Row | Rejected], case: bytes) -> None:
    lines = [each.line for each in rows]
    if lines != sorted(lines) or any(not 1 <= each <= len(case) + 1 for each in lines):
        raise Violation(f"lines {lines}")
    for each in rows:
        if isinstance(each, Rejected):
            _check_shown(each.why)
    msgspec.json.encode([each for each in rows if isinstance(each, Rejected)])


def _check_shown(text: str) -> None:
    """A text for a terminal has no control characters and is bounded."""
    if not text.isprintable() or len(text) > 2000:
        raise Violation(f"not to be shown: {text[:300]!r}")

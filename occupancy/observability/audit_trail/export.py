"""Exports of the audit trail: CSV for spreadsheets, JSON lines for programs; written bit by bit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from occupancy.core.texts.formulas import escape_formula
from occupancy.observability.audit_trail.reader import Found

CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
COLUMNS = ("at", "event", "by", "means", "worker", "board", "address", "details")
_ENTRIES = 200  # in a piece


def pieces(found: Iterable[Found], kind: str) -> Iterator[bytes]:
    """The file of ``kind``, one of CONTENT_TYPES, in pieces of some ten kilobytes."""
    write = _csv_rows if kind == "csv" else _json_lines
    if kind == "csv":
        yield _csv_text([list(COLUMNS)])
    waiting: list[Found] = []
    for each in found:
        waiting.append(each)
        if len(waiting) == _ENTRIES:
            yield write(waiting)
            waiting = []
    if waiting:
        yield write(waiting)


def _json_lines(found: Iterable[Found]) -> bytes:
    return b"".join(msgspec.json.encode(each.as_dict()) + b"\n" for each in found)


def _csv_rows(found: Iterable[Found]) -> bytes:
    return _csv_text([[_cell(each.as_dict()[name]) for name in COLUMNS] for each in found])


def _csv_text(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None or value == {}:
        return ""
    return escape_formula(value if isinstance(value, str) else msgspec.json.encode(value).decode())

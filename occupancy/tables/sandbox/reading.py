"""Reads a file of any format, and writes what is in it as frames.

A frame is a letter, the length of what follows in four bytes, and that: C a packed chunk of
records, E the reason for a refusal with its cause, H the head (a ParsedFile), which is the last.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from occupancy.core.errors import InvalidRequest
from occupancy.tables.causes import Cause, cause_of, refused
from occupancy.tables.columns import ParsedFile, header_of
from occupancy.tables.csv_file import CsvFile
from occupancy.tables.encoding import AUTO, detect_encoding, workbook_format
from occupancy.tables.records import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    Record,
    is_blank,
    one_line,
)
from occupancy.tables.sandbox.guessing import Study, find_header
from occupancy.tables.sandbox.workbook import Workbook

MAX_RECORDS_BYTES = 64 * 1024 * 1024  # as msgpack, before they are packed
CHUNK_RECORDS = 500
_HEADER_WITHIN = 20


def write_frames(file: BinaryIO, out: BinaryIO, *, encoding: str, sheet: str | None) -> None:
    """Write the frames of ``file``; a refusal is one of them."""
    try:
        head = _write_chunks(file.read(), out, encoding=encoding, sheet=sheet)
        _write(out, b"H", msgspec.json.encode(head))
    except InvalidRequest as error:
        _write_refusal(out, error.detail, cause_of(error))
    except MemoryError:
        _write_refusal(out, "The file takes too much memory: divide it.", Cause("too_heavy"))


def _write_chunks(data: bytes, out: BinaryIO, *, encoding: str, sheet: str | None) -> ParsedFile:
    head, records = _opened(data, encoding, sheet)
    first = list(itertools.islice(records, _HEADER_WITHIN))
    at = find_header(first)
    header = header_of(first[at]) if first else []
    if not header:
        detail = "The file is empty; its first line must name the columns."
        raise refused(detail, "empty_file")
    if len(header) > MAX_COLUMNS:
        detail = f"The file has {len(header)} columns; at most {MAX_COLUMNS} are read."
        raise refused(detail, "too_many_columns", columns=len(header), most=MAX_COLUMNS)
    study = Study(header)
    rows = chunks = size = 0
    bounded = _bounded(itertools.chain(first[at + 1 :], records), len(header))
    while chunk := list(itertools.islice(bounded, CHUNK_RECORDS)):
        for record in chunk:
            study.add(record)
        encoded = msgspec.msgpack.encode(chunk)
        rows, chunks, size = rows + len(chunk), chunks + 1, size + len(encoded)
        if rows > MAX_ROWS:
            detail = f"The file has more than {MAX_ROWS} rows: divide it."
            raise refused(detail, "too_many_rows", most=MAX_ROWS)
        if size > MAX_RECORDS_BYTES:
            detail = "The file has too much text: leave columns out, or divide it."
            raise refused(detail, "too_much_text")
        _write(out, b"C", zlib.compress(encoded, 1))
    return msgspec.structs.replace(
        head, header=header, header_line=first[at].line,
        columns=study.columns(), guess=study.guess(), rows=rows, chunks=chunks,
    )  # fmt: skip


def _opened(data: bytes, encoding: str, sheet: str | None) -> tuple[ParsedFile, Iterator[Record]]:
    """What the file is, and its records."""
    empty = ParsedFile("csv", [], 1, [], None, 0, 0)
    file_format = workbook_format(data)
    if file_format is None:
        csv_file = CsvFile(data, encoding=encoding)
        used = detect_encoding(data) if encoding == AUTO else encoding
        head = msgspec.structs.replace(empty, encoding=used, separator=csv_file.delimiter)
        return head, csv_file.records()
    workbook = Workbook(data, sheet)
    head = msgspec.structs.replace(
        empty, format=file_format, sheet=workbook.sheet, sheets=workbook.sheets
    )
    return head, workbook.records()


def _bounded(records: Iterable[Record], width: int) -> Iterator[Record]:
    """The records with their cells bounded; one with more cells than the header says so."""
    for record in records:
        cells = record.cells
        if len(cells) > width:
            if not is_blank(cells[width:]):
                why = f"it has {len(cells)} cells; the header has {width}"
                cause = Cause("too_many_cells", {"cells": len(cells), "columns": width})
                yield Record(record.line, cells[:1], why, cause)
                continue
            cells = cells[:width]
        if any(len(cell) > MAX_CELL_CHARS or "\n" in cell or "\r" in cell for cell in cells):
            cells = [one_line(cell[:MAX_CELL_CHARS]) for cell in cells]
        yield Record(record.line, cells, record.why, record.cause)


def _write_refusal(out: BinaryIO, detail: str, cause: Cause | None) -> None:
    plain = detail.encode(errors="backslashreplace").decode()
    _write(out, b"E", msgspec.json.encode((plain, cause)))


def _write(out: BinaryIO, kind: bytes, payload: bytes) -> None:
    out.write(kind + len(payload).to_bytes(4, "big") + payload)
    out.flush()

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

from occupancy.core.entities import MAX_ATTRIBUTE_CHARS
from occupancy.core.errors import InvalidRequest
from occupancy.tables.causes import Cause, cause_of, refused
from occupancy.tables.columns import Headerless, ParsedFile, header_of
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
from occupancy.tables.sandbox.guessing import LOOKED_AT, Study, find_header
from occupancy.tables.sandbox.headerless import column_letters, lacks_header
from occupancy.tables.sandbox.workbook import Workbook

MAX_RECORDS_BYTES = 64 * 1024 * 1024  # as msgpack, before they are packed
CHUNK_RECORDS = 500


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
    first = list(itertools.islice(records, LOOKED_AT))
    at = find_header(first)
    header = header_of(first[at]) if first else []
    if not header:
        detail = "The file is empty. Choose another one."
        raise refused(detail, "empty_file")
    if len(header) > MAX_COLUMNS:
        detail = f"The file has {len(header)} columns; at most {MAX_COLUMNS} are read."
        raise refused(detail, "too_many_columns", columns=len(header), most=MAX_COLUMNS)
    leading = [_cut(each) for each in _bounded(first[: at + 1], len(header))]
    studies = _Studies(len(header), leading)
    rows = chunks = size = 0
    bounded = _bounded(itertools.chain(first[at + 1 :], records), len(header))
    while chunk := list(itertools.islice(bounded, CHUNK_RECORDS)):
        for record in chunk:
            studies.add(record)
        encoded = msgspec.msgpack.encode(chunk)
        rows, chunks, size = rows + len(chunk), chunks + 1, size + len(encoded)
        if rows > MAX_ROWS:
            detail = f"The file has more than {MAX_ROWS} rows: divide it."
            raise refused(detail, "too_many_rows", most=MAX_ROWS)
        if size > MAX_RECORDS_BYTES:
            detail = "The file has too much text: leave columns out, or divide it."
            raise refused(detail, "too_much_text")
        _write(out, b"C", zlib.compress(encoded, 1))
    study = studies.below_header
    return msgspec.structs.replace(
        head, header=header, header_line=first[at].line, columns=study.columns(header),
        guess=study.guess(header), rows=rows, chunks=chunks,
        headerless=studies.headerless(first, leading),
    )  # fmt: skip


class _Studies:
    """The two ways to read a file: below its header, and as a file without one."""

    def __init__(self, width: int, leading: list[Record]) -> None:
        self.below_header = Study(width)
        self._width = width
        self._whole = Study(MAX_COLUMNS)
        self._widest = width
        for record in leading:
            self._add_to_whole(record)

    def add(self, record: Record) -> None:
        if len(record.cells) <= self._width:  # a wider one is refused where there is a header
            self.below_header.add(record)
        self._add_to_whole(record)

    def headerless(self, first: list[Record], leading: list[Record]) -> Headerless:
        """What the file is without a header; ``first`` are its first records."""
        letters = [column_letters(position) for position in range(self._widest)]
        guess = self._whole.guess_by_cells(letters)
        # A line above the header tells that there is more than items.
        is_plain = (
            guess is not None
            and len(leading) == 1
            and lacks_header(first, letters.index(guess.code))
        )
        return Headerless(self._whole.columns(letters), guess, leading, is_plain)

    def _add_to_whole(self, record: Record) -> None:
        self._whole.add(record)
        if len(record.cells) > self._widest:
            self._widest = max(self._widest, len(header_of(record)))


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
    """The records with their cells bounded, and without the blank ones beyond ``width``."""
    for record in records:
        cells = record.cells
        if len(cells) > width and is_blank(cells[width:]):
            cells = cells[:width]
        if len(cells) > MAX_COLUMNS:
            why = f"it has {len(cells)} cells; at most {MAX_COLUMNS} are read"
            cause = Cause("too_many_columns", {"columns": len(cells), "most": MAX_COLUMNS})
            yield Record(record.line, cells[:1], why, cause)
            continue
        if any(len(cell) > MAX_CELL_CHARS or "\n" in cell or "\r" in cell for cell in cells):
            cells = [one_line(cell[:MAX_CELL_CHARS]) for cell in cells]
        yield Record(record.line, cells, record.why, record.cause)


def _cut(record: Record) -> Record:
    """A record for the head, which is bounded: a text that is too long for an item stays so."""
    # One more than is possible, and an apostrophe before a formula.
    cells = [cell[: MAX_ATTRIBUTE_CHARS + 2] for cell in record.cells]
    return Record(record.line, cells, record.why, record.cause)


def _write_refusal(out: BinaryIO, detail: str, cause: Cause | None) -> None:
    plain = detail.encode(errors="backslashreplace").decode()
    _write(out, b"E", msgspec.json.encode((plain, cause)))


def _write(out: BinaryIO, kind: bytes, payload: bytes) -> None:
    out.write(kind + len(payload).to_bytes(4, "big") + payload)
    out.flush()

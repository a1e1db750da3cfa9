"""Spreadsheets as plants have them, made on the spot, and what is read of them."""

from __future__ import annotations

import datetime
import io
import struct
import tempfile
import zipfile
from collections.abc import Sequence
from typing import Any

import xlsxwriter

from occupancy.tables.columns import ParsedFile
from occupancy.tables.records import Record
from occupancy.tables.sandbox.parsing import parse_file, unpacked


def parsed(data: bytes, **options: Any) -> tuple[ParsedFile, list[Record]]:
    """What the process with limits reads of a file."""
    chunks: list[bytes] = []
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        head = parse_file(file, lambda _number, chunk: chunks.append(chunk), **options)
    assert len(chunks) == head.chunks
    records = [record for chunk in chunks for record in unpacked(chunk)]
    assert len(records) == head.rows
    return head, records


def xlsx(sheets: dict[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook as Excel writes it; a list in place of a cell merges it over that many."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    day = book.add_format({"num_format": "dd/mm/yyyy"})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, list):
                    sheet.merge_range(number, column, number, column + cell[1], cell[0])
                elif isinstance(cell, datetime.date | datetime.datetime):
                    sheet.write_datetime(number, column, cell, day)
                elif isinstance(cell, tuple):
                    sheet.write_formula(number, column, cell[0], None, cell[1])
                elif isinstance(cell, str):
                    sheet.write_string(number, column, cell)
                elif cell is not None:
                    sheet.write(number, column, cell)
    book.close()
    return out.getvalue()


def xlsx_with_sheet(xml: str, shared: str | None = None) -> bytes:
    """A workbook whose only sheet is this XML."""
    whole = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx({"A": [["tag"], ["T-1"]]}))) as source,
        zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            content: bytes | str = source.read(name)
            if name.endswith("sheet1.xml"):
                content = xml
            elif name.endswith("sharedStrings.xml") and shared is not None:
                content = shared
            target.writestr(name, content)
    return whole.getvalue()


def ods(rows: Sequence[Sequence[str]]) -> bytes:
    """A spreadsheet as LibreOffice writes it, reduced to what matters."""
    cells = "".join(
        "<table:table-row>"
        + "".join(
            '<table:table-cell office:value-type="string" calcext:value-type="string">'
            f"<text:p>{cell}</text:p></table:table-cell>"
            if cell
            else "<table:table-cell/>"
            for cell in row
        )
        + '<table:table-cell table:number-columns-repeated="16380"/></table:table-row>'
        for row in rows
    )
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in (("office", "office"), ("table", "table"), ("text", "text"))
    )
    content = (
        f'<?xml version="1.0"?><office:document-content {spaces} '
        'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0">'
        '<office:body><office:spreadsheet><table:table table:name="Hoja1">'
        f"{cells}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    return out.getvalue()


def xls(rows: Sequence[Sequence[str | float]]) -> bytes:
    """A workbook of Excel 97 to 2003 ([MS-CFB], [MS-XLS]) with one sheet."""

    def record(kind: int, body: bytes = b"") -> bytes:
        return struct.pack("<HH", kind, len(body)) + body

    def begin(kind: int) -> bytes:
        return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 0x07CC, 0, 6))

    sheet = begin(0x0010)
    widest = max(map(len, rows))
    sheet += record(0x0200, struct.pack("<IIHHH", 0, len(rows), 0, widest, 0))
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            place = struct.pack("<HHH", number, column, 0)
            if isinstance(cell, str):
                text = cell.encode("utf-16-le")
                sheet += record(0x0204, place + struct.pack("<HB", len(cell), 1) + text)
            else:
                sheet += record(0x0203, place + struct.pack("<d", cell))
    sheet += record(0x000A)
    name = "Hoja1".encode("utf-16-le")
    before = begin(0x0005) + record(0x0042, struct.pack("<H", 1200))
    bound = record(0x0085, struct.pack("<IBBBB", 0, 0, 0, 5, 1) + name)
    offset = len(before) + len(bound) + 4
    bound = record(0x0085, struct.pack("<IBBBB", offset, 0, 0, 5, 1) + name)
    stream = before + bound + record(0x000A) + sheet
    stream = stream.ljust(max(4096, -(-len(stream) // 512) * 512), b"\0")
    return _compound_file(stream)


def _compound_file(stream: bytes) -> bytes:
    end, free = 0xFFFFFFFE, 0xFFFFFFFF
    sectors = len(stream) // 512
    chain = [0xFFFFFFFD, end, *range(3, 2 + sectors), end]
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0,
    )  # fmt: skip
    header += struct.pack("<109I", 0, *[free] * 108)

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = name.encode("utf-16-le") + b"\0\0" if name else b""
        return (
            text.ljust(64, b"\0")
            + struct.pack("<HBBIII", len(text), kind, 1, free, free, child)
            + bytes(36)
            + struct.pack("<IQ", start, size)
        )

    directory = entry("Root Entry", 5, 1, end, 0) + entry("Workbook", 2, free, 2, len(stream))
    directory += entry("", 0, free, 0, 0) * 2
    fat = struct.pack(f"<{len(chain)}I", *chain).ljust(512, b"\xff")
    return header + fat + directory + stream

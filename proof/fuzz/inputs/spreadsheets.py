"""Spreadsheets whose XML is damaged or hostile, read as the process with limits reads them.

The reading itself is fuzzed, in this process; what its limits do is tested where they are.
"""

from __future__ import annotations

import io
import zipfile
import zlib

import msgspec
from hypothesis import strategies as st

from occupancy.core.errors import InvalidRequest
from occupancy.tables.columns import Mapping, ParsedFile
from occupancy.tables.imports.item_rows import ItemRow, item_rows
from occupancy.tables.records import MAX_CELL_CHARS, Record, is_blank
from occupancy.tables.sandbox.reading import write_frames
from proof.fuzz.answers import Violation

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_PARTS = {
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" '
    f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" '
    f'Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
    '<sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
}
_VALUES = (
    "tag", "title", "T-1", "T-2", "1001", "1001.0", "1e308", "-1e-7", "NaN", "43831.5", "-1", "",
    "&lt;script&gt;", "&#8238;x", "&#13;&#10;x", "_x000D_", "=1+1", "x" * 9000, "#DIV/0!", "&l9;",
)  # fmt: skip
_TYPES = ("inlineStr", "str", "n", "b", "e", "s", "d", "")
_PLACES = ("", "A1", "B2", "C3", "A300", "ZZ9", "a1", "A0", "1A")


@st.composite
def cases(draw: st.DrawFn) -> bytes:
    """A workbook of a few cells, whole or with damaged bytes."""
    rows = draw(st.lists(st.lists(_cells(), max_size=4), max_size=5))
    body = "".join(f"<row>{''.join(row)}</row>" for row in rows)
    sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {**_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    data = out.getvalue()
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(4, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data


def _cells() -> st.SearchStrategy[str]:
    def cell(kind: str, place: str, value: str) -> str:
        attributes = f' t="{kind}"' * bool(kind) + f' r="{place}"' * bool(place)
        inner = f"<is><t>{value}</t></is>" if kind == "inlineStr" else f"<v>{value}</v>"
        return f"<c{attributes}>{inner}</c>"

    return st.builds(cell, *map(st.sampled_from, (_TYPES, _PLACES, _VALUES)))


def check(case: bytes) -> None:
    """Raises Violation unless the file is refused with a sentence, or read within the bounds."""
    out = io.BytesIO()
    write_frames(io.BytesIO(case), out, encoding="auto", sheet=None)
    frames = _frames(out.getvalue())
    kind, payload = frames[-1]
    if kind == b"E":
        _check_shown(payload.decode())
        return
    head = msgspec.json.decode(payload, type=ParsedFile)
    records = [
        record
        for _, chunk in frames[:-1]
        for record in msgspec.msgpack.decode(zlib.decompress(chunk), type=list[Record])
    ]
    if len(records) != head.rows:
        raise Violation(f"{len(records)} records, {head.rows} rows")
    for record in records:
        if any(len(cell) > MAX_CELL_CHARS for cell in record.cells):
            raise Violation(f"line {record.line} has a longer cell")
    _check_rows(head.header, head.guess or Mapping(head.header[0]), records)
    whole = head.without_header()
    rows = [*whole.leading, *records]
    if len(rows) != whole.rows:
        raise Violation(f"{len(rows)} records, {whole.rows} rows without a header")
    for record in rows:
        if not is_blank(record.cells[len(whole.header) :]):
            raise Violation(f"line {record.line} has more cells than there are letters")
    _check_rows(whole.header, Mapping("A", has_header=False), rows)


def _check_rows(header: list[str], mapping: Mapping, records: list[Record]) -> None:
    try:
        for row in item_rows(header, mapping, records):
            if not isinstance(row, ItemRow):
                _check_shown(row.why)
    except InvalidRequest as error:
        _check_shown(error.detail)


def _frames(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        found.append((data[at : at + 1], data[at + 5 : at + 5 + length]))
        at += 5 + length
    return found


def _check_shown(text: str) -> None:
    if not text.isprintable() or len(text) > 2000:
        raise Violation(f"not to be shown: {text[:300]!r}")

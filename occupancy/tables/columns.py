"""Guesses what the columns of a file mean: where its header is, which column is the code.

People confirm the guess; the names are those that plants write in Spanish and English.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import msgspec

from occupancy.core.entities import TAG_PATTERN
from occupancy.tables.causes import refused
from occupancy.tables.cells import shown
from occupancy.tables.records import Record, one_line
from occupancy.tables.table import Columns

# In the order in which they are believed, without accents, spaces and signs.
_CODE_NAMES = (
    "tag", "codigo", "code", "etiqueta", "itemcode", "codigodepieza", "codigodespool", "spool",
    "spoolno", "nspool", "ndespool", "nodespool", "numerodespool", "spoolnumber", "spoolid",
    "pieza", "piece", "part", "partno", "partnumber", "itemno", "itemid", "item", "articulo",
    "referencia", "ref", "reference", "serial", "serialno", "serialnumber", "serie",
    "numerodeserie", "nserie", "ndeserie", "matricula", "barcode", "codigodebarras", "sku", "id",
    "identificador", "job", "jobno", "orden", "ordenno", "ndeorden", "lote", "batch", "no", "n",
    "num", "numero", "number", "nr", "clave",
)  # fmt: skip
_TITLE_NAMES = (
    "title", "titulo", "nombre", "name", "descripcion", "description", "denominacion",
    "designacion", "designation", "descripciondelapieza", "itemname", "itemdescription", "texto",
    "detalle", "details", "concepto",
)  # fmt: skip
_LOOKED_AT = 20  # records, for the header
MAX_STUDIED = 5000  # records, for the guess
_SAMPLES = 3
_MAX_HEADER_CHARS = 200  # of a column's name; an attribute's has less, so such a one is refused
_TAG = re.compile(TAG_PATTERN)
_LEAST_UNIQUE = 0.9  # share of a column's cells that are codes, each once


class Mapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the columns of a file are: names of its header.

    Columns that are neither ``code`` nor ``title``, nor ``left_out``, are attributes.
    """

    code: str
    title: str | None = None
    left_out: list[str] = []


class Column(msgspec.Struct, frozen=True):
    """A column as a person recognises it; ``unique`` is the share of codes that occur once."""

    name: str
    samples: list[str]
    unique: float


class ParsedFile(msgspec.Struct, frozen=True):
    """What is known of a file that was read. Its records are in ``chunks`` chunks."""

    format: str  # csv, xlsx, xls, ods
    header: list[str]
    header_line: int
    columns: list[Column]
    guess: Mapping | None
    rows: int
    chunks: int
    encoding: str | None = None  # of CSV
    separator: str | None = None
    sheet: str | None = None  # that was read
    sheets: list[str] = []


def find_header(first: Sequence[Record]) -> int:
    """The position of the header among the first records: below titles, which have fewer cells."""
    counts = [sum(1 for cell in each.cells if cell.strip()) for each in first[:_LOOKED_AT]]
    widest = max(counts, default=0)
    for position, record in enumerate(first[:_LOOKED_AT]):
        names = {simple_name(cell) for cell in record.cells}
        if counts[position] * 2 >= widest and not names.isdisjoint(_CODE_NAMES[:32]):
            return position
    return next((n for n, count in enumerate(counts) if count * 5 >= widest * 3), 0)


def header_of(record: Record) -> list[str]:
    """The names of the columns, each in one line, without the empty ones at the end."""
    names = [one_line(cell.strip()[:_MAX_HEADER_CHARS]) for cell in record.cells]
    while names and not names[-1]:
        names.pop()
    return names


class Study:
    """Looks at the records of a file as they pass, and says what its columns are."""

    def __init__(self, header: Sequence[str]) -> None:
        self._header = list(header)
        self._filled = [0] * len(header)
        self._codes: list[set[str]] = [set() for _ in header]
        self._chars = [0] * len(header)
        self._samples: list[list[str]] = [[] for _ in header]
        self._records = 0

    def add(self, record: Record) -> None:
        if self._records >= MAX_STUDIED or record.why:
            return
        self._records += 1
        for position, cell in enumerate(record.cells[: len(self._header)]):
            text = cell.strip()
            if not text:
                continue
            self._filled[position] += 1
            self._chars[position] += len(text) if not _is_number(text) else 0
            if _TAG.match(text):
                self._codes[position].add(text)
            if len(self._samples[position]) < _SAMPLES:
                self._samples[position].append(text[:80])

    def columns(self) -> list[Column]:
        return [
            Column(name, samples, round(self._unique(position), 3))
            for position, (name, samples) in enumerate(
                zip(self._header, self._samples, strict=True)
            )
        ]

    def guess(self) -> Mapping | None:
        """Code and title; None if no column can be the code."""
        named = {
            simple_name(name): position for position, name in reversed([*enumerate(self._header)])
        }
        candidates = [
            position
            for position, name in enumerate(self._header)
            if name and self._unique(position) >= _LEAST_UNIQUE
        ]
        by_name = [named[each] for each in _CODE_NAMES if each in named]
        code = next(
            (position for position in by_name if position in candidates or not self._records), None
        )
        if code is None and candidates:
            code = candidates[0]
        if code is None and by_name:
            code = by_name[0]
        if code is None:
            return None
        titles = [named[each] for each in _TITLE_NAMES if each in named and named[each] != code]
        title = titles[0] if titles else None
        return Mapping(self._header[code], None if title is None else self._header[title])

    def _unique(self, position: int) -> float:
        return len(self._codes[position]) / self._records if self._records else 0.0


def mapped_columns(header: Sequence[str], mapping: Mapping) -> Columns:
    """The columns of an import by ``mapping``. Raises InvalidRequest for an unknown column.

    Another column that is called like a field of the item, tag or title, gets a 2 behind its name.
    """
    code = _position(header, mapping.code)
    title = None if mapping.title is None else _position(header, mapping.title)
    if title == code:
        detail = "The same column cannot be both the code and the title."
        raise refused(detail, "same_column")
    left_out = {n for name in mapping.left_out for n in _positions(header, name)} - {code, title}
    names = list(header)
    for position, name in enumerate(header):
        if position == code:
            names[position] = "tag"
        elif position == title:
            names[position] = "title"
        elif name.strip().lower() in ("tag", "title"):
            names[position] = f"{name.strip()} 2"
    return Columns(names, needed=("tag",), optional=("title",), left_out=left_out)


def _position(header: Sequence[str], name: str) -> int:
    return _positions(header, name)[0]


def _positions(header: Sequence[str], name: str) -> list[int]:
    """Where ``name`` stands in the header, exactly or else in any case."""
    wanted = name.strip().lower()
    exact = [n for n, each in enumerate(header) if each == name]
    found = exact or [n for n, each in enumerate(header) if each.strip().lower() == wanted]
    if not found or not wanted:
        names = shown(", ".join(header)[:200])
        detail = f"There is no column '{shown(name[:80])}'; the columns are: {names}."
        raise refused(detail, "no_column", column=shown(name[:80]))
    return found


def simple_name(name: str) -> str:
    """``name`` without case, accents, spaces and signs: "Nº de Spool" becomes "ndespool"."""
    text = unicodedata.normalize("NFKD", name.replace("º", "").replace("°", "")).casefold()
    return "".join(each for each in text if each.isascii() and each.isalnum())


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "", 1).lstrip("-").isdecimal()

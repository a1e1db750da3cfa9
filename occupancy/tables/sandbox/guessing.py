"""Guesses what the columns of a file mean: where its header is, which column is the code.

People confirm the guess; the names are those that plants write in Spanish and English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from occupancy.core.entities import TAG_PATTERN
from occupancy.tables.columns import Column, Mapping, simple_name
from occupancy.tables.records import Record

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
_TAG = re.compile(TAG_PATTERN)
_LEAST_UNIQUE = 0.9  # share of a column's cells that are codes, each once


def find_header(first: Sequence[Record]) -> int:
    """The position of the header among the first records: below titles, which have fewer cells."""
    counts = [sum(1 for cell in each.cells if cell.strip()) for each in first[:_LOOKED_AT]]
    widest = max(counts, default=0)
    for position, record in enumerate(first[:_LOOKED_AT]):
        names = {simple_name(cell) for cell in record.cells}
        if counts[position] * 2 >= widest and not names.isdisjoint(_CODE_NAMES[:32]):
            return position
    return next((n for n, count in enumerate(counts) if count * 5 >= widest * 3), 0)


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


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "", 1).lstrip("-").isdecimal()

"""Guesses what the columns of a file mean: where its header is, which column is the code.

``headerless`` guesses whether the file has a header at all.

People confirm the guess; the names are those that plants write in Spanish and English.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from occupancy.core.entities import TAG_PATTERN
from occupancy.tables.columns import Column, Mapping, headerless_mapping, simple_name
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
KNOWN_NAMES = frozenset((*_CODE_NAMES, *_TITLE_NAMES))
LOOKED_AT = 20  # records, for the header
MAX_STUDIED = 5000  # records, for the guess
_SAMPLES = 3
_TAG = re.compile(TAG_PATTERN)
_LEAST_UNIQUE = 0.9  # share of a column's cells that are codes, each once
_LEAST_TITLE_CHARS = 4  # of a title, on average


def find_header(first: Sequence[Record]) -> int:
    """The position of the header among the first records: below titles, which have fewer cells."""
    counts = [sum(1 for cell in each.cells if cell.strip()) for each in first[:LOOKED_AT]]
    widest = max(counts, default=0)
    for position, record in enumerate(first[:LOOKED_AT]):
        names = {simple_name(cell) for cell in record.cells}
        if counts[position] * 2 >= widest and not names.isdisjoint(_CODE_NAMES[:32]):
            return position
    return next((n for n, count in enumerate(counts) if count * 5 >= widest * 3), 0)


class Study:
    """Looks at the records of a file as they pass, and says what its columns are.

    It looks at the first ``width`` cells of each.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._codes: list[set[str]] = [set() for _ in range(width)]
        self._chars = [0] * width
        self._samples: list[list[str]] = [[] for _ in range(width)]
        self._records = 0

    def add(self, record: Record) -> None:
        if self._records >= MAX_STUDIED or record.why:
            return
        self._records += 1
        for position, cell in enumerate(record.cells[: self._width]):
            text = cell.strip()
            if not text:
                continue
            self._chars[position] += len(text) if not is_number(text) else 0
            if _TAG.match(text):
                self._codes[position].add(text)
            if len(self._samples[position]) < _SAMPLES:
                self._samples[position].append(text[:80])

    def columns(self, names: Sequence[str]) -> list[Column]:
        return [
            Column(name, samples, round(self._unique(position), 3))
            for position, (name, samples) in enumerate(zip(names, self._samples, strict=False))
        ]

    def guess(self, header: Sequence[str]) -> Mapping | None:
        """Code and title; None if no column can be the code."""
        named = {simple_name(name): position for position, name in reversed([*enumerate(header)])}
        candidates = self._candidates(header)
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
        return Mapping(header[code], None if title is None else header[title])

    def guess_by_cells(self, letters: Sequence[str]) -> Mapping | None:
        """Code and title of columns whose names, ``letters``, say nothing; None as ``guess``.

        The title is the column with the most text, where that is more than a code's or a size's.
        """
        candidates = self._candidates(letters)
        if not candidates:
            return None
        code = candidates[0]
        others = [position for position in range(len(letters)) if position != code]
        title = max(others, key=lambda position: self._chars[position], default=None)
        if title is not None and self._chars[title] < _LEAST_TITLE_CHARS * self._records:
            title = None
        return headerless_mapping(letters, letters[code], None if title is None else letters[title])

    def _candidates(self, names: Sequence[str]) -> list[int]:
        """The columns whose cells are codes, nearly all of them different."""
        return [
            position
            for position, name in enumerate(names)
            if name and self._unique(position) >= _LEAST_UNIQUE
        ]

    def _unique(self, position: int) -> float:
        return len(self._codes[position]) / self._records if self._records else 0.0


def is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "", 1).lstrip("-").isdecimal()

"""Tables: records whose columns have names.

A :class:`Columns` makes rows of records. An error of its header is an InvalidRequest; an error of
one row is a :class:`Rejected` in its place. It accepts that spreadsheets omit empty last cells, add
empty ones, and repeat a header where two files were joined.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec

from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.checks import check_text
from occupancy.core.texts.formulas import unescape_formula
from occupancy.core.texts.plurals import counted
from occupancy.tables.causes import Cause, refused
from occupancy.tables.cells import shown
from occupancy.tables.csv_file import CsvFile
from occupancy.tables.encoding import AUTO
from occupancy.tables.records import Record, Rejected, is_blank

JSON_SUFFIX = ":json"  # a column name with this suffix is taken literally, spaces included


class Row(msgspec.Struct, frozen=True):
    """The cells of one row by column name; ``line`` is its first line, counted from 1."""

    line: int
    cells: dict[str, str]


class Columns:
    """The columns of a table. Raises InvalidRequest if one is missing or there twice.

    ``needed`` are the required columns. Their names, and the ``optional`` ones, may be in upper or
    lower case; other names lose the spaces around them. Without ``has_header`` the names are not
    of the file, so no row repeats them.
    """

    def __init__(
        self, header: Sequence[str], *, needed: tuple[str, ...], optional: tuple[str, ...] = (),
        left_out: Collection[int] = (), has_header: bool = True,
    ) -> None:  # fmt: skip
        self._known = {*needed, *optional}
        self._key = needed[0]
        self._left_out = frozenset(left_out)
        self._has_header = has_header
        self.names = [self._plain(name) for name in header]
        for name in needed:
            if name not in self.names:
                columns = shown(", ".join(self.names)[:200])
                detail = f"There is no column '{name}'; the columns are: {columns}."
                raise refused(detail, "no_column", column=name)
        seen: set[str] = set()
        for position, name in enumerate(self.names):
            if position in self._left_out:
                continue
            try:
                check_text(f"The name of column {position + 1}", name)
            except InvalidRequest as error:
                raise refused(error.detail, "odd_column_name", number=position + 1) from error
            if name and name in seen:
                detail = f"There are two columns '{shown(name[:80])}'."
                raise refused(detail, "two_columns", column=shown(name[:80]))
            seen.add(name)

    @property
    def kept(self) -> list[str]:
        """The names without those of the columns that are left out."""
        return [name for n, name in enumerate(self.names) if n not in self._left_out]

    def row(self, record: Record) -> Row | Rejected:
        """The row of a record that is not blank."""
        line, cells = record.line, record.cells
        if record.why:
            return Rejected(line, "", record.why, record.cause)
        # Excel omits trailing cells that are empty in a whole block of rows.
        padded = cells + [""] * (len(self.names) - len(cells))
        found = {
            column: cell
            for position, (column, cell) in enumerate(zip(self.names, padded, strict=False))
            if position not in self._left_out
        }
        name = found[self._key]
        if not is_blank(cells[len(self.names) :]):
            why = f"it has {counted(len(cells), 'cell')}; the header has {len(self.names)}"
            cause = Cause("too_many_cells", {"cells": len(cells), "columns": len(self.names)})
            return Rejected(line, name, why, cause)
        for position, (column, cell) in enumerate(zip(self.names, cells, strict=False)):
            if cell.strip() and not column and position not in self._left_out:
                why = f"column {position + 1} has no name in the header"
                return Rejected(line, name, why, Cause("no_column_name", {"number": position + 1}))
        if self._has_header and self._repeats_names(padded):
            why = "it repeats the header: are these two files in one?"
            return Rejected(line, name, why, Cause("repeated_header"))
        found.pop("", None)
        return Row(line, found)

    def _repeats_names(self, cells: list[str]) -> bool:
        pairs = zip(cells, self.names, strict=False)  # further cells are blank
        return all(self._plain(cell.lstrip("\ufeff")) == name for cell, name in pairs)

    def _plain(self, name: str) -> str:
        return plain_name(name, self._known)


class Table:
    """A CSV file with a header. Raises InvalidRequest for any other file.

    The delimiter is the one with which the header contains the first of ``needed``.
    """

    def __init__(
        self, data: bytes, *, needed: tuple[str, ...], optional: tuple[str, ...] = (),
        encoding: str = AUTO,
    ) -> None:  # fmt: skip
        known = {*needed, *optional}
        self._file = CsvFile(
            data, encoding=encoding,
            has_key=lambda names: needed[0] in [plain_name(name, known) for name in names],
        )  # fmt: skip
        self._columns = Columns(self._file.header(), needed=needed, optional=optional)
        self.columns = self._columns.names

    def rows(self) -> Iterator[Row | Rejected]:
        """Every row that is not blank."""
        records = self._file.records()
        next(records)  # the header
        return map(self._columns.row, records)


def plain_name(name: str, known: Collection[str] = ()) -> str:
    """A column's name as it is compared: a ``known`` one in lower case."""
    plain = name.strip()
    if plain.lower() in known:
        return plain.lower()
    return unescape_formula(name if name.endswith(JSON_SUFFIX) else plain)

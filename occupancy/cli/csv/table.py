"""Reads the CSV files that spreadsheets write, row by row, each with its line number.

It accepts the programs' habits: a first line ``sep=;``, blank rows, separators at the end of each
line, and missing separators for empty last cells.

An error of the whole file (its encoding, its header) is an InvalidRequest. An error of one row is a
:class:`Rejected` in its place, and reading continues after it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from occupancy.cli.csv.cells import shown
from occupancy.cli.csv.encoding import AUTO, decode_text
from occupancy.core.errors import InvalidRequest, counted
from occupancy.core.requests import check_text
from occupancy.core.spreadsheets.formulas import unescape_formula

if TYPE_CHECKING:
    import _csv  # the only place where the type of csv.reader() has a name

# The bounds of an item limit a cell. The csv module's own limit would end a row inside a cell with
# line breaks, and take the rest of that cell for rows.
csv.field_size_limit(2**31 - 1)

JSON_SUFFIX = ":json"  # a column name with this suffix is taken literally, spaces included
_DELIMITERS = (",", ";", "\t")
# Excel's line for the delimiter. Other programs write it back with quotation marks or delimiters.
_SEP_LINE = re.compile(r'"?sep=([^"\w\r\n])"?[,;\t ]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_SPACE_BEFORE_QUOTE = re.compile(r' +"[^"]*"')


class Row(msgspec.Struct, frozen=True):
    """The cells of one row by column name; ``line`` is its first line, counted from 1."""

    line: int
    cells: dict[str, str]


class Rejected(msgspec.Struct, frozen=True):
    """A row that is not imported; ``name`` is its tag or id, or ''."""

    line: int
    name: str
    why: str


class Table:
    """A CSV file with a header. Raises InvalidRequest for any other file.

    ``needed`` are the required columns. The delimiter (comma, semicolon or tab) is the one with
    which the header contains the first of them. Their names, and the ``optional`` ones, may be in
    upper or lower case; other names lose the spaces around them.
    """

    def __init__(
        self, data: bytes, *, needed: tuple[str, ...], optional: tuple[str, ...] = (),
        encoding: str = AUTO,
    ) -> None:  # fmt: skip
        self._text = decode_text(data, encoding)
        sep_line = _SEP_LINE.match(self._text)
        self._lines_before = 0
        if sep_line is not None:
            self._text, self._lines_before = self._text[sep_line.end() :].lstrip("\ufeff"), 1
        self._skips_space = False
        self._known = {*needed, *optional}
        self._key = needed[0]
        if not self._text.strip():
            raise InvalidRequest("The file is empty; its first line must name the columns.")
        delimiters = _DELIMITERS if sep_line is None else (sep_line[1],)
        likely = max(delimiters, key=self._text[:1000].count)
        self._delimiter = next(filter(self._has_key, delimiters), likely)
        names = self._header(self._delimiter)
        self._skips_space = any(map(_SPACE_BEFORE_QUOTE.fullmatch, names))
        self.columns = [self._plain(name) for name in self._header(self._delimiter)]
        for name in needed:
            if name not in self.columns:
                columns = shown(", ".join(self.columns)[:200])
                raise InvalidRequest(f"There is no column '{name}'; the columns are: {columns}.")
        for position, name in enumerate(self.columns):
            check_text(f"The name of column {position + 1}", name)
            if name and name in self.columns[:position]:
                raise InvalidRequest(f"There are two columns '{shown(name[:80])}'.")

    def rows(self) -> Iterator[Row | Rejected]:
        """Every row that is not blank."""
        reader = self._reader(self._delimiter)
        _first(reader)
        while True:
            line = self._lines_before + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                why = f"{shown(str(error))}; is a quotation mark not closed, or not doubled?"
                last = self._lines_before + reader.line_num
                if last > line:
                    why += f" (up to line {last})"
                yield Rejected(line, "", why)
                continue
            if not _is_blank(cells):
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row | Rejected:
        # Excel omits trailing cells that are empty in a whole block of rows.
        padded = cells + [""] * (len(self.columns) - len(cells))
        found = dict(zip(self.columns, padded, strict=False))
        name = found[self._key]
        if not _is_blank(cells[len(self.columns) :]):
            why = f"it has {counted(len(cells), 'cell')}; the header has {len(self.columns)}"
            return Rejected(line, name, why)
        for position, (column, cell) in enumerate(zip(self.columns, cells, strict=False)):
            if cell.strip() and not column:
                return Rejected(line, name, f"column {position + 1} has no name in the header")
        if [self._plain(cell.lstrip("\ufeff")) for cell in padded] == self.columns:
            return Rejected(line, name, "it repeats the header: are these two files in one?")
        found.pop("", None)
        return Row(line, found)

    def _has_key(self, delimiter: str) -> bool:
        try:
            return self._key in map(self._plain, self._header(delimiter))
        except InvalidRequest:  # with another delimiter, quotation marks may end within a cell
            return False

    def _header(self, delimiter: str) -> list[str]:
        try:
            return _first(self._reader(delimiter))
        except csv.Error as error:
            raise InvalidRequest(f"The header cannot be read: {shown(str(error))}.") from error

    def _plain(self, name: str) -> str:
        plain = name.strip()
        if plain.lower() in self._known:
            return plain.lower()
        return unescape_formula(name if name.endswith(JSON_SUFFIX) else plain)

    def _reader(self, delimiter: str) -> _csv.Reader:
        # strict: otherwise an unclosed quotation mark silently swallows the rest of the file.
        return csv.reader(
            io.StringIO(self._text, newline=""), delimiter=delimiter, strict=True,
            skipinitialspace=self._skips_space,
        )  # fmt: skip


def _first(reader: Iterator[list[str]]) -> list[str]:
    """The header: the first line that is not blank."""
    return next((cells for cells in reader if not _is_blank(cells)), [])


def _is_blank(cells: list[str]) -> bool:
    return not any(cell.strip() for cell in cells)

"""CSV as it comes out of spreadsheets, read row by row, each with its line number.

What concerns the whole file (its encoding, its header) is an InvalidRequest; what concerns one
row is a :class:`Rejected` in its place, and the rows after it are read all the same.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from .errors import InvalidRequest
from .payloads import check_text

ENCODINGS = ("utf-8", "latin-1", "cp1252", "utf-16")
if TYPE_CHECKING:
    import _csv  # the only place where the type of csv.reader() has a name

_DELIMITERS = (",", ";", "\t")


class Row(msgspec.Struct, frozen=True):
    """The cells of one row by their columns' names; ``line`` is where it begins, from 1."""

    line: int
    cells: dict[str, str]


class Rejected(msgspec.Struct, frozen=True):
    """A row that does not go in; ``name`` is its tag or id, as far as it has one."""

    line: int
    name: str
    why: str


class Table:
    """A CSV file with a header. Raises InvalidRequest for a file that is none.

    ``needed`` are the columns that it must have: the delimiter (comma, semicolon or tab) is the
    one with which the header has the first of them. Those names, and ``optional`` ones, are
    known in any case; others are taken as they are.
    """

    def __init__(
        self, data: bytes, *, needed: tuple[str, ...], optional: tuple[str, ...] = (),
        encoding: str = "utf-8",
    ) -> None:  # fmt: skip
        self._text = _decoded(data, encoding)
        self._known = {*needed, *optional}
        self._key = needed[0]
        if not self._text.strip():
            raise InvalidRequest("The file is empty; its first line must name the columns.")
        headers = {delimiter: self._header(delimiter) for delimiter in _DELIMITERS}
        self._delimiter = next(
            (each for each, header in headers.items() if self._key in header), _DELIMITERS[0]
        )
        self.columns = headers[self._delimiter]
        for name in needed:
            if name not in self.columns:
                shown = ", ".join(self.columns)[:200].encode("unicode_escape").decode("ascii")
                raise InvalidRequest(f"There is no column '{name}'; the columns are: {shown}.")
        for position, name in enumerate(self.columns):
            check_text(f"The name of column {position + 1}", name)
            if name and name in self.columns[:position]:
                raise InvalidRequest(f"There are two columns '{name}'.")

    def rows(self) -> Iterator[Row | Rejected]:
        """Every row that is not blank."""
        reader = self._reader(self._delimiter)
        _first(reader)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                why = f"{error}; is a quotation mark not closed, or not doubled?"
                if reader.line_num > line:
                    why += f" (up to line {reader.line_num})"
                yield Rejected(line, "", why)
                continue
            if any(cells):
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row | Rejected:
        found = dict(zip(self.columns, cells, strict=False))
        name = found.get(self._key, "")
        if len(cells) < len(self.columns) or any(cells[len(self.columns) :]):
            why = f"it has {len(cells)} cells; the header has {len(self.columns)}"
            return Rejected(line, name, why)
        for position, (column, cell) in enumerate(zip(self.columns, cells, strict=False)):
            if cell and not column:
                return Rejected(line, name, f"column {position + 1} has no name in the header")
        found.pop("", None)
        return Row(line, found)

    def _header(self, delimiter: str) -> list[str]:
        try:
            names = _first(self._reader(delimiter))
        except csv.Error as error:
            raise InvalidRequest(f"The header cannot be read: {error}.") from error
        return [self._plain(name) for name in names]

    def _plain(self, name: str) -> str:
        plain = name.strip().lower()
        return plain if plain in self._known else name

    def _reader(self, delimiter: str) -> _csv.Reader:
        # strict: else a quotation mark that is not closed silently swallows the rest of the file.
        return csv.reader(io.StringIO(self._text, newline=""), delimiter=delimiter, strict=True)


def _first(reader: Iterator[list[str]]) -> list[str]:
    """The header: the first line that is not blank."""
    return next((cells for cells in reader if cells), [])


def _decoded(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = ""
        if encoding == "utf-8":
            is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            guess = "utf-16" if is_utf16 else "latin-1"
            hint = f" Save it as UTF-8, or try --encoding {guess}."
        raise InvalidRequest(
            f"The file is not {encoding}: line {line} has the byte 0x{data[error.start]:02X}.{hint}"
        ) from error
    return text.removeprefix("\ufeff")

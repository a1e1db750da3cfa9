"""Reads the CSV files that spreadsheets write, record by record, each with its line number.

It accepts the programs' habits: a first line ``sep=;``, blank rows, and spaces before quotation
marks. An error of the whole file (its encoding, its header) is an InvalidRequest. An error of one
row is in its record, and reading continues after it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from occupancy.core.errors import InvalidRequest
from occupancy.tables.causes import Cause, refused
from occupancy.tables.cells import shown
from occupancy.tables.encoding import AUTO, decode_text
from occupancy.tables.records import Record, is_blank

if TYPE_CHECKING:
    import _csv  # the only place where the type of csv.reader() has a name

# The bounds of an item limit a cell. The csv module's own limit would end a row inside a cell with
# line breaks, and take the rest of that cell for rows.
csv.field_size_limit(2**31 - 1)

_DELIMITERS = (",", ";", "\t")
# Excel's line for the delimiter. Other programs write it back with quotation marks or delimiters.
_SEP_LINE = re.compile(r'"?sep=([^"\w\r\n])"?[,;\t ]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_SPACE_BEFORE_QUOTE = re.compile(r' +"[^"]*"')
_LOOKED_AT = 20  # records, for the delimiter


class CsvFile:
    """A CSV file whose first record names the columns. Raises InvalidRequest for any other file.

    ``has_key`` says whether a header names the column that is needed: the delimiter (comma,
    semicolon or tab) is the one with which it does. Without ``has_key`` the delimiter is the one
    that most records agree on, and every record counts, the header too.
    """

    def __init__(
        self, data: bytes, *, encoding: str = AUTO,
        has_key: Callable[[list[str]], bool] | None = None,
    ) -> None:  # fmt: skip
        self._text = decode_text(data, encoding)
        sep_line = _SEP_LINE.match(self._text)
        self._lines_before = 0
        if sep_line is not None:
            self._text, self._lines_before = self._text[sep_line.end() :].lstrip("\ufeff"), 1
        self._skips_space = False
        if not self._text.strip():
            detail = "The file is empty. Choose another one."
            raise refused(detail, "empty_file")
        delimiters = _DELIMITERS if sep_line is None else (sep_line[1],)
        if has_key is None:
            self.delimiter = max(delimiters, key=self._agreement)
        else:
            likely = max(delimiters, key=self._text[:1000].count)
            found = (each for each in delimiters if self._header_has(has_key, each))
            self.delimiter = next(found, likely)
        first = next((each.cells for each in self.records() if each.cells), [])
        self._skips_space = any(map(_SPACE_BEFORE_QUOTE.fullmatch, first))

    def header(self) -> list[str]:
        """The first record that is not blank."""
        return self._header(self.delimiter)

    def records(self) -> Iterator[Record]:
        """Every record that is not blank, the header first."""
        return self._records(self.delimiter)

    def _records(self, delimiter: str) -> Iterator[Record]:
        reader = self._reader(delimiter)
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
                yield Record(line, [], why, Cause("quotation", {"line": last}))
                continue
            if not is_blank(cells):
                yield Record(line, cells)

    def _agreement(self, delimiter: str) -> tuple[int, int]:
        """How many of the first records have how many cells, where that is more than one."""
        records = zip(self._records(delimiter), range(_LOOKED_AT), strict=False)
        widths = [len(record.cells) for record, _ in records]
        wide = [each for each in widths if each > 1]
        usual = max(wide, key=wide.count, default=1)
        return wide.count(usual), usual

    def _header_has(self, has_key: Callable[[list[str]], bool], delimiter: str) -> bool:
        try:
            return has_key(self._header(delimiter))
        except InvalidRequest:  # with another delimiter, quotation marks may end within a cell
            return False

    def _header(self, delimiter: str) -> list[str]:
        try:
            return next((cells for cells in self._reader(delimiter) if not is_blank(cells)), [])
        except csv.Error as error:
            detail = f"The header cannot be read: {shown(str(error))}."
            raise refused(detail, "header_unreadable") from error

    def _reader(self, delimiter: str) -> _csv.Reader:
        # strict: otherwise an unclosed quotation mark silently swallows the rest of the file.
        return csv.reader(
            io.StringIO(self._text, newline=""), delimiter=delimiter, strict=True,
            skipinitialspace=self._skips_space,
        )  # fmt: skip

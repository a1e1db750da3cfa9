"""Reads spreadsheets (XLSX, XLS, ODS) as records of texts.

A formula counts with the value that the spreadsheet has stored, and an error is an empty cell. A
hidden row is a row. A number that a spreadsheet stores as 1001.0 is 1001. Codes with zeros at their
beginning, or with more than 15 digits, must be texts in the spreadsheet: as numbers they are lost
before we see them.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from occupancy.core.texts.plurals import counted
from occupancy.tables.causes import refused
from occupancy.tables.cells import shown
from occupancy.tables.records import MAX_COLUMNS, MAX_ROWS, Record, is_blank, plain_cell

_EXACT_BELOW = 1e15  # a spreadsheet's numbers have 15 digits


class Workbook:
    """A workbook; one sheet of it is read. Raises InvalidRequest for anything else."""

    def __init__(self, data: bytes, sheet: str | None = None) -> None:
        try:
            self._book = CalamineWorkbook.from_filelike(io.BytesIO(data))
            self.sheets = list(self._book.sheet_names)
            self.sheet, self._rows = self._chosen(sheet)
        except PasswordError as error:
            raise refused(
                "The spreadsheet has a password: save it without one, and try again.", "password"
            ) from error
        except (CalamineError, ValueError, OSError) as error:  # its texts say nothing to people
            raise refused(
                "The spreadsheet cannot be read: it is damaged or too large. Open it, and save it "
                "again as XLSX or CSV.",
                "damaged",
            ) from error

    def records(self) -> Iterator[Record]:
        """Every row that is not blank, the header first. Raises InvalidRequest for too many."""
        for number, cells in enumerate(self._rows):
            texts = [cell_text(cell) for cell in cells]
            if is_blank(texts):
                continue
            if number >= MAX_ROWS:
                detail = f"The sheet has more than {MAX_ROWS} rows: divide it."
                raise refused(detail, "too_many_rows", most=MAX_ROWS)
            yield Record(number + 1, texts)

    def _chosen(self, wanted: str | None) -> tuple[str, Iterator[list[Any]]]:
        """The sheet named so, else the first with content, and its rows."""
        if wanted is not None and wanted not in self.sheets:
            names = shown(", ".join(self.sheets)[:200])
            detail = f"There is no sheet '{shown(wanted[:80])}'; there are: {names}."
            raise refused(detail, "no_sheet", sheet=shown(wanted[:80]))
        for name in self.sheets if wanted is None else [wanted]:
            sheet = self._book.get_sheet_by_name(name)
            if not sheet.height or not sheet.width:
                continue
            if sheet.width > MAX_COLUMNS:
                raise refused(
                    f"The sheet '{shown(name[:80])}' has {counted(sheet.width, 'column')}; at most "
                    f"{MAX_COLUMNS} are read: remove what stands far to the right.",
                    "too_many_columns",
                    columns=sheet.width,
                    most=MAX_COLUMNS,
                )
            return name, sheet.iter_rows()
        detail = "The spreadsheet is empty. Choose another one."
        raise refused(detail, "empty_file")


def cell_text(value: Any) -> str:  # noqa: PLR0911 - one for each type
    """The text of a cell, as a person reads it; dates in the order year, month, day."""
    if isinstance(value, str):
        return plain_cell(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number_text(value)
    if isinstance(value, datetime.datetime):
        if value.time() == datetime.time():
            return value.date().isoformat()
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    if isinstance(value, datetime.time):
        return value.isoformat("seconds" if value.second else "minutes")
    return "" if value is None else plain_cell(str(value))


def _number_text(value: float) -> str:
    if abs(value) < _EXACT_BELOW:
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    return f"{value:.2E}"  # its last digits are lost already: a code of this form is refused

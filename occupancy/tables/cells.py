"""Cells of CSV files, protected from the conversions of spreadsheets.

A spreadsheet takes a long tag or PIN for a number, and shortens it when it saves the file.
core/texts/formulas.py protects from formulas.
"""

from __future__ import annotations

import re

from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.checks import check_name
from occupancy.tables.causes import refused

# In the format of Excel and LibreOffice. 25E10 and 5E-12 may be tags, so they do not match.
_SCIENTIFIC = re.compile(r"[+-]?[0-9](?:[.,][0-9]+E[+-]|E\+)[0-9]{2,3}", re.IGNORECASE)
# Numbers in a spreadsheet's format: 123,456,789 and 12345678.00.
_FORMATTED = re.compile(
    r"[0-9]{1,3}([.,' \u00a0\u2009\u202f\u2019])[0-9]{3}(?:\1[0-9]{3})*(?:[.,][0-9]+)?"
    r"|[0-9]+[.,]0+|'[0-9]+"
)
_TOO_NARROW = re.compile("#{3,}")


def shown(text: str) -> str:
    """``text`` of a file as a message names it: what a terminal cannot show is escaped."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def check_not_reformatted(column: str, cell: str) -> None:
    """Raises InvalidRequest for a tag, an id or a PIN that a spreadsheet has changed.

    Other cells are not checked: they may contain scientific notation.
    """
    if _SCIENTIFIC.fullmatch(cell):
        raise refused(
            f"{column} is a number that the spreadsheet has shortened, like 1.23E+11: format the "
            "column as text and enter the value again.",
            "shortened_number",
        )
    if _TOO_NARROW.fullmatch(cell):
        raise refused(
            f"{column} is ####, because the column is too narrow: widen it and save the file "
            "again.",
            "narrow_column",
        )


def parse_pin(cell: str) -> str:
    """The PIN in ``cell``. Raises InvalidRequest for a PIN that a spreadsheet has changed.

    Reformatted digits would be taken for a phrase, and the worker could not sign in.
    """
    check_not_reformatted("pin", cell.strip())
    if _FORMATTED.fullmatch(cell.strip()):
        raise InvalidRequest(
            "pin is a number with separators that the spreadsheet has inserted: format the column "
            "as text and enter the PIN again."
        )
    return cell.strip() if cell.strip().isdecimal() else cell


def check_key(column: str, kind: str, name: str, lines: dict[str, int], line: int) -> None:
    """Raises InvalidRequest for an invalid tag or id, or one that an earlier line has."""
    check_not_reformatted(column, name)
    try:
        check_name(kind, name)
    except InvalidRequest as error:
        raise refused(error.detail, "bad_code" if name else "no_code") from error
    first = lines.setdefault(name, line)
    if first != line:
        raise refused(f"line {first} has the same one.", "same_code", line=first)

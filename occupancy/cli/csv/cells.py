"""Cells of CSV files, guarded against what a spreadsheet makes of them.

A spreadsheet takes a cell that begins with = + - @ (perhaps after a tab or a line break, or in
their wide forms) for a formula, which may fetch and send. So the export puts an apostrophe before
such texts, as spreadsheets themselves mark a text, and the import removes one. A text that itself
begins with an apostrophe and such a sign gets one more, so nothing is lost on the way.

A spreadsheet also takes a long tag or PIN for a number, and shortens it when it saves the file.
"""

from __future__ import annotations

import re

from occupancy.core.errors import InvalidRequest

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# As Excel and LibreOffice write it. 25E10 and 5E-12 may be tags, so they do not match.
_SHORTENED = re.compile(r"[+-]?[0-9](?:[.,][0-9]+E[+-]|E\+)[0-9]{2,3}", re.IGNORECASE)
# Digits as a spreadsheet shows a number: 123,456,789 and 12345678.00.
_FORMATTED = re.compile(
    r"[0-9]{1,3}([.,' \u00a0\u2009\u202f\u2019])[0-9]{3}(?:\1[0-9]{3})*(?:[.,][0-9]+)?"
    r"|[0-9]+[.,]0+|'[0-9]+"
)
_TOO_NARROW = re.compile("#{3,}")


def guarded(cell: str) -> str:
    """``cell`` so that a spreadsheet takes it for a text."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """``cell`` without the apostrophe that :func:`guarded` has put before it."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def check_as_typed(column: str, cell: str) -> None:
    """Raises InvalidRequest for a tag, an id or a PIN that a spreadsheet has changed.

    Not for other cells, where scientific notation may be meant.
    """
    if _SHORTENED.fullmatch(cell):
        raise InvalidRequest(
            f"{column} is a number that the spreadsheet has shortened, like 1.23E+11: format the "
            "column as text and enter it again."
        )
    if _TOO_NARROW.fullmatch(cell):
        raise InvalidRequest(
            f"{column} is ####, because the column is too narrow: widen it and save the file again."
        )


def pin_as_typed(cell: str) -> str:
    """The PIN in ``cell``. Raises InvalidRequest for one that is not what somebody has typed.

    What a spreadsheet makes of digits would be taken for a phrase, and nobody could sign in.
    """
    check_as_typed("pin", cell.strip())
    if _FORMATTED.fullmatch(cell.strip()):
        raise InvalidRequest(
            "pin is a number with marks that the spreadsheet has put in: format the column as text "
            "and enter the PIN again."
        )
    return cell.strip() if cell.strip().isdecimal() else cell

"""Formulas: a text that a spreadsheet would take for one is escaped.

A spreadsheet takes a cell that begins with = + - @ (also after a tab or a line break, or in their
wide forms) for a formula, which may read and send data. So the exports put an apostrophe before
such texts, the spreadsheets' own mark of a text, and the import removes it. A text that itself
begins with an apostrophe and such a sign gets a second one, so a round trip loses nothing.
"""

from __future__ import annotations

import re

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def escape_formula(cell: str) -> str:
    """``cell`` in a form that a spreadsheet takes for a text."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """``cell`` without the apostrophe of :func:`escape_formula`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell

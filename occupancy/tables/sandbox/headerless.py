"""Files without a header: the letters that name their columns, and when there plainly is none.

A header that is taken for an item becomes one on the board, so a guess needs many signs. Where one
is missing, the file counts as one with a header, and a person may say otherwise.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from occupancy.tables.columns import simple_name
from occupancy.tables.records import Record
from occupancy.tables.sandbox.guessing import KNOWN_NAMES, is_number

_LEAST_ALIKE = 2  # codes below the first one, as long as it
_DIGIT = re.compile(r"[0-9]")
_DIGITS = re.compile(r"[0-9]+")


def column_letters(position: int) -> str:
    """The name of a column in a spreadsheet: A for 0, Z for 25, AA for 26."""
    letters = ""
    number = position + 1
    while number > 0:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def lacks_header(first: Sequence[Record], code: int) -> bool:
    """Whether the first of these records is plainly an item, as those below it are.

    ``code`` is the column whose cells are codes. The first code goes on below: MK-9 above MK-8 and
    MK-7. No other column looks so, no cell of the first record is a known name of a column, and
    each is of the kind of those below it.
    """
    if any(record.why for record in first):
        return False
    if any(simple_name(cell) in KNOWN_NAMES for cell in first[0].cells):
        return False
    rows = [[cell.strip() for cell in record.cells] for record in first]
    columns = list(itertools.zip_longest(*rows, fillvalue=""))
    series = [position for position, cells in enumerate(columns) if _goes_on(*cells)]
    return series == [code] and all(_is_alike(*each) for each in columns)


def _goes_on(cell: str, *others: str) -> bool:
    """Whether ``cell`` and those below it are codes that differ in their digits only.

    They have a letter, as the name of a column may be a year or a number. At least two of them have
    as many digits: SP1 may be the name of a column with SP11 and SP12.
    """
    if len({cell, *others}) <= len(others) or not any(each.isalpha() for each in cell):
        return False
    same_length = [each for each in others if _DIGIT.sub("9", each) == _DIGIT.sub("9", cell)]
    alike = [each for each in others if _DIGITS.sub("9", each) == _DIGITS.sub("9", cell)]
    return len(same_length) >= _LEAST_ALIKE and len(alike) * 2 >= len(others)


def _is_alike(cell: str, *others: str) -> bool:
    """Whether ``cell`` is of the kind of those below it, where they are all of one kind."""
    kinds = {_kind(each) for each in others}
    return len(kinds) != 1 or _kind(cell) in kinds


def _kind(cell: str) -> str:
    if not cell:
        return "empty"
    if is_number(cell):
        return "number"
    return "with digits" if _DIGIT.search(cell) else "words"

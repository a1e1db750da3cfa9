"""Records: the rows of a table by position, before their columns have a meaning."""

from __future__ import annotations

import re

import msgspec

from occupancy.tables.causes import Cause

MAX_ROWS = 200_000
MAX_COLUMNS = 256
MAX_CELL_CHARS = 8192  # an attribute has 500; what is cut here is refused later by its length

_INVISIBLE_EDGES = " \t\r\n\u00a0\u200b\u200e\u200f\u2060\ufeff"
_LINE_BREAKS = re.compile(r"\s*[\r\n\u000b\u000c\u0085\u2028\u2029]\s*")


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A row; ``line`` is its first line in the file, from 1. ``why`` it cannot be read, or ''."""

    line: int
    cells: list[str]
    why: str = ""
    cause: Cause | None = None


class Rejected(msgspec.Struct, frozen=True):
    """A row that is not imported; ``name`` is its tag or id, or ''."""

    line: int
    name: str
    why: str
    cause: Cause | None = None


def is_blank(cells: list[str]) -> bool:
    return not any(cell.strip() for cell in cells)


def one_line(text: str) -> str:
    """``text`` with a space in place of each line break (Alt+Enter)."""
    return _LINE_BREAKS.sub(" ", text) if "\n" in text or "\r" in text else text


def plain_cell(text: str) -> str:
    """A spreadsheet's text without what nobody sees: spaces and marks at its ends, line breaks.

    The longest texts are cut; the bounds of an item refuse them.
    """
    return one_line(text[:MAX_CELL_CHARS].strip(_INVISIBLE_EDGES)).replace("\u00a0", " ")

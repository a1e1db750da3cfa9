"""Causes: why a file or a row is refused, as a code with values.

The sentence of a refusal is English. A page says the code in its own language, and a program can
act on it.
"""

from __future__ import annotations

import msgspec

from occupancy.core.errors import InvalidRequest

FILE_CAUSES = (
    "damaged", "empty_file", "encoding", "full_export", "header_unreadable", "incomplete",
    "no_code_column", "no_column", "no_sheet", "odd_column_name", "password", "same_column",
    "too_heavy", "too_late", "too_many_columns", "too_many_rows", "too_much_text", "two_columns",
)  # fmt: skip
ROW_CAUSES = (
    "bad_code", "cell_refused", "cell_too_long", "column_name_too_long", "narrow_column",
    "no_code", "no_column_name", "not_json", "odd_character", "quotation", "repeated_header",
    "row_refused", "row_too_long", "same_code", "shortened_number", "text_and_json",
    "title_refused", "title_too_long", "too_many_attributes", "too_many_cells", "too_many_columns",
)  # fmt: skip


class Cause(msgspec.Struct, frozen=True):
    """A code of FILE_CAUSES or ROW_CAUSES, and what a sentence about it names."""

    code: str
    values: dict[str, str | int] = {}


def refused(detail: str, code: str, **values: str | int) -> InvalidRequest:
    """An InvalidRequest that says its cause; ``detail`` is the sentence."""
    return InvalidRequest(detail, cause=Cause(code, values))


def cause_of(error: InvalidRequest) -> Cause | None:
    found: Cause | None = error.extra.get("cause")
    return found

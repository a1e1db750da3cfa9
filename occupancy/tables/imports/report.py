"""The result of an import: what became of its rows."""

from __future__ import annotations

from typing import Literal

import msgspec

from occupancy.core.errors import OccupancyError
from occupancy.core.texts.plurals import counted
from occupancy.tables.records import Rejected

Result = Literal["added", "updated", "unchanged", "rejected"]


class Report(msgspec.Struct):
    """The result of an import, by row."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = []

    @property
    def rows(self) -> int:
        return self.added + self.updated + self.unchanged + len(self.rejected)


def with_position(error: OccupancyError, report: Report, rows: int) -> OccupancyError:
    """``error``, which also says how far an import of so many rows is."""
    done = report.added + report.updated + report.unchanged
    of_rows = f"{done} of {counted(rows, 'row')} {'is' if rows == 1 else 'are'} done"
    return type(error)(f"{error.detail} {of_rows}; it is safe to import again.", **error.extra)

"""Repeated warnings: the first of each kind in a minute are logged, and the rest are counted.

While the store is unreachable every request fails, hundreds a second: a line for each would fill
the disk and hide everything else.
"""

from __future__ import annotations

import logging

from occupancy.observability.lines_per_minute import MINUTE_S, LinesPerMinute

log = logging.getLogger(__name__)

MAX_LINES = 10  # of a kind in a minute


class RepeatedWarnings(LinesPerMinute[str]):
    """One per process. A client must not be able to choose the kind."""

    def warn(self, kind: str, message: str, *args: object) -> None:
        """Log ``message`` as a warning, unless the bound of its ``kind`` is reached."""
        if self._is_allowed(kind):
            log.warning(message, *args)

    def error(self, kind: str, message: str, *args: object) -> None:
        """Log ``message`` as an error, unless the bound of its ``kind`` is reached."""
        if self._is_allowed(kind):
            log.error(message, *args)

    def _max_lines(self, kind: str) -> int:
        return MAX_LINES

    def _write_count(self, kind: str, count: int) -> None:
        log.warning("%s: %d more within %d s", kind, count, MINUTE_S)

"""Repeated warnings: the first of each kind in a minute are logged, and the rest are counted.

While the store is unreachable every request fails: a line for each would fill the disk and hide
everything else. Unlike core.rate_limit, which spreads events evenly and forgets the refused ones,
this shows the beginning of a flood and then its size.
"""

from __future__ import annotations

import abc
import collections
import logging
from collections.abc import Hashable
from typing import Generic, TypeVar

import gevent

log = logging.getLogger(__name__)

MINUTE_S = 60
MAX_WARNINGS = 10  # of a kind in a minute
Kind = TypeVar("Kind", bound=Hashable)


class LinesPerMinute(abc.ABC, Generic[Kind]):
    """One per process. The number of kinds must be bounded: each is remembered for a minute."""

    def __init__(self) -> None:
        self._counts: collections.Counter[Kind] = collections.Counter()
        self._minute: gevent.Greenlet | None = None

    @abc.abstractmethod
    def _max_lines(self, kind: Kind) -> int:
        """The number of lines of this kind in a minute."""

    @abc.abstractmethod
    def _write_count(self, kind: Kind, count: int) -> None:
        """Write that ``count`` more lines of this kind were left out."""

    def _is_allowed(self, kind: Kind) -> bool:
        """Count one line; whether it may be written."""
        self._counts[kind] += 1
        if self._minute is None:
            self._minute = gevent.spawn_later(MINUTE_S, self.flush)
        return self._counts[kind] <= self._max_lines(kind)

    def flush(self) -> None:
        """Write how many lines were left out, and begin another minute."""
        counts, self._counts, self._minute = self._counts, collections.Counter(), None
        for kind, count in counts.items():
            if count > self._max_lines(kind):
                self._write_count(kind, count - self._max_lines(kind))


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
        return MAX_WARNINGS

    def _write_count(self, kind: str, count: int) -> None:
        log.warning("%s: %d more within %d s", kind, count, MINUTE_S)

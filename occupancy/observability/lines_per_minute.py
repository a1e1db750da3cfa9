"""A bound on the lines of each kind: the first ones in a minute are written, the rest are counted.

Not the rate limiter of core.rate_limit: that one spreads events evenly and forgets the refused
ones, while a log shows the beginning of a flood and then its size.
"""

from __future__ import annotations

import abc
import collections
from collections.abc import Hashable
from typing import Generic, TypeVar

import gevent

MINUTE_S = 60
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

"""Repeated warnings: the first of each kind in a minute are logged, and the rest are counted.

While the store is away every request is refused, hundreds a second: a line for each would fill the
disk and hide everything else.
"""

from __future__ import annotations

import collections
import logging

import gevent

log = logging.getLogger(__name__)

MINUTE_S = 60
MOST = 10  # lines of a kind in a minute


class RepeatedWarnings:
    """Those of one worker process. Kinds must be few: no client may choose them."""

    def __init__(self) -> None:
        self._seen: collections.Counter[str] = collections.Counter()
        self._minute: gevent.Greenlet | None = None

    def warn(self, kind: str, message: str, *args: object) -> None:
        """Log ``message``, unless too many of its ``kind`` were logged within the minute."""
        if self._is_told(kind):
            log.warning(message, *args)

    def error(self, kind: str, message: str, *args: object) -> None:
        """The same, of a mistake of ours."""
        if self._is_told(kind):
            log.error(message, *args)

    def _is_told(self, kind: str) -> bool:
        self._seen[kind] += 1
        if self._minute is None:
            self._minute = gevent.spawn_later(MINUTE_S, self.flush)
        return self._seen[kind] <= MOST

    def flush(self) -> None:
        """Log how many more there were, and begin to count anew."""
        seen, self._seen, self._minute = self._seen, collections.Counter(), None
        for kind, count in seen.items():
            if count > MOST:
                log.warning("%s: %d more within %d s", kind, count - MOST, MINUTE_S)

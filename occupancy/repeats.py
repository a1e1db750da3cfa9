"""Repeated warnings: so many of a kind stand in the log, and the rest of a minute as a count.

While the store is away every request is refused, hundreds a second: a line for each would fill the
disk and hide what else is said.
"""

from __future__ import annotations

import collections
import logging

import gevent

log = logging.getLogger(__name__)

MINUTE_S = 60
MOST = 10


class Repeats:
    """Of one worker process. A kind is one of few: nobody outside may choose it."""

    def __init__(self) -> None:
        self._seen: collections.Counter[str] = collections.Counter()
        self._minute: gevent.Greenlet | None = None

    def warn(self, kind: str, message: str, *args: object) -> None:
        """Log ``message``, if there were not too many of its kind within the minute."""
        self._seen[kind] += 1
        if self._seen[kind] <= MOST:
            log.warning(message, *args)
        if self._minute is None:
            self._minute = gevent.spawn_later(MINUTE_S, self.flush)

    def flush(self) -> None:
        """Tell how many more there were, and begin to count anew."""
        seen, self._seen, self._minute = self._seen, collections.Counter(), None
        for kind, count in seen.items():
            if count > MOST:
                log.warning("%s: %d more within %d s", kind, count - MOST, MINUTE_S)

"""What a process does again and again: its periodic tasks, run by the hub of live delivery."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gevent.event import Event

from occupancy.core.errors import OccupancyError, PoolTimeout, StoreUnavailable

log = logging.getLogger(__name__)

_RETRY_S = 0.5  # after a failure, of what can be woken


class PeriodicTasks:
    """Runs ``tasks`` in order. One that raises ends the round, so the most urgent come first."""

    def __init__(self) -> None:
        self.tasks: list[Callable[[], None]] = []
        self.failure: str | None = None
        """The reason why the store refused a task in the last round.

        Most tasks write, as operations do; a store that refuses writes may still answer PING.
        """

    def run(self) -> None:
        """Run each task once. Raises what a task raises."""
        try:
            for task in self.tasks:
                task()
        except OccupancyError as error:
            self.failure = error.detail
            raise
        self.failure = None


def repeat(
    what: str, do: Callable[[], object], *, every_s: float | None, wake: Event | None = None
) -> None:
    """Call ``do`` every ``every_s``, and whenever ``wake`` is set, for ever.

    Failures do not end it. Of failures of one type in a row, the first is logged.
    """
    retry_s, wake = (every_s, Event()) if wake is None else (_RETRY_S, wake)
    failure = None
    while True:
        try:
            do()
            failure = None
        except Exception as error:
            is_new, failure = failure is not type(error), type(error)
            if is_new and isinstance(error, PoolTimeout | StoreUnavailable):
                log.warning("%s failed: %s", what, error.__cause__ or error)
            elif is_new:
                log.exception("%s failed", what)
        wake.wait(every_s if failure is None else retry_s)
        wake.clear()

"""The periodic tasks of one process, run every two seconds by the hub of live delivery."""

from __future__ import annotations

from collections.abc import Callable

from occupancy.core.errors import OccupancyError


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

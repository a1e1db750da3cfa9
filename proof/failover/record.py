"""What the checks of a round need: what callers and watchers saw, and what the servers have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from proof.history.call import Call
from proof.history.contents import Contents
from proof.history.history import Event, Items, Log, Watched, events_of


@dataclass
class Record:
    """One round. Times are of the monotonic clock, in seconds."""

    people: Sequence[str]
    calls: list[Call]
    watchers: Sequence[Watched]
    items: dict[str, Items]  # of each board, at the end
    logs: dict[str, Log]  # at the end
    logs_before: dict[str, Log]
    struck_s: float
    ended_s: float
    concerned: Sequence[str]  # boards
    most_connections: dict[int, int]  # by port
    budget: int
    revoked_status: int = 401  # what a revoked token got in the end
    is_strict: bool = False
    contents: Contents = field(default_factory=Contents)

    @property
    def events(self) -> dict[str, list[Event]]:
        """The events of each board's log at the end, oldest first."""
        return {board: events_of(log) for board, log in self.logs.items()}

"""Everything that a judge needs: what the board was before and after, and what was seen between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proof.history.call import Call
from proof.load.watchers import Items, Watcher

Log = list[tuple[str, dict[str, str]]]  # cursor and fields of each entry, oldest first


@dataclass
class BoardState:
    """A board as it is stored, at one moment without operations."""

    items: Items
    log: Log = field(default_factory=list)
    indexes: dict[str, set[str]] = field(default_factory=dict)  # tags by state and by holder


@dataclass
class History:
    """What happened on some boards while a fault, or none, happened."""

    roles: Mapping[str, str]  # of each worker, by id
    steps: Mapping[str, Sequence[str]]  # of each board
    before: Mapping[str, BoardState]
    after: Mapping[str, BoardState]
    calls: Sequence[Call]
    watchers: Sequence[Watcher]
    budget: int = 0  # connections
    most_connections: int = 0  # seen at once on the server
    clock_faults_s: float = 0.0  # how far the server's clock was set forward or back, in all

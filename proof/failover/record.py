"""What a round leaves to be checked: everything that callers saw, and what the servers have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from proof.history.call import Call
from proof.load.watchers import Items, Seen

Log = list[tuple[str, dict[str, str]]]  # cursor and fields of each entry, oldest first


class Watched(Protocol):
    """What is left of a watcher."""

    name: str
    board: str
    trail: list[Seen]
    model: Items
    snapshots: list[dict[str, Any]]


@dataclass
class Contents:
    """What each cursor, each epoch and each version of an item was seen to be, in all rounds."""

    seen: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)  # content, where

    def conflict(self, name: tuple[str, ...], content: str, where: str) -> str | None:
        """Note a content; returns a text if the name was seen with another one."""
        known, known_where = self.seen.setdefault(name, (content, where))
        if known == content:
            return None
        return f"{' '.join(name)} is {known} ({known_where}) and {content} ({where})"


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

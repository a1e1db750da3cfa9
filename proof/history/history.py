"""What a judge needs: the boards before and after a round, and what callers and watchers saw."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from proof.history.call import Call

Items = dict[str, dict[str, Any]]  # by tag
Kind = Literal[
    "item", "answer", "reset", "ready", "degraded", "recovered", "bye", "snapshot", "end"
]
Kept = dict[tuple[str, str, int], dict[str, Any]]  # items by board, tag and version
Log = list[tuple[str, dict[str, str]]]  # cursor and fields of each entry, oldest first


class Seen(NamedTuple):
    """Something that a watcher has seen."""

    at_s: float
    kind: Kind
    cursor: str
    seq: int = 0
    event: str = ""  # of an item: the data as it came; of an answer: its item; of a reset: why
    number: int = 0  # of the connection


class Watched(Protocol):
    """What the judge needs of a watcher."""

    name: str
    board: str
    trail: list[Seen]
    model: Items
    snapshots: list[dict[str, Any]]


class Event(NamedTuple):
    """An entry of the log that has an event."""

    cursor: str
    seq: int
    text: str
    type: str
    actor: str
    at: str
    item: dict[str, Any]


class Loss(NamedTuple):
    """A time whose changes a fault may lose, also acknowledged ones."""

    from_s: float
    until_s: float


@dataclass
class BoardState:
    """A board as stored, at a moment without operations.

    ``indexes`` has the members of each index: ``by_tag``, ``by_state`` (``STATE|TAG``) and
    ``by_holder`` (``WORKER|TAG``). Without any of them the indexes are not judged.
    """

    items: Items
    log: Log = field(default_factory=list)
    indexes: dict[str, set[str]] = field(default_factory=dict)


@dataclass
class History:
    """What happened on some boards in one round, with a fault or without.

    ``calls`` has every change of the boards: nobody else changes them.
    """

    roles: Mapping[str, str]  # of each worker, by id
    steps: Mapping[str, Sequence[str]]  # of each board
    before: Mapping[str, BoardState]
    after: Mapping[str, BoardState]
    calls: Sequence[Call]
    watchers: Sequence[Watched]
    budget: int = 0  # connections
    most_connections: int = 0  # seen at once on the server
    clock_faults_s: float = 0.0  # how far the server's clock was set forward or back, in all
    losses: Sequence[Loss] = ()
    max_holds: Mapping[str, int] = field(default_factory=dict)  # of each board that has a limit

    # Each is computed once; the history must be complete by then.

    @functools.cached_property
    def events(self) -> dict[str, list[Event]]:
        """The events of each board's log at the end, oldest first."""
        return {board: events_of(state.log) for board, state in self.after.items()}

    @functools.cached_property
    def new_events(self) -> dict[str, list[Event]]:
        """The events that the logs did not have before the round."""
        return {board: new_events(each, self.before[board].log)
                for board, each in self.events.items()}  # fmt: skip

    @functools.cached_property
    def kept(self) -> Kept:
        """The items of the logs at the end."""
        return kept_in(self.events)

    @functools.cached_property
    def judged_calls(self) -> list[Call]:
        """The calls whose answers must be explained: all but those that a loss excuses."""
        return [each for each in self.calls if not self.is_excused(each)]

    def is_excused(self, call: Call) -> bool:
        """Whether a loss excuses an answer that does not fit the board that was kept.

        The answer was given in a time whose changes may be lost. The log says whether a change was
        lost. Nothing says whether a refusal or an unchanged answer was based on a lost change.
        """
        if not any(call.sent_s <= each.until_s and each.from_s <= call.known_s
                   for each in self.losses):  # fmt: skip
            return False
        if call.reply is None:
            return False  # it may have taken effect or not, as always
        if not call.has_changed or call.item is None:
            return True
        return self.kept.get((call.board, call.tag, call.item["version"])) != call.item


def events_of(log: Log) -> list[Event]:
    """The entries with an event. The others are marks of a promotion."""
    found = []
    for cursor, fields in log:
        if "event" in fields:
            text = fields["event"]
            event = json.loads(text)
            found.append(
                Event(cursor, int(fields["seq"]), text, event["type"], event["actor"]["id"],
                      event.get("at", ""), event["item"])
            )  # fmt: skip
    return found


def new_events(events: Sequence[Event], before: Log) -> list[Event]:
    """The events that are not in the log ``before``."""
    known = {cursor for cursor, _ in before}
    return [each for each in events if each.cursor not in known]


def kept_in(events: Mapping[str, Sequence[Event]]) -> Kept:
    """The items of the events of each board."""
    return {
        (board, event.item["tag"], event.item["version"]): event.item
        for board, found in events.items()
        for event in found
    }


def position_of(cursor: str) -> tuple[int, int]:
    """A cursor as two numbers, which rise from entry to entry."""
    first, _, second = cursor.partition("-")
    return int(first), int(second or 0)


def holder_of(item: Mapping[str, Any]) -> str:
    """The id of the item's holder; '' for nobody."""
    holder = item["holder"]
    return str(holder["id"]) if holder else ""


def short(item: Mapping[str, Any] | None) -> str:
    if item is None:
        return "missing"
    return f"{item['state']} by {holder_of(item) or 'nobody'}, version {item['version']}"

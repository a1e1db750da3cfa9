"""No cursor, no version and no epoch of an item has two contents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proof.history.call import Call
from proof.history.history import Event, Items, Watched, holder_of


@dataclass
class Contents:
    """The content seen for each cursor, epoch and version of an item, over all rounds."""

    seen: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)  # content, where

    def conflict(self, name: tuple[str, ...], content: str, where: str) -> str | None:
        """Note a content. Returns a text if the name had another one, else None."""
        known, known_where = self.seen.setdefault(name, (content, where))
        if known == content:
            return None
        return f"{' '.join(name)} is {known} ({known_where}) and {content} ({where})"


class Sighting(NamedTuple):
    """An item that was seen somewhere."""

    board: str
    where: str
    cursor: str  # '' where none was shown
    item: dict[str, Any]


def conflicts(contents: Contents, sightings: Iterable[Sighting]) -> Iterator[str]:
    """A text for each name that was seen with two contents."""
    for board, where, cursor, item in sightings:
        text = json.dumps(item, sort_keys=True)
        names: list[tuple[tuple[str, ...], str]] = [
            (("version", board, item["tag"], str(item["version"])), text),
            (("epoch", board, item["tag"], str(item["epoch"])), holder_of(item)),
        ]
        if cursor:
            names.append((("cursor", board, cursor), text))
        for name, content in names:
            if found := contents.conflict(name, content, where):
                yield found


def everything_seen(
    watchers: Sequence[Watched], calls: Sequence[Call],
    events: Mapping[str, Sequence[Event]], items: Mapping[str, Items],
) -> Iterator[Sighting]:  # fmt: skip
    """Every item in a stream, a snapshot, an answer, a log, and on the board at the end.

    Events that a stream shows as the log has them are left out.
    """
    logged = {
        board: {event.cursor: event.text for event in found} for board, found in events.items()
    }
    for board, found in events.items():
        for event in found:
            yield Sighting(board, "log", event.cursor, event.item)
    for each in watchers:
        known = logged.get(each.board, {})
        for seen in each.trail:
            if seen.kind == "item" and known.get(seen.cursor) != seen.event:
                yield Sighting(each.board, each.name, seen.cursor, json.loads(seen.event)["item"])
        for item in each.snapshots:
            yield Sighting(each.board, f"snapshot of {each.name}", "", item)
    for call in calls:
        if call.item is not None:
            yield Sighting(call.board, f"answer to {call.key}", "", call.item)
    for board, present in items.items():
        for item in present.values():
            yield Sighting(board, "board", "", item)

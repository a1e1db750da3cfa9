"""Records: what commands and queries take and return, and the tokens of pages.

Items and events stay the JSON that the script has rendered.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from occupancy.core.entities import DEFAULT_ITEM_NAME, DEFAULT_TIME_ZONE, ItemName
from occupancy.core.errors import BoardNotFound, InvalidRequest, ItemNotFound


class Outcome(msgspec.Struct, frozen=True):
    """The result for one tag: ``code`` is ``ok``, ``added`` or that of the refusal.

    ``item`` is its JSON and ``version`` its version; empty and 0 where there is no item.
    ``item_is_current``: this repeats an answer whose version of the item is no longer kept, so
    ``item`` is as it is now. ``steps``: the board's, where the step was refused; empty if unknown.
    """

    tag: str
    code: str
    changed: bool
    item: bytes
    version: int = 0
    item_is_current: bool = False
    steps: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether the effect stands, from now or from before."""
        return self.code in ("ok", "added")


class Answer(msgspec.Struct, frozen=True):
    """The outcomes of a command. ``cursor`` is the board's log position after it."""

    cursor: str
    outcomes: list[Outcome]
    is_replayed: bool = False


class Preconditions(msgspec.Struct, frozen=True):
    """What the caller relies on, and the key that makes it safe to send a command again."""

    epoch: int | None = None
    versions: list[str] | None = None
    must_be_new: bool = False  # no item may have the tag
    idempotency_key: str | None = None
    fingerprint: str = ""  # in hex, of the request that the key stands for


class Rate(msgspec.Struct, frozen=True):
    """How many operations per second ``who`` (a caller or an address) may do on a board."""

    who: str
    per_s: int


class Snapshot(msgspec.Struct, frozen=True):
    """Items in the order of their tags, at one instant; ``next`` is a page token."""

    cursor: str
    seq: int
    version_floor: int
    items: list[bytes]
    next: str | None


class BoardSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an admin sets of a board; ``max_holds`` is 0 without a limit.

    ``step_titles`` has a title for each step. ``version`` rises with each change, and never comes
    again with other settings; it is 0 where nothing was ever set.
    """

    title: str
    steps: list[str]
    step_titles: dict[str, str]
    item_name: ItemName = DEFAULT_ITEM_NAME
    max_holds: int = 0
    time_zone: str = DEFAULT_TIME_ZONE
    shown_attributes: list[str] = []
    reasons: list[str] = []
    version: int = 0


class Board(msgspec.Struct, frozen=True):
    """A board. ``step_counts`` is None for one whose steps were never counted.

    ``is_unused``: it exists without having been created, and nothing ever happened on it.
    """

    board: str
    settings: BoardSettings
    cursor: str
    seq: int
    counts: dict[str, int]
    step_counts: dict[str, int] | None = None
    is_unused: bool = False

    @property
    def title(self) -> str:
        return self.settings.title

    @property
    def steps(self) -> list[str]:
        return self.settings.steps

    @property
    def max_holds(self) -> int:
        return self.settings.max_holds

    def summary(self) -> dict[str, Any]:
        """The board as the API's list shows it."""
        return {
            "board": self.board,
            "title": self.title,
            "steps": self.steps,
            "step_titles": self.settings.step_titles,
            "item_name": self.settings.item_name,
            "counts": self.counts,
        }

    def as_dict(self) -> dict[str, Any]:
        """The board as the API shows it."""
        settings = self.settings
        counts = self.step_counts or {}
        return {
            **self.summary(),
            "step_counts": {step: counts.get(step, 0) for step in self.steps},
            "settings": {
                "max_holds": settings.max_holds or None,
                "time_zone": settings.time_zone,
                "shown_attributes": settings.shown_attributes,
                "reasons": settings.reasons,
                "version": settings.version,
            },
            "cursor": self.cursor,
            "seq": self.seq,
        }


def board_not_found(board: str) -> BoardNotFound:
    return BoardNotFound(f"There is no board {board}.")


def item_not_found(board: str, tag: str) -> ItemNotFound:
    return ItemNotFound(f"There is no item {tag} on the board {board}.", tag=tag)


class ItemKey(msgspec.Struct, gc=False):
    """An item's tag and version."""

    tag: str
    version: int


class EventItem(msgspec.Struct, gc=False):
    """An event's type, and its item as JSON."""

    type: str
    item: msgspec.Raw


item_key_of = msgspec.json.Decoder(ItemKey).decode
event_item_of = msgspec.json.Decoder(EventItem).decode


def tag_of(item: bytes | msgspec.Raw) -> str:
    """The tag of an item, from its JSON."""
    return item_key_of(item).tag


def page_token(last: bytes) -> str:
    """The token of the page that follows one whose last member is ``last``."""
    return base64.urlsafe_b64encode(last).decode().rstrip("=")


def page_start(token: str, pattern: str) -> str:
    """The last member of the previous page. Raises InvalidRequest unless it matches ``pattern``."""
    try:
        start = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        start = ""
    if not re.match(pattern, start):
        raise InvalidRequest("page is not a token that this service gave out.")
    return start

"""Records: what the store takes and gives back.

Items and events stay the JSON bytes that the scripts have rendered.
"""

from __future__ import annotations

from typing import Any

import msgspec

from occupancy.core.errors import BoardNotFound, ItemNotFound


class Outcome(msgspec.Struct, frozen=True):
    """What became of one tag: ``code`` is ``ok``, ``added`` or the refusal's; ``item`` its JSON.

    ``item_is_current``: this repeats an answer whose version of the item is no longer kept, so
    ``item`` is as it is now.
    """

    tag: str
    code: str
    changed: bool
    item: bytes
    item_is_current: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the effect stands, be it from now or from before."""
        return self.code in ("ok", "added")


class Answer(msgspec.Struct, frozen=True):
    """What became of an operation. ``cursor`` is the board's log position after it."""

    cursor: str
    outcomes: list[Outcome]
    is_replayed: bool = False


class Preconditions(msgspec.Struct, frozen=True):
    """What the caller relies on, and the key that makes sending it again safe."""

    epoch: int | None = None
    versions: list[str] | None = None
    idempotency_key: str | None = None
    fingerprint: str = ""  # in hex, of the request that the key stands for


class Rate(msgspec.Struct, frozen=True):
    """How many operations ``who`` (a caller or an address) may do per second, on a board."""

    who: str
    per_s: int


class Snapshot(msgspec.Struct, frozen=True):
    cursor: str
    seq: int
    items: list[bytes]
    next: str | None


class Board(msgspec.Struct, frozen=True):
    board: str
    title: str
    steps: list[str]
    max_holds: int
    cursor: str
    seq: int
    counts: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The board as the outside sees it."""
        return {
            "board": self.board,
            "title": self.title,
            "steps": self.steps,
            "counts": self.counts,
            "settings": {"max_holds": self.max_holds or None},
            "cursor": self.cursor,
            "seq": self.seq,
        }


def board_not_found(board: str) -> BoardNotFound:
    return BoardNotFound(f"There is no board {board}.")


def item_not_found(board: str, tag: str) -> ItemNotFound:
    return ItemNotFound(f"There is no item {tag} on the board {board}.", tag=tag)

"""Entities: roles, states, and the shapes of items, events and workers, with their bounds.

The state machine over these states is in ``transitions``.
"""

from __future__ import annotations

import enum
import unicodedata
from typing import Annotated, Any, Literal

import msgspec


class Role(enum.IntEnum):
    """The roles, in rising order; each may do everything that the lower ones may."""

    OBSERVER = 1
    WORKER = 2
    SUPERVISOR = 3
    ADMIN = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Role:
        """The role of a name in lower case. Raises KeyError."""
        return cls[label.upper()]


STATES = ("available", "occupied", "paused", "blocked", "completed")

MAIN_BOARD = "main"  # exists from the start; nobody has to create it
DEFAULT_TIME_ZONE = "UTC"
DEFAULT_STEP = "work"  # the one step of a board without a list

TAG_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z"
BOARD_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z"
WORKER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z"
CURSOR_PATTERN = r"^[0-9]{1,19}-[0-9]{1,19}\Z"  # 20 digits may exceed 64 bits
# The script puts a step into JSON as it is, so it must have no character that JSON escapes.
STEP_PATTERN = r"^[^\W_][\w .:/-]{0,31}\Z"

MAX_TITLE_CHARS = 200
MAX_NAME_CHARS = 100
MAX_REASON_CHARS = 500
MAX_ATTRIBUTES = 32
MAX_ATTRIBUTE_NAME_CHARS = 64
MAX_ATTRIBUTE_CHARS = 500
MAX_BATCH_TAGS = 50
MAX_STEPS = 32
MAX_HOLDS = 1000  # the highest limit that a board may set; without a limit there is none
MAX_STEP_TITLE_CHARS = 60
MAX_ITEM_NAME_CHARS = 30
MAX_SHOWN_ATTRIBUTES = 3
MAX_BOARD_REASONS = 20
MAX_BOARD_REASON_CHARS = 60  # a reason that is tapped has to fit on a button
MAX_TIMELINE_HOURS = 7 * 24
MAX_SNAPSHOT_ITEMS = 10_000

Tag = Annotated[str, msgspec.Meta(pattern=TAG_PATTERN)]
BoardName = Annotated[str, msgspec.Meta(pattern=BOARD_PATTERN)]
WorkerId = Annotated[str, msgspec.Meta(pattern=WORKER_PATTERN)]
Step = Annotated[str, msgspec.Meta(pattern=STEP_PATTERN)]
StepTitle = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_STEP_TITLE_CHARS)]
ItemWord = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ITEM_NAME_CHARS)]
BoardReason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_BOARD_REASON_CHARS)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TITLE_CHARS)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON_CHARS)]
WorkerName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
AttributeName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ATTRIBUTE_NAME_CHARS)]
AttributeText = Annotated[str, msgspec.Meta(max_length=MAX_ATTRIBUTE_CHARS)]
Attributes = Annotated[
    dict[AttributeName, AttributeText | bool | int | float | None],
    msgspec.Meta(max_length=MAX_ATTRIBUTES),
]

AuthMethod = Literal["session", "token", "badge", "station", "cli", "service"]


class Person(msgspec.Struct, frozen=True):
    """A worker as others see them: an event's actor, an item's holder."""

    id: str
    name: str


SERVICE = Person("occupancy", "occupancy")  # the actor of changes by the service itself
COMMAND_LINE = Person("cli", "Command line")  # the actor of commands that name no worker


class ItemNoun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an item is called in a language: one of them, and many."""

    one: ItemWord
    many: ItemWord


class ItemName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a board calls an item, in each language of the pages."""

    es: ItemNoun
    en: ItemNoun


DEFAULT_ITEM_NAME = ItemName(es=ItemNoun("pieza", "piezas"), en=ItemNoun("piece", "pieces"))


class Item(msgspec.Struct, frozen=True):
    tag: str
    title: str
    state: str
    step: str
    holder: Person | None
    since: str
    reason: str | None
    epoch: int
    version: int
    worked_s: float
    attributes: dict[str, Any]


class Event(msgspec.Struct, frozen=True):
    seq: int
    type: str
    board: str
    at: str
    actor: Person
    item: Item
    auth_method: AuthMethod | None = msgspec.field(default=None, name="means")
    """How the actor was authenticated; None in events from before this was recorded."""


class Worker(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person or a program that may act; stored as JSON under its id."""

    id: str
    name: str
    role: str
    disabled: bool = False
    pin_hash: str | None = None
    session_generation: int = msgspec.field(default=0, name="stamp")
    """Sessions that were opened at a lower one have ended."""

    @property
    def person(self) -> Person:
        return Person(self.id, self.name)

    def may(self, role: Role) -> bool:
        return Role.of(self.role) >= role


class Entry(msgspec.Struct, frozen=True):
    """One entry of a board's log."""

    cursor: str
    seq: int
    event: bytes


class Replay(msgspec.Struct, frozen=True):
    """Entries after a cursor; ``is_known`` is false if the log does not have the cursor."""

    is_known: bool
    head_cursor: str
    head_seq: int
    entries: list[Entry]
    version_floor: int
    settings_version: int = 0  # of the board


FLOOR_FIELDS = ("incarnation", "version_base")  # of a board's hash, for version_floor


def version_floor(incarnation: bytes | None, base: bytes | None) -> int:
    """The number that every version counted since a board's last promotion or restore exceeds.

    ``incarnation`` is the board's (see board/promotion.lua) and ``base`` was set when it was
    restored (see cli/backup/positions.py); board/version_floor.lua is the same. A version up to the
    floor is in each snapshot with this floor, or was lost.
    """
    return min(int(incarnation or 0), 9_000_000) * 1_000_000_000 + int(base or 0)


def control_character(text: str) -> str | None:
    """The first control character or lone surrogate in ``text``, or None.

    Titles, names and reasons must have none: they garble logs and terminals, NUL ends strings in
    other programs, and a lone surrogate cannot be encoded as UTF-8.
    """
    if text.isprintable():
        return None  # in a tenth of the time: it is so for almost every text
    return next((char for char in text if unicodedata.category(char) in ("Cc", "Cs")), None)

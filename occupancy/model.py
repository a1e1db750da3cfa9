"""The model: roles, states, the transition table, and the shapes of items, events and workers.

Pure: no Redis, no Flask. ``TRANSITIONS`` is the one place where the state machine stands; the
atomic script gets the row as its argument, the routes, the command line, the OpenAPI document
and the table in the docs are made from it.
"""

from __future__ import annotations

import enum
import unicodedata
from typing import Annotated, Any, Literal

import msgspec


class Role(enum.IntEnum):
    """What a worker may do; each role may do all that the lower ones may."""

    OBSERVER = 1
    WORKER = 2
    SUPERVISOR = 3
    ADMIN = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> Role:
        """The role of that name. Raises KeyError."""
        return cls[label.upper()]


STATES = ("available", "occupied", "paused", "blocked", "completed")

MAIN_BOARD = "main"  # exists from the start, without having been created
DEFAULT_STEP = "work"  # the one step of a board without a list

TAG_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z"
BOARD_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z"
WORKER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z"
CURSOR_PATTERN = r"^[0-9]{1,19}-[0-9]{1,19}\Z"  # 20 digits may be more than 64 bits hold
# Steps are quoted raw into JSON by the script, so nothing that JSON escapes may be in one.
STEP_PATTERN = r"^[^\W_][\w .:/-]{0,31}\Z"

MAX_TITLE_CHARS = 200
MAX_NAME_CHARS = 100
MAX_REASON_CHARS = 500
MAX_ATTRIBUTES = 32
MAX_ATTRIBUTE_CHARS = 500
MAX_BATCH_TAGS = 50
MAX_STEPS = 32
MAX_TIMELINE_HOURS = 7 * 24
MAX_SNAPSHOT_ITEMS = 10_000

Tag = Annotated[str, msgspec.Meta(pattern=TAG_PATTERN)]
BoardName = Annotated[str, msgspec.Meta(pattern=BOARD_PATTERN)]
WorkerId = Annotated[str, msgspec.Meta(pattern=WORKER_PATTERN)]
Step = Annotated[str, msgspec.Meta(pattern=STEP_PATTERN)]
Title = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TITLE_CHARS)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON_CHARS)]
WorkerName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
AttributeName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
AttributeText = Annotated[str, msgspec.Meta(max_length=MAX_ATTRIBUTE_CHARS)]
Attributes = Annotated[
    dict[AttributeName, AttributeText | bool | int | float | None],
    msgspec.Meta(max_length=MAX_ATTRIBUTES),
]

ReasonRule = Literal["none", "optional", "required"]
NextHolder = Literal["caller", "to", "nobody", "keep"]
Means = Literal["session", "token", "cli", "service"]


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the state machine.

    ``target`` is a state, or how to find it: ``advance`` (available at the next step, completed
    after the last), ``restore`` (what it was before), ``edited`` (as it is), ``removed``.
    """

    operation: str
    event: str
    role: Role
    sources: tuple[str, ...]
    target: str
    holder: NextHolder
    holder_only: bool = False
    reason: ReasonRule = "none"
    summary: str


TRANSITIONS: dict[str, Transition] = {
    row.operation: row
    for row in (
        Transition(
            operation="take",
            event="item.taken",
            role=Role.WORKER,
            sources=("available", "paused"),
            target="occupied",
            holder="caller",
            summary="Occupy an item: from now on nobody else can.",
        ),
        Transition(
            operation="pause",
            event="item.paused",
            role=Role.WORKER,
            sources=("occupied",),
            target="paused",
            holder="nobody",
            holder_only=True,
            reason="optional",
            summary="Stop for now and free the item: anyone may take it on.",
        ),
        Transition(
            operation="complete",
            event="item.completed",
            role=Role.WORKER,
            sources=("occupied",),
            target="advance",
            holder="nobody",
            holder_only=True,
            summary="Finish the present step: available at the next one, completed after the last.",
        ),
        Transition(
            operation="release",
            event="item.released",
            role=Role.WORKER,
            sources=("occupied",),
            target="restore",
            holder="nobody",
            holder_only=True,
            summary="Undo a mistaken take: the item is what it was before, and no time is counted.",
        ),
        Transition(
            operation="force-release",
            event="item.force_released",
            role=Role.SUPERVISOR,
            sources=("occupied",),
            target="paused",
            holder="nobody",
            reason="required",
            summary="Take an item out of somebody's hands.",
        ),
        Transition(
            operation="reassign",
            event="item.reassigned",
            role=Role.SUPERVISOR,
            sources=("occupied", "available", "paused"),
            target="occupied",
            holder="to",
            reason="optional",
            summary="Give an item to a worker, with no moment in which it is free.",
        ),
        Transition(
            operation="block",
            event="item.blocked",
            role=Role.SUPERVISOR,
            sources=("available", "paused", "occupied"),
            target="blocked",
            holder="nobody",
            reason="required",
            summary="Let nobody work on an item until it is unblocked.",
        ),
        Transition(
            operation="unblock",
            event="item.unblocked",
            role=Role.SUPERVISOR,
            sources=("blocked",),
            target="restore",
            holder="nobody",
            summary="Back to what it was before the block, without a holder.",
        ),
        Transition(
            operation="reopen",
            event="item.reopened",
            role=Role.SUPERVISOR,
            sources=("completed",),
            target="available",
            holder="nobody",
            summary="Make a completed item available again, at the last step or at `step`.",
        ),
    )
}

PUT = Transition(
    operation="put",
    event="item.updated",  # item.added where there was none
    role=Role.SUPERVISOR,
    sources=STATES,
    target="edited",
    holder="keep",
    summary="Add an item, or edit its title and attributes.",
)
RENAME = Transition(  # by the service itself, see renames.py
    operation="rename",
    event="item.updated",
    role=Role.ADMIN,
    sources=STATES,
    target="edited",
    holder="keep",
    summary="Show the new name of an item's holder.",
)
REMOVE = Transition(
    operation="remove",
    event="item.removed",
    role=Role.SUPERVISOR,
    sources=("available", "paused", "blocked", "completed"),
    target="removed",
    holder="nobody",
    summary="Remove an item that nobody holds.",
)


class Person(msgspec.Struct, frozen=True):
    """Who did it, or who holds it."""

    id: str
    name: str


SERVICE = Person("occupancy", "occupancy")  # the actor of what the service does by itself


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
    means: Means | None = None  # by which the actor was let in; None in events of long ago


class Worker(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person or a program that may act; stored as JSON under its id."""

    id: str
    name: str
    role: str
    disabled: bool = False
    pin_hash: str | None = None
    stamp: int = 0  # sessions opened at a lower one have ended

    @property
    def person(self) -> Person:
        return Person(self.id, self.name)

    def may(self, role: Role) -> bool:
        return Role.of(self.role) >= role


def control_character(text: str) -> str | None:
    """The first control character or lone surrogate in ``text``, or None.

    Such characters have no place in titles, names and reasons: they garble logs and terminals,
    NUL ends strings elsewhere, and a lone surrogate cannot be written as UTF-8 at all.
    """
    return next((char for char in text if unicodedata.category(char) in ("Cc", "Cs")), None)

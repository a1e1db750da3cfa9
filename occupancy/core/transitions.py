"""The transition table: the state machine, in one place.

The script that carries out operations gets the transition as its argument; routes, command line,
OpenAPI document, documentation and the pages' buttons are made from the same table. No other
module names an operation.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from occupancy.core.entities import STATES, Role

FieldRule = Literal["none", "optional", "required"]
NextHolder = Literal["caller", "to", "nobody", "keep"]
Button = Literal["none", "primary", "secondary", "minor"]

# What a target means that is no state; each is an effect of the script.
TARGETS = {
    "advance": "available at the next step, completed after the last",
    "restore": "what it was before",
    "undone": "occupied again, as before it was completed",
    "sent_back": "available at `step`",
    "edited": "as it is",
    "renamed": "as it is",
    "removed": "removed",
}


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the state machine.

    ``target`` is a state, or one of TARGETS.

    ``holder_only``: only the holder may do it. ``needs_free``: an occupied item is refused as held.
    ``added_event``: it adds an absent item, with this event. ``counts_time``: the time of the hold
    that it ends is added to the item's. ``completions`` is added to the board's completions.
    ``is_step_earlier``: ``step`` must be before the item's own.

    ``keeps_undo``: the item keeps what it was, until its next change. ``within_s``: possible for so
    many seconds after that, and only for who did it. ``undone_by``: the operation that takes it
    back, offered beside its notice on a page.

    On the pages the buttons stand in the order of the table, ``primary`` (filled) before
    ``secondary`` (outlined); a menu has the ``minor`` ones. ``is_for_others``: not offered on an
    item that the user holds. ``key``: the keyboard shortcut on a board.
    """

    operation: str
    event: str
    role: Role
    sources: tuple[str, ...]
    target: str
    holder: NextHolder
    holder_only: bool = False
    needs_free: bool = False
    added_event: str = ""
    counts_time: bool = False
    completions: int = 0
    keeps_undo: bool = False
    within_s: int = 0
    undone_by: str = ""
    reason: FieldRule = "none"
    step: FieldRule = "none"
    is_step_earlier: bool = False
    summary: str
    button: Button = "minor"
    is_for_others: bool = False
    key: str = ""

    @property
    def fields(self) -> dict[str, FieldRule]:
        """The fields of the body besides ``epoch``, and whether the operation takes them."""
        to: FieldRule = "required" if self.holder == "to" else "none"
        return {"reason": self.reason, "to": to, "step": self.step}


# fmt: off
TRANSITIONS: dict[str, Transition] = {
    each.operation: each
    for each in (
        Transition(
            operation="take", event="item.taken", role=Role.WORKER,
            sources=("available", "paused"), target="occupied", holder="caller", needs_free=True,
            undone_by="release", button="primary", key="t",
            summary="Occupy an item: from now on nobody else can.",
        ),
        Transition(
            operation="pause", event="item.paused", role=Role.WORKER,
            sources=("occupied",), target="paused", holder="nobody", counts_time=True,
            holder_only=True, reason="optional", button="secondary", key="p",
            summary="Stop for now and free the item: anyone may take it on.",
        ),
        Transition(
            operation="complete", event="item.completed", role=Role.WORKER,
            sources=("occupied",), target="advance", holder="nobody", counts_time=True,
            completions=1, keeps_undo=True, undone_by="undo", holder_only=True,
            button="primary", key="c",
            summary="Finish the present step: available at the next one, completed after the last.",
        ),
        Transition(
            operation="undo", event="item.undone", role=Role.WORKER,
            sources=("available", "completed"), target="undone", holder="caller", needs_free=True,
            completions=-1, within_s=60, button="none", key="z",
            summary="Take back a mistaken complete, within 60 seconds and while nobody has changed "
            "the item since: you hold it again, at its step, and its time goes on.",
        ),
        Transition(
            operation="release", event="item.released", role=Role.WORKER,
            sources=("occupied",), target="restore", holder="nobody", holder_only=True,
            summary="Undo a mistaken take: the item is what it was before, and no time is counted.",
        ),
        Transition(
            operation="force-release", event="item.force_released", role=Role.SUPERVISOR,
            sources=("occupied",), target="paused", holder="nobody", counts_time=True,
            reason="required", is_for_others=True,
            summary="Take an item out of somebody's hands.",
        ),
        Transition(
            operation="reassign", event="item.reassigned", role=Role.SUPERVISOR,
            sources=("occupied", "available", "paused"), target="occupied", holder="to",
            reason="optional",
            summary="Give an item to a worker, with no moment in which it is free.",
        ),
        Transition(
            operation="block", event="item.blocked", role=Role.SUPERVISOR,
            sources=("available", "paused", "occupied"), target="blocked", holder="nobody",
            counts_time=True, reason="required",
            summary="Let nobody work on an item until it is unblocked.",
        ),
        Transition(
            operation="unblock", event="item.unblocked", role=Role.SUPERVISOR,
            sources=("blocked",), target="restore", holder="nobody",
            summary="Back to what it was before the block, without a holder.",
        ),
        Transition(
            operation="reopen", event="item.reopened", role=Role.SUPERVISOR,
            sources=("completed",), target="available", holder="nobody", step="optional",
            summary="Make a completed item available again, at the last step or at `step`.",
        ),
        Transition(
            operation="send-back", event="item.sent_back", role=Role.SUPERVISOR,
            sources=("available", "paused", "completed"), target="sent_back", holder="nobody",
            needs_free=True, reason="required", step="required", is_step_earlier=True,
            summary="Send an item that nobody holds back to an earlier step.",
        ),
    )
}

PUT = Transition(
    operation="put", event="item.updated", role=Role.SUPERVISOR,
    sources=STATES, target="edited", holder="keep", added_event="item.added", button="none",
    summary="Add an item, or edit its title and attributes.",
)
RENAME = Transition(  # by the service itself, see holder_names.py
    operation="rename", event="item.updated", role=Role.ADMIN,
    sources=STATES, target="renamed", holder="keep", button="none",
    summary="Show the new name of an item's holder.",
)
REMOVE = Transition(
    operation="remove", event="item.removed", role=Role.SUPERVISOR,
    sources=("available", "paused", "blocked", "completed"), target="removed", holder="nobody",
    needs_free=True, button="none",
    summary="Remove an item that nobody holds.",
)
# fmt: on

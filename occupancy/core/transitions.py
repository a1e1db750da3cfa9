"""The transition table: the state machine, stated once.

The atomic script, the routes, the command line, the OpenAPI document and the pages read an
operation's rules from its row and never compare its name. docs/design.md shows how to add one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from occupancy.core.entities import STATES, Role

FieldRule = Literal["none", "optional", "required"]
NextHolder = Literal["caller", "to", "nobody", "keep"]
Button = Literal["none", "primary", "secondary", "menu"]


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
    needs_free: bool = False  # on an occupied item the refusal is `held`, not `wrong_state`
    counts_work: bool = True  # False: the time since the take is not counted
    added_event: str = ""  # the event where the operation adds the item
    reason: FieldRule = "none"
    step: FieldRule = "none"
    summary: str
    # On the pages, which show the buttons in the order of the table, primary before secondary.
    button: Button = "none"  # filled, outlined, or in the menu behind "⋯"
    is_for_others: bool = False  # the pages do not offer it on an item that the user holds
    key: str = ""  # keyboard shortcut on the board's page

    @property
    def fields(self) -> dict[str, FieldRule]:
        """The fields of the body besides ``epoch``, and whether the operation takes them."""
        to: FieldRule = "required" if self.holder == "to" else "none"
        return {"reason": self.reason, "to": to, "step": self.step}


TRANSITIONS: dict[str, Transition] = {
    transition.operation: transition
    for transition in (
        Transition(
            operation="take",
            event="item.taken",
            role=Role.WORKER,
            sources=("available", "paused"),
            target="occupied",
            holder="caller",
            needs_free=True,
            summary="Occupy an item: from now on nobody else can.",
            button="primary",
            key="t",
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
            button="secondary",
            key="p",
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
            button="primary",
            key="c",
        ),
        Transition(
            operation="release",
            event="item.released",
            role=Role.WORKER,
            sources=("occupied",),
            target="restore",
            holder="nobody",
            holder_only=True,
            counts_work=False,
            summary="Undo a mistaken take: the item is what it was before, and no time is counted.",
            button="menu",
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
            button="menu",
            is_for_others=True,
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
            button="menu",
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
            button="menu",
        ),
        Transition(
            operation="unblock",
            event="item.unblocked",
            role=Role.SUPERVISOR,
            sources=("blocked",),
            target="restore",
            holder="nobody",
            summary="Back to what it was before the block, without a holder.",
            button="menu",
        ),
        Transition(
            operation="reopen",
            event="item.reopened",
            role=Role.SUPERVISOR,
            sources=("completed",),
            target="available",
            holder="nobody",
            step="optional",
            summary="Make a completed item available again, at the last step or at `step`.",
            button="menu",
        ),
    )
}

PUT = Transition(
    operation="put",
    event="item.updated",
    added_event="item.added",
    role=Role.SUPERVISOR,
    sources=STATES,
    target="edited",
    holder="keep",
    summary="Add an item, or edit its title and attributes.",
)
RENAME = Transition(  # by the service itself, see boards/holder_names.py
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
    needs_free=True,
    summary="Remove an item that nobody holds.",
)

"""Refusals: from the code that the script returns to an error that a worker understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from occupancy.boards.records import Outcome, item_not_found
from occupancy.core import errors
from occupancy.core.entities import Item
from occupancy.core.transitions import Transition

# By the script's code: the error and its text.
_REFUSALS: dict[str, tuple[type[errors.OccupancyError], str]] = {
    "held": (
        errors.Held,
        "{tag} is held by {holder} since {since}. Wait until it is free, or ask {holder}.",
    ),
    "wrong_state": (
        errors.WrongState,
        "{tag} is {item.state}; {operation} is possible only when it is {sources}.",
    ),
    "blocked": (
        errors.Blocked,
        "{tag} is blocked since {since}: {item.reason}. A supervisor can unblock it.",
    ),
    "not_holder": (
        errors.NotHolder,
        "{tag} is held by {holder} since {since}; only its holder can {operation} it. A supervisor "
        "can release or reassign it.",
    ),
    "stale_epoch": (
        errors.StaleEpoch,
        "{tag} has changed hands since; its epoch is {item.epoch} now. Load it again.",
    ),
    "version_mismatch": (
        errors.VersionMismatch,
        "{tag} has changed since; its version is {item.version} now. Load it again.",
    ),
    "exists": (
        errors.VersionMismatch,
        "There is an item {tag} already; its title is {item.title}. Choose another tag.",
    ),
    "limit_reached": (
        errors.LimitReached,
        "{tag} cannot be held as well: the board's limit of items at a time is reached. "
        "Pause or complete one first.",
    ),
    "unknown_step": (errors.InvalidRequest, "step must be one of {steps}."),
    "not_earlier": (errors.InvalidRequest, "step must be one of {steps}."),
    "undo_touched": (
        errors.WrongState,
        "There is no completion of {tag} to undo: nobody has completed it, or somebody has changed "
        "it since. A supervisor can send it back.",
    ),
    "undo_others": (
        errors.NotHolder,
        "Somebody else has completed {tag}, and only they can undo that. Ask them to.",
    ),
    "undo_late": (
        errors.WrongState,
        "{tag} was completed more than {within_s} seconds ago, too long to undo it. A supervisor "
        "can send it back.",
    ),
}


def refusal(
    board: str, transition: Transition, outcome: Outcome, *, to: str | None = None
) -> errors.OccupancyError:
    """The error for an outcome that is not done; ``to`` is the worker who was to get the item."""
    tag, code = outcome.tag, outcome.code
    if code == "worker_not_found":
        return errors.WorkerNotFound(
            f"{tag} cannot be given to {to}: no worker has this id, or the worker is disabled or "
            "an observer. Choose another worker."
        )
    if not outcome.item:
        if code == "version_mismatch":
            detail = f"There is no item {tag}, so nothing matches If-Match. Leave it out to add."
            return errors.VersionMismatch(detail, tag=tag)
        return item_not_found(board, tag)
    item = msgspec.json.decode(outcome.item, type=Item)
    extra: dict[str, Any] = {
        "holder": item.holder,
        "since": item.since,
        "version": item.version,
        "item": msgspec.Raw(outcome.item),
    }
    kind, text = _REFUSALS[code]
    if outcome.item_is_current:
        # The first answer's text may no longer be true of the item.
        text = (
            "{tag} was refused when this Idempotency-Key was first used. That version of the item "
            "is no longer kept; this is how it is now. Use a new key to try again."
        )
        extra["item_is_current"] = True
    detail = text.format(
        tag=tag,
        item=item,
        holder=item.holder.name if item.holder else "nobody",
        since=f"{item.since[:10]} {item.since[11:19]} UTC",
        operation=transition.operation,
        sources=" or ".join(transition.sources),
        steps=_possible_steps(transition, item, outcome.steps),
        within_s=transition.within_s,
    )
    return kind(detail, **extra)


def _possible_steps(transition: Transition, item: Item, steps: Sequence[str]) -> str:
    """What ``step`` may be, in words; also by name if the board's steps are known."""
    what = "the board's steps"
    if transition.is_step_earlier:
        what = f"the steps before {item.step}"
        if item.step in steps:
            steps = steps[: steps.index(item.step)]
            if not steps:
                return f"{what}: there is none"
    return f"{what}: {', '.join(steps)}" if steps else what

"""Refusals: from the code that the script returns to an error that a worker understands."""

from __future__ import annotations

from typing import Any

import msgspec

from occupancy.boards.records import Outcome, item_not_found
from occupancy.core.entities import Item
from occupancy.core.errors import (
    Blocked,
    Held,
    InvalidRequest,
    LimitReached,
    NotHolder,
    OccupancyError,
    StaleEpoch,
    VersionMismatch,
    WorkerNotFound,
    WrongState,
)
from occupancy.core.transitions import Transition

# By the script's code: the error and its text.
_REFUSALS: dict[str, tuple[type[OccupancyError], str]] = {
    "held": (Held, "{tag} is held by {holder} since {since}."),
    "wrong_state": (
        WrongState, "{tag} is {item.state}; {operation} is possible only when it is {sources}.",
    ),
    "blocked": (Blocked, "{tag} is blocked since {since}: {item.reason}."),
    "not_holder": (
        NotHolder,
        "{tag} is held by {holder} since {since}; only its holder can {operation} it.",
    ),
    "stale_epoch": (
        StaleEpoch,
        "{tag} has changed hands since; its epoch is {item.epoch} now. Load it again.",
    ),
    "version_mismatch": (
        VersionMismatch,
        "{tag} has changed since; its version is {item.version} now. Load it again.",
    ),
    "limit_reached": (
        LimitReached,
        "{tag} cannot be held as well: the board's limit of items at a time is reached. "
        "Pause or complete one first.",
    ),
    "unknown_step": (InvalidRequest, "step is not one of the board's steps."),
}  # fmt: skip


def refusal(
    board: str, transition: Transition, outcome: Outcome, *, to: str | None = None
) -> OccupancyError:
    """The error for an outcome that is not done; its ``extra`` helps to act on it.

    ``to`` is the id of the worker who was to get the item.
    """
    tag, code = outcome.tag, outcome.code
    if code == "worker_not_found":
        return WorkerNotFound(
            f"{tag} cannot be given to {to}: there is no such worker, or it is disabled or an "
            "observer."
        )
    if not outcome.item:
        if code == "version_mismatch":
            return VersionMismatch(f"There is no item {tag} that If-Match could match.", tag=tag)
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
            "is no longer kept; this is how it is now."
        )
        extra["item_is_current"] = True
    detail = text.format(
        tag=tag,
        item=item,
        holder=item.holder.name if item.holder else "nobody",
        since=f"{item.since[:10]} {item.since[11:19]} UTC",
        operation=transition.operation,
        sources=" or ".join(transition.sources),
    )
    return kind(detail, **extra)

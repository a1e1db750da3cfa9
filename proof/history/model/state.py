"""The state of an item, as far as answers tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from proof.history.model.table import NO_ITEM

UNKNOWN = "\0"  # a reason that is not known


class State(NamedTuple):
    """An item. The last fields are in no answer; None there means not known."""

    state: str
    step: str
    holder: str
    reason: str | None
    epoch: int
    version: int
    title: str
    attributes: str
    is_exact: bool = True  # else epoch and version are at least these
    prior: str | None = "available"  # what release and unblock restore
    prior_reason: str | None = None
    last: tuple[str, str] | None = ("", "")  # the last operation and who did it, without puts
    undo: tuple[str, str | None] | None = ("", None)  # step and reason before a completion, or ""


def state_of(item: Mapping[str, Any] | None, *, is_new: bool = False) -> State:
    """The state that an answer shows; ``is_new``: the item was just added."""
    if item is None:
        return State(NO_ITEM, "", "", None, 0, 0, "", "{}", is_exact=False)
    holder = item["holder"]
    return State(
        item["state"], item["step"], str(holder["id"]) if holder else "", item["reason"],
        item["epoch"], item["version"], item["title"], attributes_text(item["attributes"]),
        True,
        *(("available", None, ("", ""), ("", None)) if is_new else (None, UNKNOWN, None, None)),
    )  # fmt: skip


def attributes_text(attributes: Mapping[str, Any]) -> str:
    return json.dumps(attributes, sort_keys=True) if attributes else "{}"


def seen_as(state: State, item: Mapping[str, Any]) -> State | None:
    """``state`` completed by what ``item`` shows; None if they contradict each other."""
    holder = item["holder"]
    if (
        state.state != item["state"]
        or state.holder != (str(holder["id"]) if holder else "")
        or state.step != item["step"]
        or state.title != item["title"]
        or state.attributes != attributes_text(item["attributes"])
    ):
        return None
    if state.reason != item["reason"]:
        if state.reason != UNKNOWN:
            return None
        state = state._replace(reason=item["reason"])
    epoch, version = item["epoch"], item["version"]
    if state.epoch == epoch and state.version == version:
        return state if state.is_exact else state._replace(is_exact=True)
    if state.is_exact or epoch < state.epoch or version < state.version:
        return None
    return state._replace(epoch=epoch, version=version, is_exact=True)

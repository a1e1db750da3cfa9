"""Whether the model explains what was seen: the answer to a call, or an event of the log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from proof.history.call import Call
from proof.history.history import Event, History, events_of, holder_of
from proof.history.model.operations import Request, Rules, carry_out, refused_at_once
from proof.history.model.state import State, seen_as, state_of
from proof.history.model.table import NO_ITEM, TABLE

OPERATIONS = {row.event: name for name, row in TABLE.items()} | {"item.added": "put"}  # by event
# By code; '' is an operation that is done.
_STATUSES = {
    "": (200, 201), "forbidden": (403,), "not_holder": (403,), "invalid_request": (400,),
    "not_found": (404,), "item_not_found": (404,), "worker_not_found": (404,), "held": (409,),
    "wrong_state": (409,), "blocked": (409,), "stale_epoch": (409,), "limit_reached": (409,),
    "version_mismatch": (412,),
}  # fmt: skip


class CalledOperation:
    """A call, as the search needs it: which states it may leave."""

    def __init__(self, call: Call, rules: Rules) -> None:
        self.call = call
        self.sent_s, self.answered_s = call.sent_s, call.known_s
        self.is_known = call.reply is not None
        arguments = call.arguments
        self._request = Request(call.operation, call.tag, call.worker, arguments, call.if_match)
        self._rules = rules
        self._code, self._item, self._is_change = "", None, False
        if call.reply is not None:
            body = call.reply.body
            is_done = call.reply.status in (200, 201)
            self._code = "" if is_done else str(body.get("code"))
            self._is_change = is_done and bool(body.get("changed"))
            # Of a repeated answer whose version is no longer kept, the item is a later one.
            self._item = None if body.get("item_is_current") else body.get("item")
            if call.reply.status not in _STATUSES.get(self._code, ()):
                self._code = f"{call.reply.status} {self._code}"  # nothing explains it

    @property
    def version(self) -> int | None:
        """The version of the item that the answer shows, or None."""
        return None if self._item is None else int(self._item["version"])

    @property
    def is_change(self) -> bool:
        """Whether the answer says that it has changed the item."""
        return self._is_change

    @property
    def is_removal(self) -> bool:
        return self.call.operation == "remove"

    @property
    def signature(self) -> Any:
        """Equal for calls with the same effect."""
        return (self.call.operation, self.call.worker, self.call.if_match,
                repr(sorted(self.call.arguments.items())))  # fmt: skip

    @property
    def is_decided_at_once(self) -> bool:
        """Whether the answer is a refusal that is right in every state of the item."""
        return self.is_known and self._code != "" and self._code == refused_at_once(
            self._request, self._rules
        )  # fmt: skip

    def states_after(self, state: State) -> Iterator[State]:
        """The states that the call may leave; none, if its answer is wrong in ``state``.

        A call without a known answer yields only changes. The search leaves such a call out where
        it had no effect.
        """
        for outcome in carry_out(state, self._request, self._rules):
            if not self.is_known:
                if outcome.is_change:
                    yield outcome.state
            elif outcome.code == self._code and outcome.is_change == self._is_change:
                seen = self._seen(state, outcome.state)
                if seen is not None:
                    yield seen

    def _seen(self, before: State, after: State) -> State | None:
        if self._item is None:
            return after
        if after.state != NO_ITEM:
            return seen_as(after, self._item)
        if before.state == NO_ITEM:
            return None
        last = seen_as(before._replace(version=before.version + 1), self._item)
        if last is None:  # the answer to a removal shows the item as it was last
            return None
        return after._replace(epoch=last.epoch, version=last.version)

    def __str__(self) -> str:
        return str(self.call)


class Reading:
    """The item as stored at the end, which must be right after every call."""

    is_known = True
    is_change = is_removal = False
    is_decided_at_once = False
    sent_s = answered_s = math.inf

    def __init__(self, tag: str, item: Mapping[str, Any] | None) -> None:
        self.tag, self._item = tag, item

    @property
    def version(self) -> int | None:
        return None if self._item is None else int(self._item["version"])

    @property
    def signature(self) -> Any:
        return self.tag

    def states_after(self, state: State) -> Iterator[State]:
        if self._item is None:
            if state.state == NO_ITEM:
                yield state
        elif state.state != NO_ITEM and (seen := seen_as(state, self._item)) is not None:
            yield seen

    def __str__(self) -> str:
        shown = "nothing" if self._item is None else f"version {self._item['version']}"
        return f"{self.tag} at the end ({shown})"


def following(state: State, event: Event, rules: Rules) -> State | None:
    """The state after the event, or None if it cannot be."""
    operation = OPERATIONS.get(event.type)
    if operation is None or event.actor not in rules.roles:
        return None
    row, item = TABLE[operation], event.item
    arguments: dict[str, Any] = {}
    if row.reason and (item["reason"] is not None or row.reason == "required"):
        arguments["reason"] = item["reason"]
    if row.to:
        arguments["to"] = holder_of(item)
    if row.step:
        arguments["step"] = item["step"]
    if operation == "put":
        arguments = {"title": item["title"], "attributes": item["attributes"]}
    request = Request(operation, item["tag"], event.actor, arguments)
    for outcome in carry_out(state, request, rules):
        if not outcome.is_change:
            continue
        if operation == "remove":
            left = state._replace(version=state.version + 1)
            return outcome.state if seen_as(left, item) is not None else None
        seen = seen_as(outcome.state, item)
        if seen is not None:
            return seen
    return None


def start_states(history: History, board: str) -> dict[str, State]:
    """The state of each item before the round; its earlier events tell what the item does not."""
    rules = Rules(history.steps[board], history.roles)
    state = history.before[board]
    found: dict[str, State] = {}
    for event in events_of(state.log):
        tag = event.item["tag"]
        known = found.get(tag) or state_of(None)
        after = following(known, event, rules) if known.state or tag not in found else None
        found[tag] = after or state_of(event.item)
    states = {}
    for tag, item in state.items.items():
        known = found.get(tag) or state_of(None)
        as_stored = seen_as(known, item) if known.state != NO_ITEM else None
        states[tag] = as_stored or state_of(item, is_new=item["version"] == 1)
    return states

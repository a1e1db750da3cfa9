"""What an operation does to an item, or which refusal is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from proof.history.model.state import UNKNOWN, State, attributes_text
from proof.history.model.table import NO_ITEM, RANKS, TABLE

_FIELDS = {"put": {"title", "attributes"}}  # of the body, beside those of the row


class Request(NamedTuple):
    """An operation that a caller sends."""

    operation: str
    tag: str
    caller: str
    arguments: Mapping[str, Any] = {}
    if_match: int | None = None


class Rules(NamedTuple):
    """What the outcome depends on, beside the item and the request."""

    steps: Sequence[str]
    roles: Mapping[str, str]
    max_holds: int = 0


class Outcome(NamedTuple):
    """A possible outcome. ``code`` is that of the refusal; '' if the operation is done."""

    state: State
    code: str = ""
    is_change: bool = False


def carry_out(state: State, request: Request, rules: Rules) -> Iterator[Outcome]:
    """The possible outcomes: one, or several where ``state`` is not completely known."""
    refusal = refused_at_once(request, rules)
    if not refusal and state.state == NO_ITEM and request.operation != "put":
        refusal = "item_not_found"
    refusal = refusal or _receiver(request, rules) or _precondition(state, request)
    if refusal:
        yield Outcome(state, refusal)
        return
    repeated = _is_repeat(state, request)
    if repeated is not False:
        yield Outcome(state)
    if repeated:
        return
    refusal = _refusal(state, request, rules)
    if refusal:
        yield Outcome(state, refusal)
        return
    for after in _effects(state, request, rules):
        yield Outcome(_counted(state, after, request), is_change=True)
    if rules.max_holds and request.operation in ("take", "reassign", "undo"):
        yield Outcome(state, "limit_reached")  # it depends on other items
    if request.operation == "undo":
        # Whether it is in time, the answers do not tell; log_checks.py looks at the clock.
        yield Outcome(state, "wrong_state")
        if state.last is None:
            yield Outcome(state, "not_holder")


def refused_at_once(request: Request, rules: Rules) -> str:
    """The refusal that depends on the caller and the arguments only, or ''."""
    row = TABLE.get(request.operation)
    if row is None:
        return "not_found"
    if RANKS[rules.roles[request.caller]] < RANKS[row.role]:
        return "forbidden"
    fields = {"reason": row.reason, "step": row.step, "to": row.to, "epoch": "optional"}
    if request.operation == "put":
        del fields["epoch"]
    allowed = {name for name, rule in fields.items() if rule} | _FIELDS.get(
        request.operation, set()
    )
    if request.arguments.keys() - allowed or any(
        rule == "required" and name not in request.arguments for name, rule in fields.items()
    ):
        return "invalid_request"
    return ""


def _receiver(request: Request, rules: Rules) -> str:
    if request.operation != "reassign":
        return ""
    role = rules.roles.get(request.arguments["to"], "")
    return "" if RANKS.get(role, 0) >= RANKS["worker"] else "worker_not_found"


def _precondition(state: State, request: Request) -> str:
    """If-Match and the epoch are checked before the state of the item."""
    if request.if_match is not None and (
        state.state == NO_ITEM or request.if_match != state.version
    ):
        return "version_mismatch"
    if state.state != NO_ITEM and request.arguments.get("epoch", state.epoch) != state.epoch:
        return "stale_epoch"
    return ""


def _is_repeat(state: State, request: Request) -> bool | None:
    """Whether its effect already stands for this caller; None: not known."""
    if state.state == NO_ITEM:
        return False
    if request.operation == "put":
        return _edited(state, request) == state
    if request.operation in ("take", "reassign"):
        holder = request.arguments.get("to", request.caller)
        return state.state == "occupied" and state.holder == holder
    if request.arguments.get("step", state.step) != state.step:
        return False
    if state.last is None:
        return None if state.state in _LEFT_BY[request.operation] else False
    return state.last == (request.operation, request.caller)


_LEFT_BY = {  # the states that each may leave behind
    "pause": ("paused",), "complete": ("available", "completed"),
    "release": ("available", "paused"), "force-release": ("paused",), "block": ("blocked",),
    "unblock": ("available", "paused"), "reopen": ("available",), "remove": (),
    "undo": ("occupied",), "send-back": ("available",),
}  # fmt: skip


def _refusal(state: State, request: Request, rules: Rules) -> str:
    row = TABLE[request.operation]
    if state.state not in row.sources:
        if state.state == "occupied" and request.operation in _FOR_FREE:
            return "held"
        return "blocked" if state.state == "blocked" else "wrong_state"
    if row.is_for_holder and state.holder != request.caller:
        return "not_holder"
    possible = _before(state, rules) if request.operation == "send-back" else rules.steps
    if request.arguments.get("step", rules.steps[0]) not in possible:
        return "invalid_request"
    return _undo_refusal(state, request, rules) if request.operation == "undo" else ""


_FOR_FREE = ("take", "remove", "undo", "send-back")  # refused as held, where somebody has it


def _before(state: State, rules: Rules) -> Sequence[str]:
    """The steps before the item's."""
    return rules.steps[: rules.steps.index(state.step)]


def _undo_refusal(state: State, request: Request, rules: Rules) -> str:
    """The refusal where it is certain; of an item that is not known, undo may be right."""
    if state.undo is None:
        may_be = state.state == "completed" or bool(_before(state, rules))
    else:
        may_be = state.undo[0] != ""
    if not may_be or (state.last is not None and state.last[0] != "complete"):
        return "wrong_state"
    return "not_holder" if state.last is not None and state.last[1] != request.caller else ""


def _effects(state: State, request: Request, rules: Rules) -> Iterator[State]:
    """The item afterwards, without epoch and version."""
    operation = request.operation
    reason = request.arguments.get("reason")
    if operation == "put":
        yield _edited(state if state.state else _added(state, request, rules), request)
        return
    free = state._replace(holder="", last=(operation, request.caller), undo=("", None))
    if operation in ("take", "reassign"):
        if state.state != "occupied":
            free = free._replace(prior=state.state, prior_reason=state.reason)
        holder = request.arguments.get("to", request.caller)
        yield free._replace(state="occupied", holder=holder, reason=reason)
    elif operation in ("pause", "force-release"):
        yield free._replace(state="paused", reason=reason)
    elif operation == "block":
        prior = "paused" if state.state == "occupied" else state.state
        prior_reason = state.reason if state.state == "paused" else None
        yield free._replace(state="blocked", reason=reason, prior=prior, prior_reason=prior_reason)
    elif operation in ("release", "unblock"):
        for prior in [state.prior] if state.prior is not None else ["available", "paused"]:
            yield free._replace(state=prior, reason=state.prior_reason)
    elif operation == "complete":
        following = list(rules.steps[rules.steps.index(state.step) + 1 :])
        step = following[0] if following else state.step
        yield free._replace(
            state="available" if following else "completed", step=step, reason=None,
            undo=(state.step, state.reason),
        )  # fmt: skip
    elif operation == "undo":
        yield _undone(state, free, rules)._replace(holder=request.caller)
    elif operation == "send-back":
        yield free._replace(state="available", step=request.arguments["step"], reason=reason)
    elif operation == "reopen":
        step = request.arguments.get("step", rules.steps[-1])
        yield free._replace(state="available", step=step, reason=None)
    elif operation == "remove":
        yield State(NO_ITEM, "", "", None, state.epoch, state.version, "", "{}", is_exact=False)


def _undone(state: State, free: State, rules: Rules) -> State:
    """The item as it was before its completion, of which answers alone show the step only."""
    before = state.undo
    if before is None:
        step = state.step if state.state == "completed" else _before(state, rules)[-1]
        before = (step, UNKNOWN)
    return free._replace(state="occupied", step=before[0], reason=before[1])


def _added(state: State, request: Request, rules: Rules) -> State:
    """A new item. Its epoch and version go on from those of a removed one, or are higher."""
    return State(
        "available", rules.steps[0], "", None, state.epoch, state.version, request.tag, "{}",
        is_exact=False,
    )  # fmt: skip


def _edited(state: State, request: Request) -> State:
    attributes = request.arguments.get("attributes")
    edited = state._replace(
        title=request.arguments.get("title", state.title),
        attributes=state.attributes if attributes is None else attributes_text(attributes),
    )
    return edited if edited == state else edited._replace(undo=("", None))


def _counted(before: State, after: State, request: Request) -> State:
    """Each change raises the version, and each change of holder the epoch."""
    return after._replace(
        version=before.version + 1,
        epoch=before.epoch + (before.holder != after.holder),
    )

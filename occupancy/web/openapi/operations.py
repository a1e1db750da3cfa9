"""Operations of the OpenAPI document: their common shape, parameters, headers and refusals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from occupancy.core import errors
from occupancy.core.entities import (
    BOARD_PATTERN,
    MAX_SNAPSHOT_ITEMS,
    MAX_TIMELINE_HOURS,
    STATES,
    TAG_PATTERN,
    WORKER_PATTERN,
    Role,
)
from occupancy.core.errors import OccupancyError
from occupancy.core.transitions import TRANSITIONS, Transition
from occupancy.web.io import JSON_TYPE, PROBLEM_TYPE
from occupancy.web.openapi.schemas import CURSOR, INTEGER, TEXT, pattern, ref

STORE = (errors.PoolTimeout, errors.StoreUnavailable)
WRITES = (errors.CsrfFailed, *STORE, errors.Unconfirmed)
BOARD_WRITES = (
    *WRITES, errors.BoardNotFound, errors.VersionMismatch, errors.IdempotencyKeyReused,
)  # fmt: skip


# Parameters and headers


def parameter(
    place: str, name: str, schema: dict[str, Any], text: str, *, required: bool = False
) -> dict[str, Any]:
    return {
        "in": place, "name": name, "required": required, "description": text, "schema": schema,
    }  # fmt: skip


PARAMETERS: dict[str, Any] = {
    "Board": parameter("path", "board", pattern(BOARD_PATTERN), "The board.", required=True),
    "Tag": parameter("path", "tag", pattern(TAG_PATTERN), "The item's tag.", required=True),
    "IdempotencyKey": parameter("header", "Idempotency-Key", pattern(r"^[!-~]{1,255}\Z"),
        "Makes it safe to send the request again: for 24 hours the same key with the same request "
        "gets the first answer, marked `Idempotency-Replayed: true`. With another request: 422."),
    "IfMatch": parameter("header", "If-Match", TEXT,
        'Do it only if the item still has this version, quoted: `"12"`; otherwise 412. The forms '
        'that compressing proxies make of it (`W/"12"`, `"12-gzip"`) name the same version.'),
    "SettingsIfMatch": parameter("header", "If-Match", TEXT,
        "Do it only if the board's settings still have the version of this `ETag`; otherwise 412."),
    "IfNoneMatch": parameter(
        "header", "If-None-Match", TEXT, "The `ETag` you have: 304 if nothing has changed since. "
        "With `*`: 304 if it exists."),
    "IfNew": parameter(
        "header", "If-None-Match", {**TEXT, "enum": ["*"]},
        "`*`: only add; 412 if there is an item with this tag already."),
    "LastEventId": parameter("header", "Last-Event-ID", CURSOR,
        "Go on after this event. EventSource sends it by itself when it comes back."),
    "After": parameter("query", "after", CURSOR,
        "The same, for the first connection. `Last-Event-ID` and `lastEventId` in the query take "
        "precedence over it. Unknown parameters are ignored."),
    "Ticket": parameter("query", "ticket", TEXT,
        "A ticket, in place of a token or a cookie. Its first use binds it to that address and "
        "board."),
    "State": parameter("query", "state", {**TEXT, "enum": list(STATES)}, "Only this state."),
    "Holder": parameter("query", "holder", pattern(WORKER_PATTERN), "Only what they hold."),
    "Q": parameter("query", "q", TEXT,
        "Words to look for in tag, title and holder; a match has all of them. Case and accents do "
        "not matter. Each page searches `limit` items, so it may hold fewer matches than `limit`; "
        "`next` leads on."),
    "Limit": parameter("query", "limit",
        {**INTEGER, "minimum": 1, "maximum": MAX_SNAPSHOT_ITEMS, "default": MAX_SNAPSHOT_ITEMS},
        "Items on a page."),
    "HistoryLimit": parameter(
        "query", "limit", {**INTEGER, "minimum": 1, "maximum": 1000, "default": 100},
        "Events on a page."),
    "Hours": parameter(
        "query", "hours", {**INTEGER, "minimum": 1, "maximum": MAX_TIMELINE_HOURS, "default": 24},
        "How far back."),
    "Page": parameter("query", "page", TEXT, "The `next` of the page before."),
}  # fmt: skip

RESPONSE_HEADERS: dict[str, Any] = {
    "ETag": {"schema": TEXT, "description": "Send it back in `If-None-Match` or `If-Match`."},
    "IdempotencyReplayed": {
        "schema": {"const": "true"},
        "description": "Present where this repeats the answer to an earlier, equal request. Its "
        "item is as it was then; if that version is no longer kept, it is as it is now, and "
        "`item_is_current` is true.",
    },
    "RetryAfter": {"schema": INTEGER, "description": "Seconds to wait before the next try."},
}


# Problem responses

_PROBLEM_CONTENT = {PROBLEM_TYPE: {"schema": ref("schemas", "Problem")}}


def problem_responses(which: Iterable[type[OccupancyError]]) -> dict[str, Any]:
    """A response for each status of the kinds ``which``, with the codes that it may carry."""
    responses: dict[str, Any] = {}
    for status, group in itertools.groupby(
        sorted(set(which), key=lambda kind: (kind.status, kind.code)), lambda kind: kind.status
    ):
        found = list(group)
        response = responses[str(status)] = {
            "description": "\n\n".join(f"`{kind.code}`: {kind.explanation}" for kind in found),
            "content": _PROBLEM_CONTENT,
            "x-codes": [kind.code for kind in found],
        }
        if status in (429, 503):
            response["headers"] = {"Retry-After": ref("headers", "RetryAfter")}
    return responses


# Operations and responses


def operation(  # noqa: PLR0917 - the first six read as the line of a table
    tag: str,
    name: str,
    summary: str,
    role: Role | None,
    ok: dict[str, Any],
    kinds: Iterable[type[OccupancyError]] = (),
    *,
    parameters: Sequence[str | dict[str, Any]] = (),
    body: dict[str, Any] | None = None,
    must_have_body: bool = False,
    description: str = "",
) -> dict[str, Any]:
    """An operation of a path; ``role`` is the least role that may use it, None if it is public.

    ``kinds`` are its refusals, besides those that follow from a role and from a body. Any request
    may have to wait in turn and exceed a rate, so each may be refused as rate limited.
    """
    least = f"Least role: `{role.label}`." if role else "Open to everybody."
    made: dict[str, Any] = {
        "tags": [tag],
        "operationId": name,
        "summary": summary,
        "description": f"{description}\n\n{least}".strip(),
        "x-role": role.label if role else None,
    }
    refusals = {*kinds, errors.RateLimited}
    if role is None:
        made["security"] = []
    else:
        refusals |= {errors.InvalidRequest, errors.Unauthenticated, errors.Forbidden}
        if role > Role.WORKER:
            refusals.add(errors.PinRequired)
    if parameters:
        made["parameters"] = [
            ref("parameters", each) if isinstance(each, str) else each for each in parameters
        ]
    if body is not None:
        made["requestBody"] = {"required": must_have_body, "content": {JSON_TYPE: {"schema": body}}}
        refusals |= {errors.TooLarge, errors.UnsupportedMediaType}
    other = {"description": "Any other error.", "content": _PROBLEM_CONTENT}
    made["responses"] = {**ok, **problem_responses(refusals), "default": other}
    return made


def answer(
    schema: dict[str, Any], *headers: str, status: int = 200, text: str = "OK"
) -> dict[str, Any]:
    """A response with a JSON body, by its status; ``headers`` are names of components."""
    names = {"IdempotencyReplayed": "Idempotency-Replayed"}
    response: dict[str, Any] = {"description": text, "content": {JSON_TYPE: {"schema": schema}}}
    if headers:
        response["headers"] = {names.get(each, each): ref("headers", each) for each in headers}
    return {str(status): response}


def cached(responses: dict[str, Any]) -> dict[str, Any]:
    """``responses`` and the 304 of a route that evaluates If-None-Match."""
    return {**responses, "304": {"description": "Nothing has changed since your `ETag`."}}


def operation_id(transition: Transition) -> str:
    """The ``operationId`` of a row of the table; /docs links to it."""
    is_post = transition.operation in TRANSITIONS
    return transition.operation if is_post else f"{transition.operation}Item"


def operation_errors(transition: Transition) -> list[type[OccupancyError]]:
    """The refusals that an operation of the table may meet."""
    found = [*BOARD_WRITES, errors.ItemNotFound, errors.StaleEpoch]
    other_states = set(STATES) - set(transition.sources)
    if transition.needs_free:
        other_states.remove("occupied")
        found.append(errors.Held)
    if "blocked" in other_states:
        other_states.remove("blocked")
        found.append(errors.Blocked)
    if other_states:
        found.append(errors.WrongState)
    if transition.holder in ("caller", "to"):
        found.append(errors.LimitReached)
    if transition.holder_only or transition.within_s:
        found.append(errors.NotHolder)
    if transition.holder == "to":
        found.append(errors.WorkerNotFound)
    return found

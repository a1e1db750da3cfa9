"""Operations: from a request to a reply, for the API's routes and for the fast path.

Items come from the store as JSON and are put into the answer unchanged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from occupancy.boards.commands import Command
from occupancy.boards.records import Answer, Board, Outcome, Preconditions, Rate
from occupancy.boards.refusals import refusal
from occupancy.boards.store import Store
from occupancy.core.errors import InvalidRequest
from occupancy.core.principal import Principal
from occupancy.core.rate_limit import limited_address
from occupancy.core.requests.checks import check_fields
from occupancy.core.requests.items import OperationBody
from occupancy.core.transitions import Transition
from occupancy.services import Services
from occupancy.web.entity_tags import ANY, allowed_versions, known_tags
from occupancy.web.io import Reply, json_reply, not_modified, problem_reply
from occupancy.web.request import HttpRequest

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


def carry_out_one(
    services: Services,
    request: HttpRequest,
    principal: Principal,
    transition: Transition,
    *,
    board: str,
    tag: str,
    body: OperationBody,
) -> Reply:
    """Carry out an operation on one item. Board, tag and role must have been checked."""
    check_fields(transition, body)
    answer = carry_out(services, request, principal, transition, board=board, tags=[tag], body=body)
    return reply_of(board, transition, answer, to=body.to)


def carry_out(
    services: Services,
    request: HttpRequest,
    principal: Principal,
    transition: Transition,
    *,
    board: str,
    tags: Sequence[str],
    body: msgspec.Struct,
    items: Sequence[dict[str, str]] | None = None,
) -> Answer:
    """Check the rest of the request, carry it out, and count its outcome."""
    fields = body if isinstance(body, OperationBody) else OperationBody()
    settings = services.settings
    address = limited_address(request.remote_addr)
    what = [board, transition.operation, tags, body]
    command = Command(
        board, transition, tags, actor=principal.person, auth_method=principal.auth_method,
        reason=fields.reason, to=services.workers.receiver(fields.to), step=fields.step,
        items=items, preconditions=_preconditions(request, transition, what, fields.epoch),
        rates=(
            Rate(f"caller:{principal.worker.id}", settings.operations_per_s),
            Rate(f"address:{address}", settings.address_operations_per_s),
        ),
    )  # fmt: skip
    answer = services.store.commands.execute(command)
    for outcome in answer.outcomes:
        services.metrics.operation(transition.operation, _result(answer, outcome)).inc()
    return answer


def reply_of(
    board: str, transition: Transition, answer: Answer, status: int = 200, to: str | None = None
) -> Reply:
    """The reply to an operation on one item; ``to`` is the receiver that the request names."""
    outcome = answer.outcomes[0]
    if outcome.is_done:
        body = b'{"changed":%b,"item":%b,%b"cursor":"%b"}' % (
            b"true" if outcome.changed else b"false",
            outcome.item,
            b'"item_is_current":true,' if outcome.item_is_current else b"",
            answer.cursor.encode(),
        )
        reply = json_reply(body, status=status, etag=etag_of(outcome.version))
    else:
        reply = problem_reply(refusal(board, transition, outcome, to=to))
    return mark_replayed(reply, answer)


def question_of(board: str, query: Mapping[str, str]) -> str:
    """A hash of the query, for ETags: the response depends only on it and on the cursor."""
    return hashlib.sha256(repr((board, sorted(query.items()))).encode()).hexdigest()[:16]


def known_cursor(store: Store, board: str, if_none_match: str | None, question: str) -> str:
    """The cursor of the client's stored response to the same query; '' if it has none.

    For ``*`` that is the board's present cursor. Raises BoardNotFound.
    """
    for tag in known_tags(if_none_match):
        if tag == ANY:
            return store.log.head(board).head_cursor
        cursor, _, tag_question = tag.partition(".")
        if tag_question == question:
            return cursor
    return ""


def not_modified_since(store: Store, board: str, if_none_match: str) -> Reply | None:
    """304 if the client's stored response with the whole board is current, else None."""
    question = question_of(board, {})
    cursor = known_cursor(store, board, if_none_match, question)
    if not cursor or store.log.head(board).head_cursor != cursor:
        return None
    return not_modified(f'"{cursor}.{question}"')


def mark_replayed(reply: Reply, answer: Answer) -> Reply:
    if answer.is_replayed:
        reply.headers["Idempotency-Replayed"] = "true"
    return reply


def board_reply(board: Board, status: int = 200) -> Reply:
    """A board, with the version of its settings as a weak ETag: its counts change without it."""
    body = msgspec.json.encode(board.as_dict())
    return json_reply(body, status=status, etag=f'W/"{board.settings.version}"')


def etag_of(version: int) -> str:
    """The ETag of an item's version; an empty one where there is no item."""
    return f'"{version or ""}"'


def _result(answer: Answer, outcome: Outcome) -> str:
    if answer.is_replayed:
        return "replayed"
    if outcome.is_done and not outcome.changed:
        return "unchanged"
    return outcome.code


def _preconditions(
    request: HttpRequest, transition: Transition, what: list[Any], epoch: int | None
) -> Preconditions:
    """The request's conditions; the fingerprint of an Idempotency-Key covers ``what``."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _IDEMPOTENCY_KEY.match(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    versions = allowed_versions(request.headers.get("If-Match"))
    must_be_new = bool(transition.added_event) and known_tags(
        request.headers.get("If-None-Match")
    ) == [ANY]
    if key is None:
        return Preconditions(epoch=epoch, versions=versions, must_be_new=must_be_new)
    covered = [*what, versions, *([ANY] if must_be_new else [])]
    fingerprint = hashlib.sha256(msgspec.json.encode(covered)).hexdigest()[:32]
    return Preconditions(
        epoch=epoch, versions=versions, must_be_new=must_be_new, idempotency_key=key,
        fingerprint=fingerprint,
    )  # fmt: skip

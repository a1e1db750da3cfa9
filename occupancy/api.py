"""The HTTP API: boards, items and operations. Thin: check, ask the store, put the JSON together.

Items come from the store as JSON and are put into the answer as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app, request

from .auth import caller, caller_address, check_role, requires
from .errors import InvalidRequest, NotFound
from .messages import (
    json_answer,
    large_answer,
    not_modified,
    raw_answer,
    read_body,
    read_limit,
    read_query,
)
from .metrics import Metrics
from .model import (
    MAX_SNAPSHOT_ITEMS,
    MAX_TIMELINE_HOURS,
    PUT,
    REMOVE,
    STATES,
    TRANSITIONS,
    Role,
    Transition,
)
from .payloads import (
    BatchBody,
    ItemBody,
    OperationBody,
    check_fields,
    check_name,
    operation_row,
)
from .problems import problem, respond
from .records import Answer, Outcome, Preconditions, Rate
from .refusals import refusal
from .settings import Settings
from .store import Store
from .workers import Workers

bp = Blueprint("api", __name__, url_prefix="/api/boards")

_DEFAULT_HOURS = 24
_DEFAULT_HISTORY = 100
_MAX_HISTORY = 1000
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_ENTITY_TAG = re.compile(r'(W/)?"([^"]*)"')
_VERSION = re.compile(rb'"version":([0-9]+)')


def _store() -> Store:
    store: Store = current_app.extensions["occupancy"].store
    return store


# Boards


@bp.get("")
@requires(Role.OBSERVER, any_board=True)
def boards() -> Response:
    read_query()
    listed = [
        {"board": b.board, "title": b.title, "steps": b.steps, "counts": b.counts}
        for b in _store().boards.all()
        if caller().board in (None, b.board)
    ]
    return json_answer({"boards": listed})


@bp.get("/<board>")
@requires(Role.OBSERVER)
def board_(board: str) -> Response:
    read_query()
    return json_answer(_store().boards.get(check_name("board", board)).as_dict())


@bp.get("/<board>/timeline")
@requires(Role.OBSERVER, is_use=False)
def timeline(board: str) -> Response:
    """How many items were in each state. A wall asks for it by itself, so it is no use."""
    hours = read_limit(read_query("hours"), _DEFAULT_HOURS, MAX_TIMELINE_HOURS, "hours")
    return json_answer(_store().timelines.get(check_name("board", board), hours=hours).as_dict())


# Items


@bp.get("/<board>/items")
@requires(Role.OBSERVER)
def items(board: str) -> Response:
    check_name("board", board)
    query = read_query("state", "holder", "q", "limit", "page")
    state, holder = query.get("state"), query.get("holder")
    if state is not None and state not in STATES:
        raise InvalidRequest(f"state is not one of {', '.join(STATES)}.")
    if holder is not None:
        check_name("worker", holder)
    limit = read_limit(query, MAX_SNAPSHOT_ITEMS, MAX_SNAPSHOT_ITEMS)
    # The body follows from the log's position and the question alone.
    question = hashlib.sha256(repr((board, sorted(query.items()))).encode()).hexdigest()[:16]
    known_cursor = _known_cursor(question)
    snapshot = _store().snapshot(
        board,
        state=state,
        holder=holder,
        text=query.get("q"),
        limit=limit,
        page=query.get("page"),
        known_cursor=known_cursor,
    )
    if snapshot is None:
        return not_modified(f'"{known_cursor}.{question}"')
    body = b'{"cursor":"%b","seq":%d,"items":[%b],"next":%b}' % (
        snapshot.cursor.encode(),
        snapshot.seq,
        b",".join(snapshot.items),
        msgspec.json.encode(snapshot.next),
    )
    return large_answer(body, f'"{snapshot.cursor}.{question}"')


@bp.get("/<board>/items/<tag>")
@requires(Role.OBSERVER)
def item(board: str, tag: str) -> Response:
    read_query()
    found = _store().item(check_name("board", board), check_name("tag", tag))
    etag = _etag(found)
    known = {each for _, each in _ENTITY_TAG.findall(request.headers.get("If-None-Match", ""))}
    if etag.strip('"') in known:
        return not_modified(etag)
    return raw_answer(b'{"item":%b}' % found, etag=etag)


@bp.get("/<board>/items/<tag>/history")
@requires(Role.OBSERVER)
def history(board: str, tag: str) -> Response:
    query = read_query("limit", "page")
    events, following = _store().history(
        check_name("board", board),
        check_name("tag", tag),
        limit=read_limit(query, _DEFAULT_HISTORY, _MAX_HISTORY),
        page=query.get("page"),
    )
    following_json = msgspec.json.encode(following)
    return raw_answer(b'{"history":[%b],"next":%b}' % (b",".join(events), following_json))


@bp.put("/<board>/items/<tag>")
@requires(Role.SUPERVISOR)
def put(board: str, tag: str) -> Response:
    body = read_body(ItemBody)
    answer = _operate(board, PUT, [tag], body, items=[body.as_json_texts()])
    return _answer_one(board, PUT, answer, 201 if answer.outcomes[0].code == "added" else 200)


@bp.delete("/<board>/items/<tag>")
@requires(Role.SUPERVISOR)
def remove(board: str, tag: str) -> Response:
    body = read_body(OperationBody)
    check_fields(REMOVE, body)
    return _answer_one(board, REMOVE, _operate(board, REMOVE, [tag], body))


# Operations


@bp.post("/<board>/items/<tag>/<operation>")
@requires(Role.WORKER)
def operate(board: str, tag: str, operation: str) -> Response:
    row = TRANSITIONS.get(operation)
    if row is None:
        raise NotFound(f"There is no such operation; there are {', '.join(TRANSITIONS)}.")
    check_role(row.role)
    body = read_body(OperationBody)
    check_fields(row, body)
    return _answer_one(board, row, _operate(board, row, [tag], body), to=body.to)


@bp.post("/<board>/batch")
@requires(Role.WORKER)
def batch(board: str) -> Response:
    body = read_body(BatchBody)
    row = operation_row(body.operation)
    check_role(row.role)
    check_fields(row, body)
    if body.epoch is not None or "If-Match" in request.headers:
        raise InvalidRequest("A batch takes neither epoch nor If-Match: they concern one item.")
    answer = _operate(board, row, body.tags, body)
    results: list[dict[str, Any]] = []
    for outcome in answer.outcomes:
        if outcome.is_done:
            found = {"changed": outcome.changed, "item": msgspec.Raw(outcome.item)}
            results.append({"tag": outcome.tag, "status": 200, **found})
        else:
            error = refusal(board, row, outcome, to=body.to)
            results.append({"tag": outcome.tag, **problem(error)})
    response = json_answer({"results": results, "cursor": answer.cursor})
    return _mark_replayed(response, answer)


def _operate(
    board: str,
    row: Transition,
    tags: Sequence[str],
    body: OperationBody | ItemBody,
    items: Sequence[dict[str, str]] | None = None,
) -> Answer:
    """Check the rest of the request, carry it out, and count what became of it."""
    services = current_app.extensions["occupancy"]
    metrics: Metrics = services.metrics
    settings: Settings = services.settings
    workers: Workers = services.workers
    fields = body if isinstance(body, OperationBody) else OperationBody()
    answer = _store().operate(
        check_name("board", board),
        row,
        [check_name("tag", tag) for tag in tags],
        actor=caller().person,
        means=caller().means,
        reason=fields.reason,
        to=workers.receiver(fields.to),
        step=fields.step,
        items=items,
        given=_preconditions(board, row, tags, body, fields.epoch),
        rates=(
            Rate(f"caller:{caller().worker.id}", settings.operations_per_s),
            Rate(f"address:{caller_address()}", settings.address_operations_per_s),
        ),
    )
    for outcome in answer.outcomes:
        metrics.operations.labels(row.operation, _result(answer, outcome)).inc()
    return answer


def _result(answer: Answer, outcome: Outcome) -> str:
    if answer.is_replayed:
        return "replayed"
    if outcome.is_done and not outcome.changed:
        return "unchanged"
    return outcome.code


def _preconditions(
    board: str, row: Transition, tags: Sequence[str], body: msgspec.Struct, epoch: int | None
) -> Preconditions:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _IDEMPOTENCY_KEY.match(key):
        raise InvalidRequest("Idempotency-Key is not 1 to 255 visible ASCII characters.")
    versions = _versions(request.headers.get("If-Match"))
    if key is None:
        return Preconditions(epoch=epoch, versions=versions)
    same = msgspec.json.encode([board, row.operation, tags, body, versions])
    fingerprint = hashlib.sha256(same).hexdigest()[:32]
    return Preconditions(
        epoch=epoch, versions=versions, idempotency_key=key, fingerprint=fingerprint
    )


def _versions(if_match: str | None) -> list[str] | None:
    """The versions that If-Match allows, ``*`` for any; a weak tag is none (RFC 9110, 13.1.1)."""
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return ["*"]
    if not re.fullmatch(r'\s*(W/)?"[^"]*"\s*(,\s*(W/)?"[^"]*"\s*)*', if_match):
        raise InvalidRequest('If-Match is not an entity tag: send the version as "12", quoted.')
    return [tag for weak, tag in _ENTITY_TAG.findall(if_match) if not weak]


# Requests and responses


def _known_cursor(question: str) -> str:
    for _, tag in _ENTITY_TAG.findall(request.headers.get("If-None-Match", "")):
        cursor, _, asked = tag.partition(".")
        if asked == question:
            return str(cursor)
    return ""


def _answer_one(
    board: str, row: Transition, answer: Answer, status: int = 200, to: str | None = None
) -> Response:
    outcome = answer.outcomes[0]
    if not outcome.is_done:
        return _mark_replayed(respond(refusal(board, row, outcome, to=to)), answer)
    body = b'{"changed":%b,"item":%b,"cursor":"%b"}' % (
        b"true" if outcome.changed else b"false",
        outcome.item,
        answer.cursor.encode(),
    )
    response = raw_answer(body, etag=_etag(outcome.item))
    response.status_code = status
    return _mark_replayed(response, answer)


def _mark_replayed(response: Response, answer: Answer) -> Response:
    if answer.is_replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _etag(item: bytes) -> str:
    # A quote inside a JSON string is escaped, and attributes come last: the first match is it.
    found = _VERSION.search(item)
    return f'"{found[1].decode()}"' if found else '""'

"""The routes of boards, items and operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from occupancy.boards.records import Answer, item_key_of
from occupancy.boards.refusals import refusal
from occupancy.boards.snapshot_cache import SnapshotResponse
from occupancy.boards.store import Store
from occupancy.core.entities import MAX_SNAPSHOT_ITEMS, MAX_TIMELINE_HOURS, STATES, Role
from occupancy.core.errors import InvalidRequest, NotFound
from occupancy.core.requests.checks import check_fields, check_name, transition_of
from occupancy.core.requests.items import BatchBody, ItemBody, OperationBody
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS, Transition
from occupancy.web import io, operations
from occupancy.web.auth import check_role, current_services, principal, requires, yield_turn
from occupancy.web.entity_tags import ANY, known_tags

bp = Blueprint("api", __name__, url_prefix="/api/boards")

_DEFAULT_HOURS = 24
_DEFAULT_HISTORY = 100
_MAX_HISTORY = 1000


def _store() -> Store:
    return current_services().store


# Boards


@bp.get("")
@requires(Role.OBSERVER, any_board=True)
def boards() -> Response:
    io.read_query()
    found = _store().boards.visible(only=principal().board)
    return io.json_answer({"boards": [each.summary() for each in found]})


@bp.get("/<board>")
@requires(Role.OBSERVER)
def board_(board: str) -> Response:
    io.read_query()
    found = _store().boards.get(check_name("board", board))
    return io.as_response(operations.board_reply(found))


@bp.get("/<board>/timeline")
@requires(Role.OBSERVER, is_use=False)
def timeline(board: str) -> Response:
    """Items by state over time. Polled by wallboards; does not extend the session."""
    hours = io.read_limit(io.read_query("hours"), _DEFAULT_HOURS, MAX_TIMELINE_HOURS, "hours")
    return io.json_answer(_store().timelines.get(check_name("board", board), hours=hours).as_dict())


# Items


@bp.get("/<board>/items")
@requires(Role.OBSERVER)
def items(board: str) -> Response:
    check_name("board", board)
    query = io.read_query("state", "holder", "q", "limit", "page")
    state, holder = query.get("state"), query.get("holder")
    if state is not None and state not in STATES:
        raise InvalidRequest(f"state is not one of {', '.join(STATES)}.")
    if holder is not None:
        check_name("worker", holder)
    limit = io.read_limit(query, MAX_SNAPSHOT_ITEMS, MAX_SNAPSHOT_ITEMS)
    question = operations.question_of(board, query)
    known = request.headers.get("If-None-Match")
    known_cursor = operations.known_cursor(_store(), board, known, question)
    if query:
        snapshot = _store().snapshot_cache.select(
            board, state=state, holder=holder, text=query.get("q"), limit=limit,
            page=query.get("page"), known_cursor=known_cursor, pause=yield_turn,
        )  # fmt: skip
        response = SnapshotResponse(snapshot) if snapshot is not None else None
    else:
        response = _store().snapshot_cache.find(board, known_cursor)
    if response is None:
        return io.as_response(io.not_modified(f'"{known_cursor}.{question}"'))
    return io.large_answer(response, f'"{response.cursor}.{question}"', yield_turn)


@bp.get("/<board>/items/<tag>")
@requires(Role.OBSERVER)
def item(board: str, tag: str) -> Response:
    io.read_query()
    found, floor = _store().queries.item_and_floor(
        check_name("board", board), check_name("tag", tag)
    )
    etag = operations.etag_of(item_key_of(found).version)
    if {ANY, etag.strip('"')} & set(known_tags(request.headers.get("If-None-Match"))):
        return io.as_response(io.not_modified(etag))
    return io.raw_answer(b'{"item":%b,"version_floor":%d}' % (found, floor), etag=etag)


@bp.get("/<board>/items/<tag>/history")
@requires(Role.OBSERVER)
def history(board: str, tag: str) -> Response:
    query = io.read_query("limit", "page")
    events, following, floor = _store().queries.history_and_floor(
        check_name("board", board), check_name("tag", tag),
        limit=io.read_limit(query, _DEFAULT_HISTORY, _MAX_HISTORY), page=query.get("page"),
    )  # fmt: skip
    parts = b",".join(events), msgspec.json.encode(following), floor
    return io.raw_answer(b'{"history":[%b],"next":%b,"version_floor":%d}' % parts)


@bp.put("/<board>/items/<tag>")
@requires(Role.SUPERVISOR)
def put(board: str, tag: str) -> Response:
    body = io.read_body(ItemBody)
    answer = _execute(board, PUT, [tag], body, items=[body.as_json_texts()])
    status = 201 if answer.outcomes[0].code == "added" else 200
    return io.as_response(operations.reply_of(board, PUT, answer, status))


@bp.delete("/<board>/items/<tag>")
@requires(Role.SUPERVISOR)
def remove(board: str, tag: str) -> Response:
    body = io.read_body(OperationBody)
    check_fields(REMOVE, body)
    answer = _execute(board, REMOVE, [tag], body)
    return io.as_response(operations.reply_of(board, REMOVE, answer))


# Operations


@bp.post("/<board>/items/<tag>/<operation>")
@requires(Role.WORKER)
def operate_on_item(board: str, tag: str, operation: str) -> Response:
    transition = TRANSITIONS.get(operation)
    if transition is None:
        raise NotFound(f"There is no such operation; there are {', '.join(TRANSITIONS)}.")
    check_role(principal(), transition.role)
    board, tag = check_name("board", board), check_name("tag", tag)
    body = io.read_body(OperationBody)
    reply = operations.carry_out_one(
        current_services(), request, principal(), transition, board=board, tag=tag, body=body
    )
    return io.as_response(reply)


@bp.post("/<board>/batch")
@requires(Role.WORKER)
def batch(board: str) -> Response:
    body = io.read_body(BatchBody)
    transition = transition_of(body.operation)
    check_role(principal(), transition.role)
    check_fields(transition, body)
    if body.epoch is not None or "If-Match" in request.headers:
        raise InvalidRequest("A batch takes neither epoch nor If-Match: they concern one item.")
    answer = _execute(board, transition, body.tags, body)
    results: list[dict[str, Any]] = []
    for outcome in answer.outcomes:
        if outcome.is_done:
            found = {"changed": outcome.changed, "item": msgspec.Raw(outcome.item)}
            if outcome.item_is_current:
                found["item_is_current"] = True
            results.append({"tag": outcome.tag, "status": 200, **found})
        else:
            error = refusal(board, transition, outcome, to=body.to)
            results.append({"tag": outcome.tag, **io.problem(error)})
    body_json = msgspec.json.encode({"results": results, "cursor": answer.cursor})
    return io.as_response(operations.mark_replayed(io.json_reply(body_json), answer))


def _execute(
    board: str,
    transition: Transition,
    tags: Sequence[str],
    body: OperationBody | ItemBody,
    items: Sequence[dict[str, str]] | None = None,
) -> Answer:
    board, tags = check_name("board", board), [check_name("tag", tag) for tag in tags]
    return operations.carry_out(
        current_services(), request, principal(), transition,
        board=board, tags=tags, body=body, items=items,
    )  # fmt: skip

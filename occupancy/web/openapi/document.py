"""The OpenAPI 3.1 document, made from the transition table, the Structs and the kinds of errors.

A test compares ``document()`` with the routes in both directions. The page at /docs is drawn from
it, so no fact is written twice.
"""

from __future__ import annotations

import functools
from typing import Any

from occupancy.core import errors
from occupancy.core.entities import Role
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS, Transition
from occupancy.web.openapi import (
    access,
    audit,
    boards,
    day,
    health,
    imports,
    labels,
    sample,
    stations,
)
from occupancy.web.openapi.operations import (
    BOARD_WRITES,
    PARAMETERS,
    RESPONSE_HEADERS,
    STORE,
    WRITES,
    answer,
    cached,
    operation,
    operation_errors,
    operation_id,
)
from occupancy.web.openapi.schemas import (
    BOOLEAN,
    CURSOR,
    INTEGER,
    NEXT,
    STREAM_EVENTS,
    TEXT,
    VERSION_FLOOR,
    array,
    done,
    obj,
    operation_body,
    ref,
    schemas,
)

API_VERSION = "1"

_ITEM = "/api/boards/{board}/items/{tag}"

_INTRODUCTION = """\
Who is working on what, right now — and may I have it?

A board is a set of items; one worker at a time may occupy an item. A hold is durable: nobody \
loses one because a clock ran out or a process died. Every request that is not open to everybody \
needs `Authorization: Bearer <token>` or the cookie of a session, and then `X-CSRF-Token` on every \
POST, PUT, PATCH and DELETE. Errors are `application/problem+json` (RFC 9457) \
with a `code` for programs and a `detail` for people. An operation answered 503 may be sent again \
with its `Idempotency-Key` and takes effect at most once.\
"""


@functools.cache
def document() -> dict[str, Any]:
    """The document. Do not change it: every caller gets the same one."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "occupancy", "version": API_VERSION, "description": _INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"session": []}],
        "tags": [
            {"name": "boards", "description": "Boards and their counts."},
            {"name": "items", "description": "Items and their history."},
            {"name": "operations", "description": "Changes of items by workers."},
            {"name": "events", "description": "Live changes of items."},
            {"name": "access", "description": "Sessions, tokens, workers and their roles."},
            {"name": "health", "description": "For load balancers and monitoring."},
            {"name": "pages", "description": "This description."},
        ],
        "paths": {
            **boards.paths(), **day.paths(), **_item_paths(), **labels.paths(), **imports.paths(),
            **_operation_paths(), **_event_paths(),
            **access.paths(), **stations.paths(), **sample.paths(), **audit.paths(),
            **health.paths(), **_page_paths(),
        },
        "components": {
            "schemas": {
                **schemas(), **access.schemas(), **stations.schemas(), **audit.schemas(),
                **imports.schemas(),
            },
            "parameters": PARAMETERS,
            "headers": RESPONSE_HEADERS,
            "securitySchemes": access.SECURITY_SCHEMES,
        },
    }  # fmt: skip


def _item_paths() -> dict[str, Any]:
    reads = (errors.BoardNotFound, *STORE)
    page = obj(
        cursor=CURSOR, seq=INTEGER, version_floor=VERSION_FLOOR,
        items=array(ref("schemas", "Item")), next=NEXT,
    )  # fmt: skip
    history = obj(history=array(ref("schemas", "Event")), next=NEXT, version_floor=VERSION_FLOOR)
    changed = ref("schemas", "Changed")
    changed_headers = ("ETag", "IdempotencyReplayed")
    change_parameters = ["Board", "Tag", "IdempotencyKey", "IfMatch"]
    return {
        "/api/boards/{board}/items": {
            "get": operation("items", "listItems",
                "A consistent snapshot of the items, and the cursor to follow it from.",
                Role.OBSERVER, cached(answer(page, "ETag")), reads,
                parameters=["Board", "State", "Holder", "Q", "Limit", "Page", "IfNoneMatch"]),
        },
        _ITEM: {
            "get": operation("items", "getItem", "One item.", Role.OBSERVER,
                cached(answer(
                    obj(item=ref("schemas", "Item"), version_floor=VERSION_FLOOR),
                    "ETag",
                )),
                (*reads, errors.ItemNotFound), parameters=["Board", "Tag", "IfNoneMatch"]),
            "put": operation("items", operation_id(PUT), PUT.summary, PUT.role,
                {
                    **answer(changed, *changed_headers, text="Edited, or as it was."),
                    **answer(changed, *changed_headers, status=201, text="Added."),
                },
                BOARD_WRITES, body=ref("schemas", "ItemBody"),
                parameters=[*change_parameters, "IfNew"]),
            "delete": operation("items", operation_id(REMOVE), REMOVE.summary, REMOVE.role,
                answer(changed, *changed_headers, text="Removed; the item it was."),
                operation_errors(REMOVE), body=operation_body(REMOVE),
                parameters=change_parameters),
        },
        f"{_ITEM}/history": {
            "get": operation(
                "items", "getHistory", "What happened to an item, newest first.", Role.OBSERVER,
                answer(history), (*reads, errors.ItemNotFound),
                parameters=["Board", "Tag", "HistoryLimit", "Page"]),
        },
    }  # fmt: skip


def _operation_paths() -> dict[str, Any]:
    result = {
        "oneOf": [
            done(tag=TEXT, status={"const": 200}, changed=BOOLEAN, item=ref("schemas", "Item")),
            {"allOf": [ref("schemas", "Problem"), obj(tag=TEXT)]},
        ]
    }
    batch = operation(
        "operations", "batch", "One operation on up to 50 items.", Role.WORKER,
        answer(
            obj(results=array(result), cursor=CURSOR), "IdempotencyReplayed",
            text="What became of each tag, in their order; each on its own.",
        ),
        (*WRITES, errors.BoardNotFound, errors.WorkerNotFound, errors.IdempotencyKeyReused,
         errors.PinRequired),
        body=ref("schemas", "BatchBody"), must_have_body=True,
        parameters=["Board", "IdempotencyKey"],
        description="The role is the operation's. A body that is not well-formed is refused as a "
        "whole; otherwise the answer is 200, whatever became of the tags.",
    )  # fmt: skip
    paths = {f"{_ITEM}/{name}": {"post": _post(each)} for name, each in TRANSITIONS.items()}
    return {**paths, "/api/boards/{board}/batch": {"post": batch}}


def _post(transition: Transition) -> dict[str, Any]:
    body = operation_body(transition)
    who = "Only the item's holder." if transition.holder_only else ""
    made = operation("operations", operation_id(transition), transition.summary, transition.role,
        answer(ref("schemas", "Changed"), "ETag", "IdempotencyReplayed"),
        operation_errors(transition), body=body, must_have_body=bool(body["required"]),
        parameters=["Board", "Tag", "IdempotencyKey", "IfMatch"], description=who)  # fmt: skip
    table = {"x-from": list(transition.sources), "x-to": transition.target}
    return {**made, **table, "x-event": transition.event}


def _event_paths() -> dict[str, Any]:
    kinds = (errors.BoardNotFound,)
    parameters = ["Board", "LastEventId", "After", "Ticket"]
    described = "\n".join(f"- `{each['event']}`: {each['description']}" for each in STREAM_EVENTS)
    stream = {
        "description": f"Server-sent events, until one side ends them:\n\n{described}",
        "content": {"text/event-stream": {"schema": TEXT}},
        "x-events": list(STREAM_EVENTS),
    }
    summary = "The board's events, for `EventSource`."
    text = (
        "Without a cursor the stream begins now. A comment is the heartbeat, every 15 s. A "
        "temporary fault is reported in the stream and never by a status, which would stop an "
        "EventSource for good. Each stream has another `retry:`, so that reconnects spread out."
    )
    return {
        "/api/boards/{board}/events": {
            "get": operation("events", "followEvents", summary, Role.OBSERVER, {"200": stream},
                kinds, parameters=parameters, description=text),
            "head": operation(
                "events", "probeEvents", "The head of the stream; holds nothing.", Role.OBSERVER,
                {"200": {"description": "The stream can be had."}}, kinds, parameters=parameters),
        }
    }  # fmt: skip


def _page_paths() -> dict[str, Any]:
    html = {"200": {"description": "HTML.", "content": {"text/html": {"schema": TEXT}}}}
    file = {"200": {"description": "The file.", "content": {"text/css": {"schema": TEXT}}}}
    named = [
        {"in": "path", "name": each, "required": True, "schema": TEXT}
        for each in ("version", "name")
    ]

    def get(name: str, summary: str, ok: Any, kinds: Any = (), **more: Any) -> dict[str, Any]:
        return {"get": operation("pages", name, summary, None, ok, kinds, **more)}

    def page(name: str, summary: str, *parameters: str) -> dict[str, Any]:
        refused = (errors.InvalidRequest,) if parameters else ()
        return get(name, summary, cached(html), refused, parameters=[*parameters, "IfNoneMatch"])

    return {
        "/": get("start", "Redirects to /boards.", {"302": {"description": "To /boards."}}),
        "/sign-in": page("signInPage", "Sign in, by PIN or by a link."),
        "/boards": page("boardsPage", "All boards."),
        "/boards/{board}": page("boardPage", "A board.", "Board"),
        "/boards/{board}/items/{tag}": page("itemPage", "An item's page.", "Board", "Tag"),
        "/boards/{board}/wall": page("wallPage", "A board for the wall.", "Board"),
        "/boards/{board}/settings": page("boardSettingsPage", "A board's settings.", "Board"),
        "/boards/{board}/items": page("itemsPage", "Add, edit and remove items.", "Board"),
        "/boards/{board}/import": page("importPage", "Import items from a file.", "Board"),
        "/boards/{board}/labels": page("labelsPage", "Labels of items, to print.", "Board"),
        "/people": page("peoplePage", "The workers."),
        "/people/cards": page("cardsPage", "Badges and PIN slips, to print."),
        "/programs": page("programsPage", "Tokens, wallboards and stations."),
        "/account": page("accountPage", "The own account."),
        "/day": page("dayPage", "What the signed-in worker did today."),
        "/setup": page("setupPage", "Set up a plant, step by step."),
        "/status": page("statusPage", "The state of the service."),
        "/audit": page("auditPage", "The audit trail."),
        "/docs": page("docs", "This page."),
        "/api/openapi.json": get("openapi", "This document.",
            cached(answer({"type": "object"}, "ETag")), parameters=["IfNoneMatch"]),
        "/manifest.webmanifest": get("manifest", "The manifest of the installed pages.",
            cached({"200": {"description": "The manifest.", "content": {
                "application/manifest+json": {"schema": {"type": "object"}}}}}),
            parameters=["IfNoneMatch"]),
        "/sw.js": get("serviceWorker", "The service worker, which keeps the shell of the pages.",
            cached({"200": {"description": "The script.", "content": {
                "text/javascript": {"schema": TEXT}}}}),
            parameters=["IfNoneMatch"]),
        "/static/{version}/{name}": get("static", "A file of the pages.", file,
            (errors.NotFound,), parameters=named),
    }  # fmt: skip

"""The part of the OpenAPI document about sessions, workers and tokens."""

from __future__ import annotations

from typing import Any

from occupancy.core import errors
from occupancy.core.entities import WORKER_PATTERN, Role
from occupancy.tables.encoding import ENCODINGS
from occupancy.web.openapi.imports import FILE_CONTENT
from occupancy.web.openapi.operations import STORE, WRITES, answer, operation, parameter
from occupancy.web.openapi.schemas import (
    BOOLEAN,
    INTEGER,
    NEXT,
    TEXT,
    array,
    nullable,
    obj,
    pattern,
    ref,
)

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token from `flask tokens create WORKER`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "occupancy",
        "description": "The cookie of a session, with `X-CSRF-Token` on every POST, PUT and "
        "DELETE. Its name ends with a hash that tells this deployment from others on the same "
        "host, and begins with `__Host-` under HTTPS: take it from the answer to a sign-in.",
    },
}

NO_CONTENT = {"204": {"description": "Done."}}
NULLABLE_TIME = nullable({"type": "string", "format": "date-time"})
WORKER_ID = parameter("path", "worker_id", pattern(WORKER_PATTERN), "The worker.", required=True)
_IF_NONE_MATCH = parameter("header", "If-None-Match", TEXT,
    "With `*` it only adds: 412 if there is a worker of that id.")  # fmt: skip
_WORKERS_QUERY = [
    parameter("query", "q", TEXT, "Words to look for in id and name; a match has all of them."),
    parameter("query", "role", {**TEXT, "enum": [each.label for each in Role]}, "Only this role."),
    parameter("query", "state", {**TEXT, "enum": ["active", "disabled"]}, "Only these."),
    parameter("query", "limit",
        {**INTEGER, "minimum": 1, "maximum": 10_000, "default": 10_000}, "Workers on a page."),
    parameter("query", "page", TEXT, "The `next` of the page before."),
]  # fmt: skip
_TOKEN_ID = parameter("path", "token_id", TEXT, "The token's id.", required=True)


def schemas() -> dict[str, Any]:
    """The schemas of these routes' responses."""
    return {
        "Session": {
            **obj(
                worker=obj(id=TEXT, name=TEXT, role=TEXT),
                means={"enum": ["session", "token", "badge", "station"]},
                board=nullable(TEXT),
                csrf_token=nullable(TEXT),
                idle_s=nullable(INTEGER),
                role_with_pin=nullable(TEXT),
                station=nullable(obj(id=TEXT, name=TEXT, board=nullable(TEXT))),
            ),
            "description": "Who you are. `role` and `board` are what your token was narrowed to; "
            "`idle_s` is how long your session lasts without use. `means` is how you were "
            "authenticated. `station` is the paired station where you are. In a session opened "
            "with a badge `role` is at most worker until the PIN confirms it; `role_with_pin` is "
            "what it is then.",
        },
        "Worker": {
            **obj(id=TEXT, name=TEXT, role=TEXT, disabled=BOOLEAN, has_pin=BOOLEAN),
            "description": "A person or a program that may act.",
        },
        "ListedWorker": {
            **obj(
                id=TEXT, name=TEXT, role=TEXT, disabled=BOOLEAN, has_pin=BOOLEAN, badges=INTEGER,
                badge_last_used=NULLABLE_TIME,
            ),
            "description": "A worker, with how many badges they have, and when one of these was "
            "last used.",
        },
        "WorkerImport": obj(
            dry_run=BOOLEAN, format={**TEXT, "enum": ["csv", "xlsx", "xls", "ods"]}, rows=INTEGER,
            left_out=array(TEXT), added=INTEGER, updated=INTEGER, unchanged=INTEGER,
            rejected=INTEGER, next_line=nullable(INTEGER),
            lines=array({
                "type": "object",
                "description": "`line`, `id`, `result`; of a rejected row `code` and `why`, of "
                "others `name`, `role`, `has_pin` and the `changes`: of name, role and pin.",
            }),
        ),
        "Token": {
            **obj(
                id=TEXT, worker=TEXT, role=nullable(TEXT), board=nullable(TEXT),
                created=NULLABLE_TIME, expires=NULLABLE_TIME, expired=BOOLEAN,
                last_used=NULLABLE_TIME,
            ),
            "description": "What is known of a token; never its secret.",
        },
    }  # fmt: skip


def paths() -> dict[str, Any]:
    """Sessions, tickets, workers and tokens."""
    session = answer(ref("schemas", "Session"))
    worker = answer(obj(worker=ref("schemas", "Worker")))
    added = answer(obj(worker=ref("schemas", "Worker")), status=201, text="Added.")
    ticket = answer(obj(ticket=TEXT, expires_in_s=INTEGER), status=201, text="The ticket.")
    secret = {"allOf": [ref("schemas", "Token"), obj(token=TEXT, path=TEXT, svg=TEXT)]}
    import_workers = operation("access", "importWorkers", "Add and update workers from a file.",
        Role.ADMIN, answer(ref("schemas", "WorkerImport")), (*WRITES, errors.TooLarge),
        parameters=[
            parameter("query", "name", TEXT, "The file's name, for the audit log."),
            parameter("query", "encoding", {**TEXT, "enum": list(ENCODINGS)}, "Of a CSV file."),
            parameter("query", "sheet", TEXT, "The sheet; else the first with content."),
            parameter("query", "dry_run", {**TEXT, "enum": ["false", "true"]},
                "Only say what it would do. PINs are not compared then."),
            parameter("query", "from_line", {**INTEGER, "minimum": 1, "default": 1},
                "The `next_line` of the answer before."),
        ],
        description="The body is the file itself: CSV, XLSX, XLS or ODS with the columns `id`, "
        "`name`, `role` and, if you like, `pin` (also `nombre`, `rol`, `nip` …), of 10,000 rows "
        "at most; `left_out` are its other columns. An empty PIN keeps the worker's, and who is "
        "disabled stays so. Every good row is imported. No row takes the role of administrator "
        "from anybody, or changes your own PIN. After 20 seconds it stops: send the file again "
        "with `from_line` until `next_line` is null.")  # fmt: skip
    import_workers["requestBody"] = {"required": True, "content": FILE_CONTENT}
    return {
        "/api/session": {
            "post": operation("access", "signIn", "Sign in at a browser.", None, session,
                (errors.InvalidRequest, errors.Unauthenticated, errors.Forbidden,
                 errors.BoardNotFound, errors.AlreadyExists, *WRITES),
                body=ref("schemas", "SignInBody"), must_have_body=True,
                description="With `worker` and `pin`; with `token`: a token, or what stands in a "
                "one-time link; or at a paired station with `badge`, the code that was scanned. "
                "Sets the session's cookie, in place of the one that was there. A pairing link's "
                "`token` makes the browser a station. With `badge` and `board`, the code of an "
                "item of that board is refused with `409`, and `item` is its tag."),
            "get": operation("access", "whoAmI", "Who am I?", Role.OBSERVER, session, STORE),
            "delete": operation(
                "access", "signOut", "Sign out.", Role.OBSERVER, NO_CONTENT, WRITES),
        },
        "/api/session/pin": {
            "put": operation(
                "access", "changePin", "Change your own PIN.", Role.OBSERVER, session, WRITES,
                body=ref("schemas", "PinBody"), must_have_body=True,
                description="For a session opened with a PIN or a one-time link. `pin` is the "
                "present one, if there is one (`403` if it is wrong, counted as at a sign-in). "
                "Answers as a sign-in does; your other sessions end."),
        },
        "/api/session/confirm": {
            "post": operation(
                "access", "confirmSession", "Confirm a session opened with a badge.",
                Role.OBSERVER, session, WRITES, body=ref("schemas", "ConfirmBody"),
                must_have_body=True,
                description="With the PIN, for what needs more than the role worker (`403 "
                "pin_required`), for five minutes. Answers as a sign-in does, with a new cookie; "
                "`403` if the PIN is wrong, counted as at a sign-in."),
        },
        "/api/tickets": {
            "post": operation(
                "access", "createTicket", "A ticket for one event stream.", Role.OBSERVER, ticket,
                WRITES,
                description="For an `EventSource` that has no cookie, because it can send no "
                "header: `…/events?ticket=…`, within the minute. The stream that it opened may "
                "reconnect with it up to ten minutes after its end, from the same address to the "
                "same board."),
        },
        "/api/workers": {
            "get": operation("access", "listWorkers", "Workers, in the order of their ids.",
                Role.ADMIN, answer(obj(workers=array(ref("schemas", "ListedWorker")), next=NEXT)),
                (*STORE, errors.InvalidRequest), parameters=_WORKERS_QUERY),
        },
        "/api/workers/import": {"post": import_workers},
        "/api/workers/{worker_id}": {
            "put": operation("access", "putWorker", "Add a worker, or edit one.", Role.ADMIN,
                {**worker, **added},
                (*WRITES, errors.AlreadyExists, errors.LastAdmin, errors.VersionMismatch),
                parameters=[WORKER_ID, _IF_NONE_MATCH], body=ref("schemas", "WorkerBody"),
                description="What is not given stays as it is; a new worker needs `name` and "
                "`role`. A new `pin` and `disabled` end the worker's sessions. The only "
                "administrator who is not disabled stays one (`409 last_admin`)."),
        },
        "/api/workers/{worker_id}/sessions": {
            "delete": operation(
                "access", "signOutEverywhere", "End every session of a worker.", Role.ADMIN,
                NO_CONTENT, (*WRITES, errors.WorkerNotFound), parameters=[WORKER_ID]),
        },
        "/api/workers/{worker_id}/links": {
            "post": operation(
                "access", "createLink", "A link that signs a worker in, once.", Role.ADMIN,
                answer(obj(path=TEXT, expires_in_s=INTEGER, svg=TEXT), status=201,
                    text="The link's path, and the link as a QR code."),
                (*WRITES, errors.WorkerNotFound), parameters=[WORKER_ID],
                description="For a forgotten PIN, or a wait after wrong ones. Valid for an hour, "
                "or until something ends the worker's sessions."),
        },
        "/api/tokens": {
            "get": operation("access", "listTokens", "Every token.", Role.ADMIN,
                answer(obj(tokens=array(ref("schemas", "Token")))), STORE),
            "post": operation("access", "createToken", "Create a token.", Role.ADMIN,
                answer(secret, status=201, text="The token; it is shown only this once."),
                (*WRITES, errors.WorkerNotFound, errors.BoardNotFound),
                body=ref("schemas", "TokenBody"), must_have_body=True,
                description="`path` is that of the link which signs a wallboard in with the "
                "token, and `svg` is the whole link as a QR code."),
        },
        "/api/tokens/{token_id}": {
            "delete": operation("access", "revokeToken", "Revoke a token.", Role.ADMIN,
                NO_CONTENT, (*WRITES, errors.NotFound), parameters=[_TOKEN_ID]),
        },
    }  # fmt: skip

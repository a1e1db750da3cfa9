"""Administration: boards, workers and tokens over HTTP; the command line does the same."""

from __future__ import annotations

import collections
import contextlib
import tempfile
from typing import Any

from flask import Blueprint, Response, request

from occupancy.access.links import LINK_TTL_S
from occupancy.access.tokens import optional_time
from occupancy.access.workers import worker_as_dict
from occupancy.boards.search import fold
from occupancy.core.entities import Role
from occupancy.core.errors import (
    AlreadyExists,
    InvalidRequest,
    VersionMismatch,
    WorkerNotFound,
)
from occupancy.core.requests.access import TokenBody, WorkerBody
from occupancy.core.requests.boards import BoardBody, BoardRemovalBody, BoardSettingsBody
from occupancy.core.requests.checks import check_name
from occupancy.tables.encoding import AUTO, ENCODINGS
from occupancy.web import item_imports, worker_imports
from occupancy.web.auth import (
    current_services,
    principal,
    recording,
    requires,
    who_changes,
    yield_turn,
)
from occupancy.web.entity_tags import allowed_versions
from occupancy.web.io import as_response, json_answer, read_body, read_limit, read_query
from occupancy.web.link_codes import code_of
from occupancy.web.operations import board_reply

MAX_WORKERS = 10_000  # on a page

bp = Blueprint("admin", __name__, url_prefix="/api")


@bp.post("/boards")
@requires(Role.ADMIN)
def create_board() -> Response:
    read_query()
    body = read_body(BoardBody)
    with recording("board_added", board=body.board):
        board = current_services().store.boards.create(
            body.board, title=body.title, steps=body.steps or (), max_holds=body.max_holds or 0
        )
    return as_response(board_reply(board, 201))


@bp.patch("/boards/<board>")
@requires(Role.ADMIN)
def configure_board(board: str) -> Response:
    """Change settings of a board: fields that are not given keep their value."""
    read_query()
    check_name("board", board)
    versions = allowed_versions(request.headers.get("If-Match"))
    body = read_body(BoardSettingsBody)
    with recording("board_edited", board=board) as fields:
        done = current_services().store.boards.configure(board, body, versions=versions)
        fields.update(fields=",".join(done.changed), version=done.board.settings.version)
        if not done.changed:
            fields.clear()
    return as_response(board_reply(done.board))


@bp.delete("/boards/<board>")
@requires(Role.ADMIN)
def remove_board(board: str) -> Response:
    """Remove a board, with its items if ``confirm`` is its name."""
    read_query()
    check_name("board", board)
    body = read_body(BoardRemovalBody)
    services = current_services()
    with recording("board_removed", board=board) as fields:
        fields.update(items=services.removal.remove(board, with_items=body.confirm == board))
    for token in services.tokens.revoke_of_board(board):
        services.audit_trail.record(
            "token_revoked", **who_changes(), worker=token.worker, token=token.id, board=board
        )
    for station in services.stations.revoke_of_board(board):
        services.audit_trail.record(
            "station_revoked", **who_changes(), station=station.id, name=station.name, board=board
        )
    services.removal.resume()  # any process would, within seconds
    return Response(status=204)


@bp.get("/workers")
@requires(Role.ADMIN)
def workers() -> Response:
    """The workers whose id or name has every word of ``q``, in the order of their ids, in pages."""
    query = read_query("q", "role", "state", "limit", "page")
    limit = read_limit(query, MAX_WORKERS, MAX_WORKERS)
    role, state, after = query.get("role"), query.get("state"), query.get("page", "")
    if role is not None and role not in [each.label for each in Role]:
        raise InvalidRequest("role is not one of observer, worker, supervisor, admin.")
    if state not in (None, "active", "disabled"):
        raise InvalidRequest("state is not one of active, disabled.")
    words = fold(query.get("q", "")).split()
    found = [
        each for each in current_services().workers.all()
        if each.id > after
        and role in (None, each.role)
        and state in (None, "disabled" if each.disabled else "active")
        and all(word in fold(f"{each.id} {each.name}") for word in words)
    ]  # fmt: skip
    following = found[limit - 1].id if len(found) > limit else None
    shown = _with_badges([worker_as_dict(each) for each in found[:limit]])
    return json_answer({"workers": shown, "next": following})


def _with_badges(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The workers, each with how many badges they have, and when one of these was last used."""
    counts: collections.Counter[str] = collections.Counter()
    used: dict[str, int] = {}
    for badge, used_s in current_services().badges.with_uses(pause=yield_turn):
        counts[badge.worker] += 1
        used[badge.worker] = max(used.get(badge.worker, 0), used_s or 0)
    for each in listed:
        last_s = used.get(each["id"]) or None
        each.update(badges=counts[each["id"]], badge_last_used=optional_time(last_s))
    return listed


@bp.put("/workers/<worker_id>")
@requires(Role.ADMIN)
def put_worker(worker_id: str) -> Response:
    """Add a worker, or edit one: fields that are not given keep their value.

    With ``If-None-Match: *`` it only adds, so that nobody edits a worker of whom they do not know.
    """
    read_query()
    check_name("worker", worker_id)
    is_only_added = request.headers.get("If-None-Match", "").strip() == "*"
    body = read_body(WorkerBody)
    services = current_services()
    given: dict[str, Any] = {"name": body.name, "role": body.role, "disabled": body.disabled}
    changes = {name: value for name, value in given.items() if value is not None}
    changed = sorted(changes) + (["pin"] if body.pin is not None else [])
    if body.pin is not None:
        changes["pin_hash"] = services.pin_hasher.hash(body.pin, worker_id)
    about = {"worker": worker_id, "role": body.role, "fields": ",".join(changed)}
    if not is_only_added:
        with contextlib.suppress(WorkerNotFound):
            with recording("worker_edited", **about, disabled=body.disabled) as fields:
                worker = services.workers.edit(worker_id, **changes)
                fields.update(role=worker.role, disabled=worker.disabled)
            return json_answer({"worker": worker_as_dict(worker)})
    if body.name is None or body.role is None:
        raise InvalidRequest("A new worker needs name and role.")
    try:
        with recording("worker_added", **about, disabled=bool(body.disabled)):
            worker = services.workers.add(
                worker_id, name=body.name, role=Role.of(body.role),
                pin_hash=changes.get("pin_hash"), disabled=bool(body.disabled),
            )  # fmt: skip
    except AlreadyExists as error:
        raise (_WorkerExists(error.detail) if is_only_added else error) from None
    return json_answer({"worker": worker_as_dict(worker)}, 201)


class _WorkerExists(VersionMismatch):
    title = "There is one already"


@bp.post("/workers/import")
@requires(Role.ADMIN)
def import_workers() -> Response:
    """Add and update the workers of a file, which is the body itself, whatever its type says.

    A run stops after some seconds, and ``next_line`` says where the next request goes on.
    """
    query = read_query("name", "encoding", "sheet", "dry_run", "from_line")
    encoding, dry_run = query.get("encoding", AUTO), query.get("dry_run", "false")
    for name, value, known in (
        ("encoding", encoding, ENCODINGS), ("dry_run", dry_run, ("false", "true")),
    ):  # fmt: skip
        if value not in known:
            raise InvalidRequest(f"{name} is not one of {', '.join(known)}.")
    from_line = read_limit(query, 1, worker_imports.MAX_LINE, "from_line")
    with tempfile.TemporaryFile() as file:
        item_imports.receive(file)
        parsed, records = worker_imports.read(file, encoding=encoding, sheet=query.get("sheet"))
    found = worker_imports.run(
        current_services(), parsed, records, principal(),
        file=query.get("name", "")[: item_imports.MAX_NAME_CHARS],
        dry_run=dry_run == "true", from_line=from_line,
    )  # fmt: skip
    return json_answer(found)


@bp.delete("/workers/<worker_id>/sessions")
@requires(Role.ADMIN)
def sign_out_everywhere(worker_id: str) -> Response:
    """End all sessions of a worker, for example when a tablet is lost."""
    read_query()
    check_name("worker", worker_id)
    with recording("signed_out_everywhere", worker=worker_id):
        current_services().workers.sign_out(worker_id)
    return Response(status=204)


@bp.post("/workers/<worker_id>/links")
@requires(Role.ADMIN)
def create_link(worker_id: str) -> Response:
    """A one-time link, for a forgotten PIN or a wait after wrong ones.

    The answer has a path, because the asking page knows the address at which browsers reach us,
    and the whole link as a QR code.
    """
    read_query()
    check_name("worker", worker_id)
    with recording("link_added", worker=worker_id):
        secret = current_services().links.create(worker_id)
    path = f"/sign-in#{secret}"
    svg = code_of(path, current_services().settings)
    return json_answer({"path": path, "expires_in_s": LINK_TTL_S, "svg": svg}, 201)


@bp.get("/tokens")
@requires(Role.ADMIN)
def tokens() -> Response:
    read_query()
    listed = current_services().tokens.all()
    return json_answer({"tokens": [each.token.as_dict(each.used_s) for each in listed]})


@bp.post("/tokens")
@requires(Role.ADMIN)
def create_token() -> Response:
    """The answer shows the token, which is not stored and never shown again.

    Its path and QR code are for a wallboard, which opens a session with it.
    """
    read_query()
    body = read_body(TokenBody)
    if body.board is not None:
        current_services().store.boards.get(body.board)
    about = {"worker": body.worker, "role": body.role, "board": body.board}
    with recording("token_added", **about, token=None) as fields:
        secret, token = current_services().tokens.create(
            body.worker, days=body.days, board=body.board,
            role=Role.of(body.role) if body.role is not None else None,
        )  # fmt: skip
        fields.update(token=token.id)
    path = f"/sign-in#{secret}"
    svg = code_of(path, current_services().settings)
    return json_answer({"token": secret, **token.as_dict(), "path": path, "svg": svg}, 201)


@bp.delete("/tokens/<token_id>")
@requires(Role.ADMIN)
def revoke_token(token_id: str) -> Response:
    read_query()
    tokens = current_services().tokens
    token = tokens.find(token_id)
    with recording("token_revoked", worker=token.worker, token=token.id):
        tokens.revoke(token.id)
    return Response(status=204)

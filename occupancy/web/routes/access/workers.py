"""The routes of workers; ``flask workers`` does the same."""

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
from occupancy.core.errors import AlreadyExists, InvalidRequest, VersionMismatch, WorkerNotFound
from occupancy.core.requests.access import WorkerBody
from occupancy.core.requests.checks import check_choice, check_name
from occupancy.tables.encoding import AUTO, ENCODINGS
from occupancy.web import item_imports, worker_imports
from occupancy.web.auth import current_services, principal, recording, requires, yield_turn
from occupancy.web.io import json_answer, read_body, read_limit, read_query
from occupancy.web.links import sign_in_link

MAX_WORKERS = 10_000  # on a page

bp = Blueprint("workers", __name__, url_prefix="/api")


@bp.get("/workers")
@requires(Role.ADMIN)
def workers() -> Response:
    """The workers whose id or name has every word of ``q``, in the order of their ids, in pages."""
    query = read_query("q", "role", "state", "limit", "page")
    limit = read_limit(query, MAX_WORKERS, MAX_WORKERS)
    role, state, after = query.get("role"), query.get("state"), query.get("page", "")
    if role is not None:
        check_choice("role", role, [each.label for each in Role])
    if state is not None:
        check_choice("state", state, ("active", "disabled"))
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
    encoding = check_choice("encoding", query.get("encoding", AUTO), ENCODINGS)
    dry_run = check_choice("dry_run", query.get("dry_run", "false"), ("false", "true"))
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
    """Create a one-time link, for a forgotten PIN or a wait after wrong ones."""
    read_query()
    check_name("worker", worker_id)
    with recording("link_added", worker=worker_id):
        secret = current_services().links.create(worker_id)
    link = sign_in_link(secret, current_services().settings)
    return json_answer({**link, "expires_in_s": LINK_TTL_S}, 201)

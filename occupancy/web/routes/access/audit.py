"""The routes of the audit trail; the page /audit is made of them."""

from __future__ import annotations

import functools
import time
from typing import Any

from flask import Blueprint, Response, g, request

from occupancy.core.entities import Role
from occupancy.core.requests.checks import check_choice
from occupancy.core.timestamps import iso_text
from occupancy.observability.audit_trail.events import EXPORTED
from occupancy.observability.audit_trail.export import CONTENT_TYPES, pieces
from occupancy.observability.audit_trail.reader import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Filters,
    filters_of,
)
from occupancy.web.auth import current_services, principal, requires, yield_turn
from occupancy.web.io import json_answer, read_limit, read_query

bp = Blueprint("audit", __name__, url_prefix="/api/audit")

_FILTERS = ("event", "worker", "by", "board", "address", "since", "until", "q")


@bp.get("")
@requires(Role.ADMIN)
def entries() -> Response:
    query = read_query(*_FILTERS, "limit", "page")
    limit = read_limit(query, DEFAULT_LIMIT, MAX_LIMIT)
    found, following = current_services().audit_reader.page(
        _filters(query), limit=limit, page=query.get("page"), pause=yield_turn
    )
    return json_answer({"entries": [each.as_dict() for each in found], "next": following})


@bp.get("/export")
@requires(Role.ADMIN)
def export() -> Response:
    """All entries that there are now; the export itself is recorded before the first is sent."""
    query = read_query(*_FILTERS, "format")
    kind = check_choice("format", query.get("format", "csv"), CONTENT_TYPES)
    filters = _filters(query)
    services = current_services()
    file = f"audit-{iso_text(time.time())[:10]}.{kind}"
    headers = {
        "Content-Type": CONTENT_TYPES[kind],
        "Content-Disposition": f'attachment; filename="{file}"',
        "Cache-Control": "no-store",
    }
    if request.method == "HEAD":
        return Response(headers=headers)
    asked = {f"filter_{name}": query[name] for name in _FILTERS if query.get(name)}
    services.audit_trail.record(
        EXPORTED, by=principal().worker.id, means=principal().auth_method, format=kind, **asked
    )
    # The rest is read while the answer is sent, after the request's end.
    pause = functools.partial(services.read_turns.go_on, g.share)
    found = services.audit_reader.all(filters, pause=pause)
    return Response(pieces(found, kind), headers=headers)


def _filters(query: dict[str, Any]) -> Filters:
    given = {name: query.get(name) for name in _FILTERS if name != "q"}
    return filters_of({**given, "text": query.get("q")})

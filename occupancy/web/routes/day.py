"""The route of the caller's own day; the page /day is made of it."""

from __future__ import annotations

import time
from datetime import datetime

from flask import Blueprint, Response

from occupancy.boards.history.workday import MAX_DAYS
from occupancy.core.entities import Role
from occupancy.core.errors import InvalidRequest
from occupancy.web.auth import current_services, principal, requires, yield_turn
from occupancy.web.io import json_answer, read_query

_DAY_S = 86400.0

bp = Blueprint("day", __name__, url_prefix="/api")


@bp.get("/day")
@requires(Role.OBSERVER, any_board=True)
def day() -> Response:
    """The caller's holds since a moment, on every board that they may see."""
    since_s = _since(read_query("since").get("since"))
    store, caller = current_services().store, principal()
    boards = [each.board for each in store.boards.visible(only=caller.board)]
    found = store.workdays.get(
        caller.worker.id, boards, since_ms=int(since_s * 1000), pause=yield_turn
    )
    return json_answer(found)


def _since(text: str | None) -> float:
    """The moment in seconds since the epoch. Raises InvalidRequest."""
    now_s = time.time()
    if text is None:
        return now_s - _DAY_S
    try:
        moment = datetime.fromisoformat(text)
        since_s = moment.timestamp()
    except (ValueError, OverflowError):
        moment, since_s = None, 0.0
    if moment is None or moment.tzinfo is None:
        raise InvalidRequest("since must be a time with an offset, such as 2026-11-29T06:00:00Z.")
    if since_s < now_s - MAX_DAYS * _DAY_S:
        raise InvalidRequest(f"since must not be more than {MAX_DAYS} days ago.")
    return since_s

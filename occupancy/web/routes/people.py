"""The people of a board: to whom a supervisor may give an item, those who work there first."""

from __future__ import annotations

from flask import Blueprint, Response

from occupancy.boards.search import fold
from occupancy.core.entities import Role
from occupancy.core.requests.checks import check_name
from occupancy.core.slices import sliced
from occupancy.web.auth import current_services, requires, yield_turn
from occupancy.web.io import json_answer, read_query

MAX_PEOPLE = 50

bp = Blueprint("people", __name__, url_prefix="/api/boards")


@bp.get("/<board>/people")
@requires(Role.SUPERVISOR)
def people(board: str) -> Response:
    """The active workers whose id or name has every word of ``q``: ids and names, no more.

    A supervisor may not read the list of workers, which has roles and who lacks a PIN.
    """
    query = read_query("q")
    services = current_services()
    near = services.store.queries.people_near(check_name("board", board))
    place = {worker: index for index, worker in enumerate(near)}
    text = query.get("q", "").strip()
    words = fold(text).split()
    found = [
        each for each in sliced(services.workers.all(), yield_turn)
        if not each.disabled and each.may(Role.WORKER)
        and all(word in fold(f"{each.id} {each.name}") for word in words)
    ]  # fmt: skip
    found.sort(key=lambda each: (
        each.id != text, place.get(each.id, len(place)), fold(each.name), each.id
    ))  # fmt: skip
    shown = [
        {"id": each.id, "name": each.name, "is_near": each.id in place}
        for each in found[:MAX_PEOPLE]
    ]
    return json_answer({"people": shown, "has_more": len(found) > MAX_PEOPLE})

"""The routes of badges; ``session`` signs in with one."""

from __future__ import annotations

from flask import Blueprint, Response

from occupancy.core.entities import Role
from occupancy.core.requests.access import BadgeBody
from occupancy.core.requests.checks import check_name
from occupancy.core.slices import sliced
from occupancy.labels.code import qr_image
from occupancy.web.auth import current_services, principal, recording, requires, yield_turn
from occupancy.web.io import json_answer, read_body, read_query

bp = Blueprint("badges", __name__, url_prefix="/api")


@bp.get("/workers/<worker_id>/badges")
@requires(Role.ADMIN)
def badges(worker_id: str) -> Response:
    read_query()
    check_name("worker", worker_id)
    listed = current_services().badges.with_uses(worker_id)
    return json_answer({"badges": [each.badge.as_dict(each.used_s) for each in listed]})


@bp.get("/badges")
@requires(Role.ADMIN)
def all_badges() -> Response:
    """Every badge, oldest first; so that a page can offer those who have none."""
    read_query()
    listed = sliced(current_services().badges.all(), yield_turn)
    return json_answer({"badges": [each.as_dict() for each in listed]})


@bp.post("/workers/<worker_id>/badges")
@requires(Role.ADMIN)
def add_badge(worker_id: str) -> Response:
    """Give a worker a badge; 200 if the worker has it already.

    Its code was scanned, or is a new one that the asking page prints: ``svg`` is for the print.
    """
    read_query()
    check_name("worker", worker_id)
    body = read_body(BadgeBody)
    with recording("badge_added", worker=worker_id, badge=None) as fields:
        badge, is_new = current_services().badges.add(
            worker_id, body.code, by=principal().worker.id, label=body.label
        )
        fields.update(badge=badge.id)
    svg = qr_image(body.code)
    return json_answer({"badge": badge.as_dict(), "svg": svg}, 201 if is_new else 200)


@bp.delete("/workers/<worker_id>/badges/<badge_id>")
@requires(Role.ADMIN)
def remove_badge(worker_id: str, badge_id: str) -> Response:
    """Remove a badge. The sessions that were opened with it end within seconds."""
    read_query()
    check_name("worker", worker_id)
    badges = current_services().badges
    badge = badges.find_by_id(worker_id, badge_id)
    with recording("badge_removed", worker=worker_id, badge=badge.id):
        badges.remove(worker_id, badge.id)
    return Response(status=204)

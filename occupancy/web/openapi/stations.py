"""The part of the OpenAPI document about badges, and the stations where they sign in."""

from __future__ import annotations

from typing import Any

from occupancy.core import errors
from occupancy.core.entities import Role
from occupancy.web.openapi.access import NO_CONTENT, NULLABLE_TIME, WORKER_ID
from occupancy.web.openapi.operations import STORE, WRITES, answer, operation, parameter
from occupancy.web.openapi.schemas import INTEGER, TEXT, array, nullable, obj, ref

_BADGE_ID = parameter("path", "badge_id", TEXT, "The badge's id.", required=True)
_STATION_ID = parameter("path", "station_id", TEXT, "The station's id.", required=True)


def schemas() -> dict[str, Any]:
    """The schemas of these routes' responses."""
    return {
        "Badge": {
            **obj(
                id=TEXT, worker=TEXT, label=nullable(TEXT), ending=nullable(TEXT),
                added=NULLABLE_TIME, added_by=TEXT, last_used=NULLABLE_TIME,
            ),
            "description": "What is known of a badge; never its code. `ending` has the last two "
            "characters of codes of eight or more.",
        },
        "Station": {
            **obj(
                id=TEXT, name=TEXT, board=nullable(TEXT), added=NULLABLE_TIME, added_by=TEXT,
                paired=NULLABLE_TIME, last_used=NULLABLE_TIME,
            ),
            "description": "A shared tablet where a badge signs in; `paired` is null until its "
            "link is opened there.",
        },
    }  # fmt: skip


def paths() -> dict[str, Any]:
    """Badges and stations."""
    one_badge = obj(badge=ref("schemas", "Badge"), svg=TEXT)
    badge = answer(one_badge)
    added_badge = answer(one_badge, status=201, text="Added.")
    return {
        "/api/badges": {
            "get": operation("access", "listAllBadges", "Every badge, oldest first.", Role.ADMIN,
                answer(obj(badges=array(ref("schemas", "Badge")))), STORE),
        },
        "/api/workers/{worker_id}/badges": {
            "get": operation("access", "listBadges", "The badges of a worker.", Role.ADMIN,
                answer(obj(badges=array(ref("schemas", "Badge")))),
                (*STORE, errors.WorkerNotFound), parameters=[WORKER_ID]),
            "post": operation("access", "addBadge", "Give a worker a badge.", Role.ADMIN,
                {**badge, **added_badge},
                (*WRITES, errors.WorkerNotFound, errors.AlreadyExists, errors.LimitReached),
                parameters=[WORKER_ID], body=ref("schemas", "BadgeBody"), must_have_body=True,
                description="`code` is what a scanner reads, of 4 to 128 characters; case does "
                "not count. Only a keyed hash is stored. `svg` is the code as a QR code, to print. "
                "Where another worker has the badge: `409`, with `worker`."),
        },
        "/api/workers/{worker_id}/badges/{badge_id}": {
            "delete": operation("access", "removeBadge", "Take a badge from a worker.",
                Role.ADMIN, NO_CONTENT, (*WRITES, errors.NotFound),
                parameters=[WORKER_ID, _BADGE_ID],
                description="Ends the sessions that were opened with it."),
        },
        "/api/stations": {
            "get": operation("access", "listStations", "Every station.", Role.ADMIN,
                answer(obj(stations=array(ref("schemas", "Station")))), STORE),
            "post": operation("access", "createStation", "Make a station.", Role.ADMIN,
                answer(
                    obj(station=ref("schemas", "Station"), path=TEXT, expires_in_s=INTEGER,
                        svg=TEXT),
                    status=201, text="The station, and the path of the link that pairs it."),
                (*WRITES, errors.BoardNotFound, errors.LimitReached),
                body=ref("schemas", "StationBody"), must_have_body=True,
                description="The browser that opens the link within the hour, once, is the "
                "station. By itself it sees what an observer of its `board` sees."),
        },
        "/api/stations/{station_id}": {
            "delete": operation("access", "revokeStation", "Revoke a station.", Role.ADMIN,
                NO_CONTENT, (*WRITES, errors.NotFound), parameters=[_STATION_ID],
                description="Or the link that would pair it. Ends the sessions that were opened "
                "there with a badge."),
        },
    }  # fmt: skip

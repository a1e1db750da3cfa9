"""The routes of stations; ``session`` pairs one, and signs in there with a badge."""

from __future__ import annotations

from flask import Blueprint, Response

from occupancy.access.stations.station import PAIRING_TTL_S
from occupancy.core.entities import Role
from occupancy.core.requests.access import StationBody
from occupancy.web.auth import current_services, principal, recording, requires
from occupancy.web.io import json_answer, read_body, read_query
from occupancy.web.links import sign_in_link

bp = Blueprint("stations", __name__, url_prefix="/api/stations")


@bp.get("")
@requires(Role.ADMIN)
def stations() -> Response:
    read_query()
    listed = current_services().stations.all()
    return json_answer({"stations": [each.station.as_dict(each.used_s) for each in listed]})


@bp.post("")
@requires(Role.ADMIN)
def create_station() -> Response:
    """Create a station, and the one-time link that pairs the browser that opens it."""
    read_query()
    body = read_body(StationBody)
    services = current_services()
    if body.board is not None:
        services.store.boards.get(body.board)
    with recording("station_added", name=body.name, board=body.board, station=None) as fields:
        secret, station = services.stations.create(
            body.name, by=principal().worker.id, board=body.board
        )
        fields.update(station=station.id)
    link = sign_in_link(secret, services.settings)
    return json_answer({"station": station.as_dict(), **link, "expires_in_s": PAIRING_TTL_S}, 201)


@bp.delete("/<station_id>")
@requires(Role.ADMIN)
def revoke_station(station_id: str) -> Response:
    """Revoke a station, or the link that would pair it."""
    read_query()
    stations = current_services().stations
    station = stations.find(station_id)
    with recording("station_revoked", station=station.id, name=station.name):
        stations.revoke(station.id)
    return Response(status=204)

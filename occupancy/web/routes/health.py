"""The routes of health, connections and metrics.

They are open to everybody: load balancers and monitoring have no token, and nothing here names a
worker or an item.
"""

from __future__ import annotations

import contextlib

from flask import Blueprint, Response, request

from occupancy.core.entities import Role
from occupancy.core.errors import OccupancyError
from occupancy.web.auth import credential_of, current_services, public
from occupancy.web.io import json_answer

bp = Blueprint("health", __name__)


@bp.get("/livez")
@public
def livez() -> Response:
    """200 while the process serves. Never touches Redis."""
    return json_answer({"status": "alive"})


@bp.get("/readyz")
@public
def readyz() -> Response:
    """200 while operations and live delivery have worked within the last seconds.

    It is about this process. In a Cluster every process has the same trouble with a server: if that
    made them all unready, a load balancer would take the whole deployment out for the sake of some
    boards. So only the server of access counts, which every request needs (the PING goes there);
    trouble with another one is listed as ``impaired``, and its boards' streams say ``degraded``.
    """
    services = current_services()
    services.hub.start()
    reasons: dict[str, str] = {}
    impaired: dict[str, str] = {}
    is_sharded = services.topology.is_sharded
    try:
        services.store.client.ping()
        if services.periodic_tasks.failure is not None:
            # In a Cluster it may be about any server's keys.
            found = impaired if is_sharded else reasons
            found["operations"] = services.periodic_tasks.failure
    except OccupancyError as error:
        reasons["operations"] = error.detail
    if services.store.permissions.trouble is not None:
        reasons["rights"] = services.store.permissions.trouble
    if services.hub.is_draining:
        reasons["process"] = "going away"
    elif services.hub.trouble:
        reasons["live"] = services.hub.trouble
    if is_sharded:
        troubles = services.hub.troubles()
        if services.servers.access_address is not None:  # its trouble is among the reasons
            troubles.pop(services.servers.access_address, None)
        impaired |= troubles
    more = {"impaired": impaired} if impaired else {}
    if reasons:
        return json_answer({"status": "not ready", "reasons": reasons, **more}, 503)
    return json_answer({"status": "ready", **more})


@bp.get("/api/redis-health")
@public
def redis_health() -> Response:
    """Whether Redis answers, how fast, and its facts."""
    found = current_services().public_figures.health()
    return json_answer(found, 200 if found["status"] == "healthy" else 503)


@bp.get("/api/redis-connection-stats")
@public
def redis_connection_stats() -> Response:
    """The budget, the servers' counts and the pools of every process.

    Names of boards are for supervisors only.
    """
    services = current_services()
    connections = services.public_figures.connections()
    found = services.process_report.connection_stats(connections)
    if "servers" in found and not _is_supervisor():
        found["servers"] = [
            {**each, "boards": each["boards"] and {**each["boards"], "names": []}}
            for each in found["servers"]
        ]
    return json_answer(found)


def _is_supervisor() -> bool:
    """Whether the caller has shown that they may see every board; False if that is not known."""
    services = current_services()
    with contextlib.suppress(OccupancyError):
        caller = services.authenticator.identify(
            credential_of(request, services.settings), is_use=False
        )
        return caller.board is None and caller.may(Role.SUPERVISOR)
    return False


@bp.get("/metrics")
@public
def metrics() -> Response:
    text = current_services().public_figures.metrics()
    content_type = "text/plain; version=0.0.4; charset=utf-8"
    return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

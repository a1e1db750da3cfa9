"""The routes of health, connections and metrics.

They are open to everybody: load balancers and monitoring have no token, and nothing here names a
worker or an item.
"""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, current_app

from occupancy.core.errors import OccupancyError
from occupancy.web.auth import public

bp = Blueprint("health", __name__)


def _services() -> Any:
    return current_app.extensions["occupancy"]


@bp.get("/livez")
@public
def livez() -> Response:
    """200 while the process serves. Never touches Redis."""
    return _json({"status": "alive"})


@bp.get("/readyz")
@public
def readyz() -> Response:
    """200 while operations and live delivery have worked within the last seconds."""
    services = _services()
    services.hub.start()
    reasons = {}
    try:
        services.store.client.ping()
        if services.periodic_tasks.failure is not None:
            reasons["operations"] = services.periodic_tasks.failure
    except OccupancyError as error:
        reasons["operations"] = error.detail
    if services.store.permissions.trouble is not None:
        reasons["rights"] = services.store.permissions.trouble
    if services.hub.is_draining:
        reasons["process"] = "going away"
    elif services.hub.trouble:
        reasons["live"] = services.hub.trouble
    if reasons:
        return _json({"status": "not ready", "reasons": reasons}, 503)
    return _json({"status": "ready"})


@bp.get("/api/redis-health")
@public
def redis_health() -> Response:
    """Whether Redis answers, how fast, and its facts."""
    found = _services().public_figures.health()
    return _json(found, 200 if found["status"] == "healthy" else 503)


@bp.get("/api/redis-connection-stats")
@public
def redis_connection_stats() -> Response:
    """The budget, the server's count and the pools of every process."""
    services = _services()
    return _json(services.process_report.connection_stats(services.public_figures.connections()))


@bp.get("/metrics")
@public
def metrics() -> Response:
    text = "text/plain; version=0.0.4; charset=utf-8"
    return _uncached(Response(_services().public_figures.metrics(), content_type=text))


def _json(value: Any, status: int = 200) -> Response:
    body = msgspec.json.encode(value)
    return _uncached(Response(body, status, content_type="application/json"))


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response

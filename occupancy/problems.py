"""Problems: every error as RFC 9457 ``application/problem+json``, made in this one place."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException  # raised while the body is read, not before
from werkzeug.exceptions import HTTPException

from . import errors, sse
from .callers import Caller
from .errors import OccupancyError

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

_DENIALS = (errors.Unauthenticated, errors.Forbidden, errors.CsrfFailed, errors.RateLimited)


def problem(error: OccupancyError) -> dict[str, Any]:
    """The problem document of ``error``."""
    return {
        "type": f"/docs#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }


def respond(error: OccupancyError) -> Response:
    """The response for ``error``.

    On a stream's route, passing trouble is told in the stream: any status but 200 would stop the
    browser's EventSource for good.
    """
    if error.status == 503:
        log.warning("%s %s: %s", request.method, request.path, error.__cause__ or error)
    elif isinstance(error, _DENIALS):
        _record_denial(error)
    if request.endpoint == "stream.events" and _is_passing(error):
        wait_ms = max(2000, 1000 * error.extra.get("retry_after", 0))
        body = sse.retry_frame(wait_ms, wait_ms + 2000)
        body += sse.control_frame("degraded", {"detail": error.detail})
        return Response(body, content_type=sse.CONTENT_TYPE, headers=sse.HEADERS)
    response = Response(
        msgspec.json.encode(problem(error)), error.status, content_type=CONTENT_TYPE
    )
    response.headers["Cache-Control"] = "no-store"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="occupancy"'
    if "retry_after" in error.extra:
        response.headers["Retry-After"] = str(error.extra["retry_after"])
    return response


def _is_passing(error: OccupancyError) -> bool:
    if error.status == 503:
        return True
    # A program that did not ask for an event stream gets the status.
    return error.status == 429 and "text/event-stream" in request.headers.get("Accept", "")


def _record_denial(error: OccupancyError) -> None:
    services = current_app.extensions["occupancy"]
    services.metrics.denials.labels(error.code).inc()
    if request.endpoint == "signin.sign_in" and not isinstance(error, errors.CsrfFailed):
        return  # has a line of its own, which says more
    caller: Caller | None = g.get("caller")
    services.denials.record(
        "denied",
        code=error.code,
        address=request.remote_addr,
        worker=caller.worker.id if caller is not None else None,
        method=request.method,
        path=request.path,
        means=caller.means if caller is not None else None,
        credential=caller.id if caller is not None else None,
    )


_FROM_HTTP: dict[int, tuple[type[OccupancyError], str]] = {
    400: (errors.InvalidRequest, "The request is not well-formed."),
    404: (errors.NotFound, "There is nothing at this address."),
    405: (errors.MethodNotAllowed, "This address does not take that method."),
    413: (errors.TooLarge, "The body is larger than 64 KiB."),
    415: (errors.UnsupportedMediaType, "Send the body as application/json."),
}


def _on_http(error: HTTPException) -> Response:
    kind, detail = _FROM_HTTP.get(error.code or 500, (OccupancyError, "Something went wrong."))
    response = respond(kind(detail))
    if error.code == 405:
        allowed = getattr(error, "valid_methods", None) or []
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _on_broken_body(_error: ParseException) -> Response:
    return respond(errors.InvalidRequest("The body's chunks are malformed."))


def _on_crash(error: Exception) -> Response:
    log.exception("%s %s failed", request.method, request.path, exc_info=error)
    return respond(OccupancyError("Something went wrong here; it has been logged."))


def init_app(app: Flask) -> None:
    app.register_error_handler(OccupancyError, respond)
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(ParseException, _on_broken_body)
    app.register_error_handler(Exception, _on_crash)

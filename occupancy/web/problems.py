"""Problems: each error as a response (RFC 9457), and its line in the log or the audit log."""

from __future__ import annotations

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from occupancy.core import errors
from occupancy.core.errors import OccupancyError
from occupancy.core.principal import Principal
from occupancy.live import sse
from occupancy.observability.log_lines import without_texts
from occupancy.services import Services
from occupancy.storage.server_errors import server_text
from occupancy.web.auth import current_services
from occupancy.web.io import as_response, problem_reply
from occupancy.web.request import HttpRequest

_DENIALS = (errors.Unauthenticated, errors.Forbidden, errors.CsrfFailed, errors.RateLimited)


def respond(error: OccupancyError) -> Response:
    """The response for ``error``.

    On a stream's route, a temporary error is sent in the stream: any status but 200 would end the
    browser's EventSource for good.
    """
    services = current_services()
    # A failed sign-in has a line of its own in the audit log, with more details.
    is_recorded = request.endpoint == "sign_in.sign_in" and not isinstance(error, errors.CsrfFailed)
    record_error(error, services, request, g.get("principal"), is_recorded=is_recorded)
    if request.endpoint == "stream.events" and _is_temporary(error):
        return Response(degraded_stream(error), content_type=sse.CONTENT_TYPE, headers=sse.HEADERS)
    return as_response(problem_reply(error))


def degraded_stream(error: OccupancyError) -> bytes:
    """The frames of a stream that only reports a temporary error: the browser reconnects later."""
    wait_ms = max(2000, 1000 * error.extra.get("retry_after", 0))
    degraded = sse.control_frame("degraded", {"detail": error.detail})
    return sse.retry_frame(wait_ms, wait_ms + 2000) + degraded


def record_error(
    error: OccupancyError,
    services: Services,
    request: HttpRequest,
    principal: Principal | None,
    *,
    is_recorded: bool = False,
) -> None:
    """Log a 503 for the operator; record a denial, unless the audit log has it already."""
    if error.status == 503:
        cause = error.__cause__ or error
        kind = f"503 {error.code} ({type(cause).__name__})"
        services.repeated_warnings.warn(kind, "%s %s: %s", request.method, request.path, cause)
    elif isinstance(error, _DENIALS):
        services.metrics.denials.labels(error.code).inc()
        if not is_recorded:
            services.audit_limit.record(
                "denied", code=error.code, address=request.remote_addr,
                worker=principal.worker.id if principal is not None else None,
                method=request.method, path=request.path,
                means=principal.auth_method if principal is not None else None,
                credential=principal.id if principal is not None else None,
            )  # fmt: skip


def _is_temporary(error: OccupancyError) -> bool:
    if error.status == 503:
        return True
    # A program that did not ask for an event stream gets the status.
    return error.status == 429 and "text/event-stream" in request.headers.get("Accept", "")


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


def internal_error(error: Exception, services: Services, request: HttpRequest) -> OccupancyError:
    """Log a bug, and return the error to answer with.

    The log gets no error text but the Redis server's: others may contain a PIN or a token.
    """
    kind = f"500 ({type(error).__name__})"
    services.repeated_warnings.error(
        kind, "%s %s failed. Traceback: %s; %s",
        request.method, request.path, without_texts(error), server_text(error),
    )  # fmt: skip
    return OccupancyError("Something went wrong here; it has been logged.")


def _on_crash(error: Exception) -> Response:
    return respond(internal_error(error, current_services(), request))


def init_app(app: Flask) -> None:
    app.register_error_handler(OccupancyError, respond)
    app.register_error_handler(HTTPException, _on_http)
    app.register_error_handler(Exception, _on_crash)

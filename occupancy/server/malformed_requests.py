"""Malformed requests: the answer, and the audit log's line, where gunicorn cannot read a request.

A malformed request may contain a PIN where a header was expected, a token with a line break in it,
or a ticket. So neither the answer nor the log repeats a byte of it; both name the kind of error.
"""

from __future__ import annotations

import logging
import ssl
from typing import Any

from gunicorn.http import errors as http_errors

from occupancy.core.errors import Forbidden, InvalidRequest, OccupancyError
from occupancy.observability.audit_limit import MALFORMED
from occupancy.observability.log_lines import without_texts
from occupancy.server.responses import encode_reply
from occupancy.web import security
from occupancy.web.io import problem_reply
from occupancy.web.problems import respond

log = logging.getLogger(__name__)


class _LineTooLong(InvalidRequest):
    status, title = 414, "Address too long"


class _HeadersTooLarge(InvalidRequest):
    status, title = 431, "Headers too large"


class _UnknownCoding(InvalidRequest):
    status, title = 501, "Unknown transfer coding"


class _UnknownExpectation(InvalidRequest):
    status, title = 417, "Unknown expectation"


# The code stays invalid_request: the statuses are what RFC 9110 and 6585 have for such heads.
_ANSWERS: dict[type[Exception], tuple[type[OccupancyError], str]] = {
    http_errors.LimitRequestLine: (_LineTooLong, "The request line is too long."),
    http_errors.LimitRequestHeaders: (_HeadersTooLarge, "The headers are too many or too large."),
    http_errors.UnsupportedTransferCoding: (
        _UnknownCoding, "Send the body as it is, or with Transfer-Encoding: chunked.",
    ),
    http_errors.ExpectationFailed: (_UnknownExpectation, "Only Expect: 100-continue is known."),
    http_errors.InvalidRequestLine: (InvalidRequest, "The request line is malformed."),
    http_errors.InvalidRequestMethod: (InvalidRequest, "The method is malformed."),
    http_errors.InvalidHTTPVersion: (InvalidRequest, "Use HTTP/1.1."),
    http_errors.InvalidHeader: (InvalidRequest, "A header is malformed."),
    http_errors.InvalidHeaderName: (InvalidRequest, "The name of a header is malformed."),
    http_errors.ObsoleteFolding: (InvalidRequest, "A header goes on in the next line."),
    http_errors.InvalidChunkSize: (InvalidRequest, "The body's chunks are malformed."),
    http_errors.InvalidChunkExtension: (InvalidRequest, "The body's chunks are malformed."),
    http_errors.ChunkMissingTerminator: (InvalidRequest, "The body's chunks are malformed."),
    http_errors.ForbiddenProxyRequest: (Forbidden, "This proxy is not known."),
}  # fmt: skip
# gunicorn derives these, about the application's own headers, from errors of requests.
_OUR_ERRORS = (http_errors.InvalidResponseHeader, http_errors.InvalidResponseHeaderName)


def answer(worker: Any, connection: Any, address: Any, error: BaseException) -> None:
    """Answer a request that is malformed or has failed, and record it.

    The arguments are those of gunicorn's ``handle_error``: its worker, the client's socket and
    address, and the exception.
    """
    is_malformed = isinstance(error, http_errors.ParseException | ssl.SSLError)
    is_malformed = is_malformed and not isinstance(error, _OUR_ERRORS)
    event, code = MALFORMED if is_malformed else "failed", type(error).__name__
    audit = worker.wsgi.extensions["occupancy"].audit_limit
    is_recorded = audit.record(event, code=code, address=address[0] if address else None)
    if is_recorded and not is_malformed:
        log.error("a request failed outside the application: %s", without_texts(error))
    problem = _problem_of(error) if is_malformed else OccupancyError("Something went wrong here.")
    try:
        connection.sendall(encode_problem(problem))
    except OSError:
        log.debug("a client went away")


def encode_problem(error: OccupancyError) -> bytes:
    """The response with ``error``; it closes the connection."""
    return encode_reply(problem_reply(error), security.OTHER, connection="close")


def _problem_of(error: BaseException) -> OccupancyError:
    known = (_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS)
    kind, detail = next(known, (InvalidRequest, "The request is malformed."))
    return kind(detail)


def init_app(app: Any) -> None:
    """Answer a body that gunicorn cannot read, while the application reads it, as a problem."""
    app.register_error_handler(http_errors.ParseException, _on_broken_body)


def _on_broken_body(_error: Exception) -> Any:
    return respond(InvalidRequest("The body's chunks are malformed."))

"""Request and response I/O: bodies and queries as they come in, JSON and problems as they go out.

``as_response`` makes Flask's response of a ``Reply``; the fast path writes it to the socket itself.
"""

from __future__ import annotations

import re
from typing import Any

import gevent
import msgspec
from flask import Response, request
from werkzeug.wrappers import Response as WerkzeugResponse

from occupancy.boards.snapshot_cache import SnapshotResponse
from occupancy.core.errors import (
    InvalidRequest,
    OccupancyError,
    TooLarge,
    UnsupportedMediaType,
    VersionMismatch,
)
from occupancy.core.requests.checks import check_text
from occupancy.core.requests.decoding import MAX_BODY_BYTES, Body, decode
from occupancy.core.slices import Pause
from occupancy.web.ui.assets import Asset

JSON_TYPE = "application/json"
PROBLEM_TYPE = "application/problem+json"
BODY_S = 20.0  # within which a body must have arrived


# Requests


def read_body(kind: type[Body]) -> Body:
    """The request's JSON body. Raises InvalidRequest, TooLarge and UnsupportedMediaType."""
    with body_deadline():
        data = request.get_data()
    if len(data) < (request.content_length or 0) <= MAX_BODY_BYTES:
        # The client has gone, and the missing part may have held a condition of the request.
        raise InvalidRequest("The body is incomplete. Send the request again.")
    if len(data) > MAX_BODY_BYTES:
        raise TooLarge("The body is larger than 64 KiB. Send less at once.")
    if data and request.mimetype != JSON_TYPE:
        raise UnsupportedMediaType("Send the body as application/json.")
    return decode(data, kind)


def read_query(*known: str) -> dict[str, str]:
    """The parameters of the query. Raises InvalidRequest for any that is not ``known``."""
    query = request.args.to_dict()
    for name, value in query.items():
        if name not in known:
            takes = ", ".join(known) or "nothing"
            raise InvalidRequest(f"The query takes {takes}; not {name[:80]!r}.")
        check_text(name, value)
    return query


def read_limit(query: dict[str, str], default: int, maximum: int, name: str = "limit") -> int:
    """A whole number from 1 to ``maximum`` in the query. Raises InvalidRequest."""
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= maximum:
        raise InvalidRequest(f"{name} must be a whole number from 1 to {maximum}.")
    return int(text)


def body_deadline() -> gevent.Timeout:
    """A block that reads a body; it raises InvalidRequest if that takes longer than BODY_S.

    An Exception, so that gunicorn knows that the body was not read, and closes the connection.
    After a gevent.Timeout it would take the rest of a chunked body for the next request.
    """
    return gevent.Timeout(
        BODY_S,
        InvalidRequest(f"The body did not arrive within {BODY_S:g} s. Send the request again."),
    )


# Replies


class Reply(msgspec.Struct):
    status: int
    body: bytes
    headers: dict[str, str]


def json_reply(body: bytes, *, status: int = 200, etag: str | None = None) -> Reply:
    """A reply with JSON text. With an ETag a client may store it, and revalidates it each time."""
    if etag is None:
        return Reply(status, body, {"Content-Type": JSON_TYPE, "Cache-Control": "no-store"})
    headers = {"Content-Type": JSON_TYPE, "Cache-Control": "no-cache", "ETag": etag}
    return Reply(status, body, headers)


def not_modified(etag: str) -> Reply:
    return Reply(304, b"", {"ETag": etag, "Cache-Control": "no-cache"})


def problem(error: OccupancyError) -> dict[str, Any]:
    """The problem document of ``error`` (RFC 9457)."""
    return {
        "type": f"/docs#{error.code}", "title": error.title, "status": error.status,
        "detail": error.detail, "code": error.code, **error.extra,
    }  # fmt: skip


def problem_reply(error: OccupancyError) -> Reply:
    headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="occupancy"'
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    return Reply(error.status, msgspec.json.encode(problem(error)), headers)


# Flask's responses


def as_response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, reply.headers)
    if "Content-Type" not in reply.headers:
        del response.headers["Content-Type"]  # Flask adds text/html
    return response


def json_answer(value: Any, status: int = 200) -> Response:
    return as_response(json_reply(msgspec.json.encode(value), status=status))


def raw_answer(body: bytes, etag: str | None = None) -> Response:
    return as_response(json_reply(body, etag=etag))


class _OtherPage(VersionMismatch):
    title = "The page has changed"


def conditional_answer(response: Response) -> WerkzeugResponse:
    """``response``, or 304 if the client has it, by its ETag. Raises VersionMismatch."""
    found = response.make_conditional(request)
    if found.status_code == 412:  # Werkzeug would send the page with it
        raise _OtherPage("The page is another than the one in If-Match. Load it again.")
    return found


def asset_answer(asset: Asset) -> Response:
    """A file, gzipped if the client accepts that."""
    is_gzipped = request.accept_encodings["gzip"] > 0
    response = Response(asset.gzipped if is_gzipped else asset.plain)
    response.headers["Content-Type"] = asset.content_type
    if is_gzipped:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    return response


def large_answer(snapshot: SnapshotResponse, etag: str, pause: Pause) -> Response:
    """A snapshot, gzipped if the client accepts that; ``pause`` lets other greenlets run."""
    packed = snapshot.packed(pause) if request.accept_encodings["gzip"] > 0 else None
    if packed is None:
        response = raw_answer(snapshot.plain(), etag)
    else:
        # The same content in other bytes (RFC 9110, 8.8.1): a weak ETag.
        response = raw_answer(packed, f"W/{etag}")
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    return response

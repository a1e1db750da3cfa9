"""Messages: JSON bodies and queries as they come in, JSON answers as they go out."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from flask import Response, request

from occupancy.boards.snapshot_cache import SnapshotResponse
from occupancy.core.errors import InvalidRequest, TooLarge, UnsupportedMediaType
from occupancy.core.requests import MAX_BODY_BYTES, Body, check_text, decode
from occupancy.core.slices import Pause
from occupancy.web.replies import JSON, Reply, json_reply
from occupancy.web.request import body_deadline


def read_body(kind: type[Body]) -> Body:
    with body_deadline():
        data = request.get_data()
    if len(data) < (request.content_length or 0) <= MAX_BODY_BYTES:
        # The client is gone, and what it relied on may have stood in the rest.
        raise InvalidRequest("The body did not arrive whole.")
    if len(data) > MAX_BODY_BYTES:
        raise TooLarge("The body is larger than 64 KiB.")
    if data and request.mimetype != JSON:
        raise UnsupportedMediaType("Send the body as application/json.")
    return decode(data, kind)


def read_query(*known: str) -> dict[str, str]:
    query = request.args.to_dict()
    for name, value in query.items():
        if name not in known:
            takes = ", ".join(known) or "nothing"
            raise InvalidRequest(f"The query takes {takes}; not {name[:80]!r}.")
        check_text(name, value)
    return query


def read_limit(query: dict[str, str], default: int, most: int, name: str = "limit") -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise InvalidRequest(f"{name} is not a whole number from 1 to {most}.")
    return int(text)


def as_response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, reply.headers)
    if "Content-Type" not in reply.headers:
        del response.headers["Content-Type"]  # Flask takes what says nothing of itself for a page
    return response


def json_answer(value: Any, status: int = 200) -> Response:
    return as_response(json_reply(msgspec.json.encode(value), status=status))


def raw_answer(body: bytes, etag: str | None = None) -> Response:
    return as_response(json_reply(body, etag=etag))


def large_answer(listing: SnapshotResponse, etag: str, pause: Pause) -> Response:
    """Like ``raw_answer``, but gzipped if the client accepts that; ``pause`` lets others run."""
    is_taken = request.accept_encodings.quality("gzip") > 0
    packed = listing.packed(pause) if is_taken else None
    if packed is None:
        response = raw_answer(listing.plain(), etag)
    else:
        # The same thing in other bytes (RFC 9110, 8.8.1): a weak ETag.
        response = raw_answer(packed, f"W/{etag}")
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    return response

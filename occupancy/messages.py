"""Messages: JSON bodies and queries as they come in, JSON answers as they go out."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from flask import Response, request
from isal import isal_zlib

from .deadlines import body_deadline
from .errors import InvalidRequest, TooLarge, UnsupportedMediaType
from .payloads import MAX_BODY_BYTES, Body, check_text, decode
from .replies import JSON, Reply, json_reply

_COMPRESSED_BYTES = 1400  # what fits into a packet gains nothing
_GZIP = 16 + 15  # zlib's way to ask for gzip's header and the largest window


def read_body(kind: type[Body]) -> Body:
    with body_deadline():
        data = request.get_data()
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
    return Response(reply.body, reply.status, reply.headers)


def json_answer(value: Any, status: int = 200) -> Response:
    return as_response(json_reply(msgspec.json.encode(value), status=status))


def raw_answer(body: bytes, etag: str | None = None) -> Response:
    return as_response(json_reply(body, etag=etag))


def large_answer(body: bytes, etag: str) -> Response:
    """Like ``raw_answer``, but compressed for whoever takes gzip."""
    response = raw_answer(body, etag)
    response.vary.add("Accept-Encoding")
    if len(body) >= _COMPRESSED_BYTES and request.accept_encodings.quality("gzip") > 0:
        response.set_data(isal_zlib.compress(body, 1, _GZIP))
        response.content_encoding = "gzip"
        response.headers["ETag"] = f"W/{etag}"  # the same thing in other bytes (RFC 9110, 8.8.1)
    return response

"""Replies: what is answered, before it becomes a framework's response or bytes on a socket."""

from __future__ import annotations

from typing import Any

import msgspec

from occupancy.core.errors import OccupancyError

JSON = "application/json"
PROBLEM = "application/problem+json"


class Reply(msgspec.Struct):
    status: int
    body: bytes
    headers: dict[str, str]


def json_reply(body: bytes, *, status: int = 200, etag: str | None = None) -> Reply:
    """JSON text as it is; with an ETag a client may keep it, and ask whether it still holds."""
    if etag is None:
        return Reply(status, body, {"Content-Type": JSON, "Cache-Control": "no-store"})
    headers = {"Content-Type": JSON, "Cache-Control": "no-cache", "ETag": etag}
    return Reply(status, body, headers)


def not_modified(etag: str) -> Reply:
    return Reply(304, b"", {"ETag": etag, "Cache-Control": "no-cache"})


def problem(error: OccupancyError) -> dict[str, Any]:
    """The problem document of ``error`` (RFC 9457)."""
    return {
        "type": f"/docs#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }


def problem_reply(error: OccupancyError) -> Reply:
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="occupancy"'
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    return Reply(error.status, msgspec.json.encode(problem(error)), headers)

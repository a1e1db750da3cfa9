"""The bytes of an event stream, after the WHATWG HTML standard, section "Server-sent events".

Pure. Everything is encoded once per process and copied to every subscriber. Cursors come from
Redis and JSON escapes CR and LF, so nothing that a caller sends can begin a line of its own.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

HEARTBEAT = b":\n\n"  # a comment: it moves no Last-Event-ID and wakes no listener
CONTENT_TYPE = "text/event-stream"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until a buffer is full
}


def item_frame(cursor: str, event: bytes) -> bytes:
    """One entry of the log, as the subscribers get it."""
    return b"id: %b\nevent: item\ndata: %b\n\n" % (cursor.encode("ascii"), event)


def control_frame(event: str, data: dict[str, Any], cursor: str | None = None) -> bytes:
    """An event about the stream itself: ready, reset, degraded, recovered, bye."""
    line = b"id: %b\n" % cursor.encode("ascii") if cursor else b""
    return line + b"event: %b\ndata: %b\n\n" % (event.encode("ascii"), msgspec.json.encode(data))


def retry_frame(low_ms: int = 2000, high_ms: int = 4000) -> bytes:
    """How long a browser waits before it comes back; different each time, to spread them out."""
    milliseconds = random.randint(low_ms, high_ms)  # noqa: S311 - it spreads load, it hides nothing
    return b"retry: %d\n\n" % milliseconds

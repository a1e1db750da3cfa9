"""The bytes of an event stream, after the WHATWG HTML standard, section "Server-sent events".

Pure. Everything is encoded once per process and copied to every subscriber. Cursors come from
Redis and JSON escapes CR and LF, so nothing that a caller sends can begin a line of its own.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

LAST_CHUNK = b"0\r\n\r\n"
CONTENT_TYPE = "text/event-stream"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until a buffer is full
}


def http_chunk(data: bytes) -> bytes:
    """``data`` as one chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Payload:
    """Whole frames to write at once: as they are, and as a chunk of the response's body."""

    __slots__ = ("chunk", "frames", "raw")

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames
        self.raw = b"".join(frames)
        self.chunk = http_chunk(self.raw)


HEARTBEAT = Payload([b":\n\n"])  # a comment: it moves no Last-Event-ID and wakes no listener


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

"""The bytes of an event stream, after the WHATWG HTML standard, section "Server-sent events".

Pure. Everything is encoded and compressed once per process and copied to every subscriber: blocks
of DEFLATE (RFC 1951) that refer to nothing before them may stand in many gzip streams. Cursors come
from Redis and JSON escapes CR and LF, so no input of a caller can begin a line of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
from isal import isal_zlib

LAST_CHUNK = b"0\r\n\r\n"
CONTENT_TYPE = "text/event-stream"
HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until a buffer is full
    "Vary": "Accept-Encoding",  # the fast path compresses
}


def http_chunk(data: bytes) -> bytes:
    """``data`` as one chunk of a chunked body (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952: no name, no time, any system


def deflated(data: bytes) -> bytes:
    """``data`` as DEFLATE blocks that refer to nothing before them and end with a whole byte."""
    compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    return bytes(compressor.compress(data) + compressor.flush(isal_zlib.Z_SYNC_FLUSH))


class Payload:
    """Frames to write at once: as they are, as a chunk of the response's body, or compressed."""

    __slots__ = ("_chunk", "_deflated", "_gzip_chunk", "frames", "raw")

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames
        self.raw = b"".join(frames)
        self._chunk = self._deflated = self._gzip_chunk = b""  # made when first asked for

    @property
    def chunk(self) -> bytes:
        if not self._chunk:
            self._chunk = http_chunk(self.raw)
        return self._chunk

    @property
    def deflated(self) -> bytes:
        if not self._deflated:
            self._deflated = deflated(self.raw)
        return self._deflated

    @property
    def gzip_chunk(self) -> bytes:
        if not self._gzip_chunk:
            self._gzip_chunk = http_chunk(self.deflated)
        return self._gzip_chunk


def grouped(frames: list[bytes], most_bytes: int) -> Iterator[list[bytes]]:
    """``frames`` in groups of up to ``most_bytes``; a larger frame is a group of its own."""
    first, size_bytes = 0, 0
    for position, frame in enumerate(frames):
        if position > first and size_bytes + len(frame) > most_bytes:
            yield frames[first:position]
            first, size_bytes = position, 0
        size_bytes += len(frame)
    if frames:
        yield frames[first:]


HEARTBEAT = Payload([b":\n\n"])  # a comment: it moves no Last-Event-ID and wakes no listener


def item_frame(cursor: str, event: bytes) -> bytes:
    """One entry of the log as a frame."""
    return b"id: %b\nevent: item\ndata: %b\n\n" % (cursor.encode("ascii"), event)


def control_frame(event: str, data: dict[str, Any], cursor: str | None = None) -> bytes:
    """A frame about the stream itself: ready, reset, degraded, recovered or bye."""
    line = b"id: %b\n" % cursor.encode("ascii") if cursor else b""
    return line + b"event: %b\ndata: %b\n\n" % (event.encode("ascii"), msgspec.json.encode(data))


def retry_frame(low_ms: int = 2000, high_ms: int = 4000) -> bytes:
    """Tells a browser how long to wait before it reconnects; random, to spread them out."""
    share = random.random()  # noqa: S311 - it spreads load, it hides nothing
    return b"retry: %d\n\n" % (low_ms + share * (high_ms - low_ms))

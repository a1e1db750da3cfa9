"""The bytes that a stream's response begins with, where gunicorn does not write them."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Mapping

from occupancy.live import sse
from occupancy.server.response_head import response_head

_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:$|,|;\s*q=(?!0(?:\.0*)?\s*(?:$|,)))")


class StreamResponse:
    """One per process; ``headers`` are those of every answer."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        vary = [each["Vary"] for each in (sse.HEADERS, headers) if "Vary" in each]
        self._headers = {
            "Content-Type": sse.CONTENT_TYPE, **sse.HEADERS, **headers,
            "Vary": ", ".join(vary), "Transfer-Encoding": "chunked",
        }  # fmt: skip
        self._heads_s, self._heads = 0, (b"", b"")  # of this second, plain and compressed

    def first(self, frames: bytes, *, is_gzip: bool) -> bytes:
        """The head of a response, and its first frames."""
        now_s = int(time.time())
        if now_s != self._heads_s:
            self._heads_s = now_s
            gzip = {**self._headers, "Content-Encoding": "gzip"}
            self._heads = response_head(200, self._headers), response_head(200, gzip)
        body = sse.GZIP_HEADER + sse.deflated(frames) if is_gzip else frames
        return self._heads[is_gzip] + sse.http_chunk(body)

    def whole(self, frames: bytes) -> bytes:
        """A response that is at its end with these frames."""
        return response_head(200, self._headers) + sse.http_chunk(frames) + sse.LAST_CHUNK


@functools.lru_cache(maxsize=100)  # browsers of a kind send the same
def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a client takes what is compressed with gzip (RFC 9110, 12.5.3)."""
    return bool(accept_encoding and _GZIP.search(accept_encoding))

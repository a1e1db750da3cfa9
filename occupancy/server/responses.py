"""Responses as bytes, with a head as gunicorn makes it, for what is answered without gunicorn."""

from __future__ import annotations

import email.utils
import functools
import re
import time
from collections.abc import Mapping
from http import HTTPStatus

from occupancy.live import sse
from occupancy.web.io import Reply

_PHRASES = {each.value: each.phrase for each in HTTPStatus}
_ACCEPTED_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:$|,|;\s*q=(?!0(?:\.0*)?\s*(?:$|,)))")


def encode_reply(
    reply: Reply, headers: Mapping[str, str], *, connection: str = "keep-alive"
) -> bytes:
    """A whole response; ``headers`` are added to those of the reply."""
    length = {} if reply.status == 304 else {"Content-Length": str(len(reply.body))}
    return _head(reply.status, {**reply.headers, **headers, **length}, connection) + reply.body


class StreamResponse:
    """The response of an event stream. One per process; ``headers`` are those of every response."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        vary = [each["Vary"] for each in (sse.HEADERS, headers) if "Vary" in each]
        self._headers = {
            "Content-Type": sse.CONTENT_TYPE, **sse.HEADERS, **headers,
            "Vary": ", ".join(vary), "Transfer-Encoding": "chunked",
        }  # fmt: skip
        self._heads_s, self._heads = 0, (b"", b"")  # of this second, plain and compressed

    def first(self, frames: bytes, *, is_gzip: bool) -> bytes:
        """The head, and the first frames."""
        now_s = int(time.time())
        if now_s != self._heads_s:
            self._heads_s = now_s
            gzip = {**self._headers, "Content-Encoding": "gzip"}
            self._heads = _head(200, self._headers), _head(200, gzip)
        body = sse.GZIP_HEADER + sse.deflated(frames) if is_gzip else frames
        return self._heads[is_gzip] + sse.http_chunk(body)

    def whole(self, frames: bytes) -> bytes:
        """A response that ends after these frames."""
        return _head(200, self._headers) + sse.http_chunk(frames) + sse.LAST_CHUNK


@functools.lru_cache(maxsize=100)  # browsers of a kind send the same
def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a client accepts gzip (RFC 9110, 12.5.3)."""
    return bool(accept_encoding and _ACCEPTED_GZIP.search(accept_encoding))


def _head(status: int, headers: Mapping[str, str], connection: str = "keep-alive") -> bytes:
    fields = "".join([f"{name}: {text}\r\n" for name, text in headers.items()])
    return (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nServer: gunicorn\r\n"
        f"Date: {_date(int(time.time()))}\r\nConnection: {connection}\r\n{fields}\r\n"
    ).encode("latin-1")


@functools.lru_cache(maxsize=2)
def _date(now_s: int) -> str:
    return email.utils.formatdate(now_s, usegmt=True)

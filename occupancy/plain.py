"""Plain requests: those of the few kinds that come all the time, read without a framework.

A request is plain if it is here in one piece, and nothing about it asks for more than the
simplest part of RFC 9112: known method, a path without escapes, headers of visible ASCII, each
once, a body of a stated length. ``parse`` refuses everything else, and whoever asked it hands the
same bytes to gunicorn, which reads HTTP whole; so what is not understood here is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from werkzeug.http import parse_cookie
from werkzeug.sansio.utils import get_host

MAX_HEAD_BYTES = 8192
_LINE = re.compile(rb"(GET|POST) (/[A-Za-z0-9._:@/-]*)(?:\?([A-Za-z0-9._:=&-]*))? HTTP/1\.1\r\n")
# Each line from its very beginning: what does not match as a whole is missing in the count.
_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*([\x20-\x7e]*?)[ \t]*\r\n", re.MULTILINE)
_NEVER_PLAIN = frozenset(("transfer-encoding", "expect", "upgrade", "trailer", "te"))


class Asked(Protocol):
    """What may be asked of a request, be it Flask's or a plain one."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def cookies(self) -> Mapping[str, str]: ...
    @property
    def host(self) -> str: ...
    @property
    def is_secure(self) -> bool: ...
    @property
    def remote_addr(self) -> str | None: ...


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


class PlainHeaders(dict[str, str]):
    """By lower-case name; asked for with any."""

    def get(self, name: str, /) -> str | None:  # type: ignore[override] # no other default is needed
        return super().get(name.lower())


class PlainRequest:
    """One of them; what few need is worked out when it is asked for."""

    __slots__ = ("_proxies", "body", "headers", "method", "path", "peer", "query")

    def __init__(self, line: re.Match[bytes], headers: PlainHeaders, body: bytes) -> None:
        method, path, query = line.groups()
        self.method = method.decode()
        self.path = path.decode()
        self.query = (query or b"").decode()
        self.headers = headers
        self.body = body
        self.peer = ""
        self._proxies = 0

    def comes_from(self, peer: str, proxies: int) -> None:
        """By which address it was sent, and through how many proxies that are believed."""
        self.peer = peer
        self._proxies = proxies

    @property
    def remote_addr(self) -> str:
        return self._forwarded("x-forwarded-for", self._proxies) or self.peer

    @property
    def cookies(self) -> Mapping[str, str]:
        return parse_cookie(self.headers.get("cookie"))

    @property
    def is_secure(self) -> bool:
        return self._forwarded("x-forwarded-proto", 1) == "https"

    @property
    def host(self) -> str:
        host = self._forwarded("x-forwarded-host", 1) or self.headers["host"]
        return get_host("https" if self.is_secure else "http", host)

    def _forwarded(self, name: str, from_the_end: int) -> str:
        """What a proxy that we stand behind says; see browser.py, which does it for Flask."""
        said = self.headers.get(name) if self._proxies else None
        values = said.split(",") if said else ()
        return values[-from_the_end].strip() if len(values) >= from_the_end > 0 else ""


def parse(data: bytes) -> PlainRequest | None:
    """The plain request that ``data`` is, to its last byte; None if it is none, or more."""
    line = _LINE.match(data)
    head_end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if line is None or head_end < 0:
        return None
    fields = data[line.end() : head_end + 2].decode("latin-1")
    headers = PlainHeaders((name.lower(), value) for name, value in _FIELD.findall(fields))
    body = data[head_end + 4 :]
    # A line that is malformed, or a name that is there twice, makes a difference to the count.
    is_plain = (
        len(headers) == fields.count("\n")
        and "host" in headers
        and _NEVER_PLAIN.isdisjoint(headers)
        and headers.get("connection") in (None, "keep-alive", "Keep-Alive")
        and headers.get("content-length") in (None if not body else "", str(len(body)))
        and not (body and line[1] == b"GET")
    )
    return PlainRequest(line, headers, body) if is_plain else None

"""Plain requests and answers: of the few kinds that come all the time, without a framework.

A request is plain if it is here in one piece, and nothing about it asks for more than the
simplest part of RFC 9112: known method, a path without escapes, headers of visible ASCII, each
once, a body of a stated length. ``parse`` refuses everything else, and whoever asked it hands the
same bytes to gunicorn, which reads HTTP whole; so what is not understood here is never guessed.
"""

from __future__ import annotations

import email.utils
import functools
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from werkzeug.http import parse_cookie

MAX_HEAD_BYTES = 8192
READ_BYTES = 16 * 1024  # at a time; a plain request is here in one piece
_MOST_FIELDS = 100  # as many as gunicorn takes
_LINE = re.compile(rb"(GET|POST) (/[A-Za-z0-9._:@/-]*)(?:\?([A-Za-z0-9._:=&-]*))? HTTP/1\.1\r\n")
# Never goes back. (Python below 3.11.5 may take too little for a whole field at the very end, which
# is no danger here: what is looked at ends with the end of a line.)
_FIELDS = re.compile(rb"(?:[A-Za-z0-9-]++:[\t\x20-\x7e]*+\r\n)*+")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_NEVER_PLAIN = frozenset(("transfer-encoding", "expect", "upgrade", "trailer", "te"))


_PHRASES = {each.value: each.phrase for each in HTTPStatus}


class HttpRequest(Protocol):
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


class FastHeaders(dict[str, str]):
    """By lower-case name; asked for with any."""

    def get(self, name: str, /) -> str | None:  # type: ignore[override] # no other default is needed
        return dict.get(self, name.lower())


class FastRequest:
    """One of them; what few need is worked out when it is asked for."""

    __slots__ = ("_proxies", "body", "headers", "method", "path", "peer", "query")

    def __init__(self, line: re.Match[bytes], headers: FastHeaders, body: bytes) -> None:
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
        said = self.headers.get("x-forwarded-proto") if self._proxies else None
        return forwarded_scheme(said or "") == "https"

    @property
    def host(self) -> str:
        return self._forwarded("x-forwarded-host", 1) or self.headers["host"]

    def _forwarded(self, name: str, from_the_end: int) -> str:
        """What a proxy that we stand behind says; see browser.py, which does it for Flask."""
        said = self.headers.get(name) if self._proxies else None
        values = forwarded(said).split(",") if said else ()
        return values[-from_the_end] if len(values) >= from_the_end > 0 else ""


def forwarded(said: str) -> str:
    """What proxies say in a header, without what could hide a part of it.

    These headers are no lists of RFC 9110, but read as such: a quotation mark that a client sends
    would join all that the proxies add into one text, and make it disappear.
    """
    values = (value.strip(" \t") for value in said.replace('"', "").split(","))
    return ",".join(value for value in values if value)


def forwarded_scheme(said: str) -> str:
    """The scheme by which the nearest proxy was reached: https or http; '' if not known."""
    nearest = forwarded(said).rpartition(",")[2].lower()
    return {"https": "https", "wss": "https", "http": "http", "ws": "http"}.get(nearest, "")


def host_of(asked: HttpRequest) -> str:
    """The request's host, with its port if given, in lower case; '' if it is malformed.

    Not Werkzeug's ``host``, which rejects names with an underscore, as local networks have them.
    """
    host = asked.host if isinstance(asked, FastRequest) else asked.headers.get("Host") or ""
    return host.lower() if _HOST.fullmatch(host) else ""


def parse(data: bytes) -> FastRequest | None:
    """The plain request that ``data`` is, to its last byte; None if it is none, or more."""
    line = _LINE.match(data)
    head_end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if line is None or head_end < 0 or not _FIELDS.fullmatch(data, line.end(), head_end + 2):
        return None
    lines = data[line.end() : head_end].decode("ascii").split("\r\n")
    fields: dict[str, str] = {}
    for each in lines:
        name, _, value = each.partition(":")
        fields[name.lower()] = value.strip(" \t")
    body = data[head_end + 4 :]
    is_plain = (
        len(fields) == len(lines) <= _MOST_FIELDS  # none twice
        and "host" in fields
        and _NEVER_PLAIN.isdisjoint(fields)
        and fields.get("connection") in (None, "keep-alive", "Keep-Alive")
        and fields.get("content-length", "0") == str(len(body))
        and not (body and line[1] == b"GET")
    )
    return FastRequest(line, FastHeaders(fields), body) if is_plain else None


def answer_head(
    status: int, headers: Mapping[str, str], *, connection: str = "keep-alive"
) -> bytes:
    """The head of an answer, as gunicorn makes it."""
    fields = "".join([f"{name}: {text}\r\n" for name, text in headers.items()])
    return (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nServer: gunicorn\r\n"
        f"Date: {_date(int(time.time()))}\r\nConnection: {connection}\r\n{fields}\r\n"
    ).encode("latin-1")


@functools.lru_cache(maxsize=2)
def _date(now_s: int) -> str:
    return email.utils.formatdate(now_s, usegmt=True)

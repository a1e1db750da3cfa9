"""Requests that the fast path reads itself.

Such a request has arrived in one piece, and needs only the simplest part of RFC 9112: a known
method, a path without escapes, headers of visible ASCII, each once, a body of a stated length.
``parse`` refuses everything else, and gunicorn, which reads all of HTTP, gets the same bytes; so
nothing is guessed here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from werkzeug.http import parse_cookie

from occupancy.core.settings import Settings
from occupancy.web.open_stream import cursor_of
from occupancy.web.request import forwarded, forwarded_scheme
from occupancy.web.security import is_allowed_host

_MAX_HEAD_BYTES = 8192
MAX_REQUEST_BYTES = 16 * 1024  # read at a time; a request for the fast path is in one piece
_MAX_FIELDS = 100  # as many as gunicorn accepts
_LINE = re.compile(rb"(GET|POST) (/[A-Za-z0-9._:@/-]*)(?:\?([A-Za-z0-9._:=&-]*))? HTTP/1\.1\r\n")
# Never backtracks. (Python below 3.11.5 may match too little of a field at the very end, which is
# no danger here: the match ends at the end of a line.)
_FIELDS = re.compile(rb"(?:[A-Za-z0-9-]++:[\t\x20-\x7e]*+\r\n)*+")
# Werkzeug refuses a host with an empty label, or one of more than 63 characters.
_REFUSED_HOST = re.compile(r"\A\.|\.\.|[^.:]{64}")
_EVENTS = re.compile(r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})/events\Z")
_NEVER_FAST = frozenset(("transfer-encoding", "expect", "upgrade", "trailer", "te"))


class FastHeaders(dict[str, str]):
    """Headers by their names in lower case; ``get`` takes any case."""

    def get(self, name: str, /) -> str | None:  # type: ignore[override] # no other default is needed
        return dict.get(self, name.lower())


class FastRequest:
    """A request read here, as ``web.request.HttpRequest``.

    ``peer`` is the address of the sender, ``proxies`` the number of proxies whose headers are
    believed. Properties are what few requests need.
    """

    __slots__ = ("_peer", "_proxies", "body", "headers", "method", "path", "query")

    def __init__(
        self, line: re.Match[bytes], headers: FastHeaders, body: bytes, peer: str, proxies: int
    ) -> None:
        method, path, query = line.groups()
        self.method = method.decode()
        self.path = path.decode()
        self.query = (query or b"").decode()
        self.headers = headers
        self.body = body
        self._peer = peer
        self._proxies = proxies
        if proxies and (host := self._forwarded("x-forwarded-host", 1)):
            self.headers["host"] = host

    @property
    def remote_addr(self) -> str:
        return self._forwarded("x-forwarded-for", self._proxies) or self._peer

    @property
    def cookies(self) -> Mapping[str, str]:
        return parse_cookie(self.headers.get("cookie"))

    @property
    def is_secure(self) -> bool:
        header = self.headers.get("x-forwarded-proto") if self._proxies else None
        return forwarded_scheme(header or "") == "https"

    def _forwarded(self, name: str, from_the_end: int) -> str:
        """The value that proxies have set; for Flask's requests web/security.py finds it."""
        header = self.headers.get(name) if self._proxies else None
        values = forwarded(header).split(",") if header else ()
        return values[-from_the_end] if len(values) >= from_the_end > 0 else ""


class FirstRead(NamedTuple):
    """What was read of a connection before its greenlet began."""

    data: bytes
    request: FastRequest | None  # that ``data`` is, if it is one for the fast path


NOTHING_READ = FirstRead(b"", None)
Serve = Callable[[socket.socket, FirstRead, Any], None]
"""Gives a connection a greenlet: the connection, what was read of it, its address."""


class RequestReader:
    """Reads requests by the settings; leaves to Flask what only Flask answers."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = settings.proxies
        self._hosts = settings.allowed_hosts
        self._has_cors = bool(settings.cors_origins)

    def read(self, data: bytes, address: Any) -> FastRequest | None:
        """The request that ``data`` is, sent from ``address``; None if gunicorn is to read it."""
        request = parse(data, address[0] if address else "", self._proxies)
        if request is None or (self._has_cors and "origin" in request.headers):
            return None  # Flask answers CORS
        if self._hosts and not is_allowed_host(request, self._hosts):
            return None  # Flask refuses it
        return request


def parse(data: bytes, peer: str = "", proxies: int = 0) -> FastRequest | None:
    """The request that ``data`` is, to its last byte; None if it is none for the fast path."""
    line = _LINE.match(data)
    head_end = data.find(b"\r\n\r\n", 0, _MAX_HEAD_BYTES)
    if line is None or head_end < 0 or not _FIELDS.fullmatch(data, line.end(), head_end + 2):
        return None
    lines = data[line.end() : head_end].decode("ascii").split("\r\n")
    fields: dict[str, str] = {}
    for each in lines:
        name, _, value = each.partition(":")
        fields[name.lower()] = value.strip(" \t")
    body = data[head_end + 4 :]
    is_fast = (
        len(fields) == len(lines) <= _MAX_FIELDS  # none twice
        and "host" in fields
        and _NEVER_FAST.isdisjoint(fields)
        and fields.get("connection") in (None, "keep-alive", "Keep-Alive")
        and fields.get("content-length", "0") == str(len(body))
        and not (body and line[1] == b"GET")
    )
    if not is_fast:
        return None
    request = FastRequest(line, FastHeaders(fields), body, peer, proxies)
    return None if _REFUSED_HOST.search(request.headers["host"]) else request


def stream_target(request: FastRequest) -> tuple[str, str | None] | None:
    """Board and cursor of a request for a stream; None for others, and with a ticket.

    A ticket always needs the store.
    """
    path = _EVENTS.match(request.path)
    if path is None or request.method != "GET":
        return None
    # The query has no escapes (see _LINE).
    query = [each.partition("=")[::2] for each in request.query.split("&")]
    if any(name == "ticket" for name, _ in query):
        return None
    return path[1], cursor_of(request.headers.get("last-event-id"), query)

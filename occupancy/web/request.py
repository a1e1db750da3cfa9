"""The request: one type for Flask's requests and for those that the fast path reads itself.

``HttpRequest`` is what the API's functions may read of a request. Behind proxies, ``remote_addr``,
``is_secure`` and the Host header are already those of the client.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

_HOST_HEADER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


class HttpRequest(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def cookies(self) -> Mapping[str, str]: ...
    @property
    def is_secure(self) -> bool: ...
    @property
    def remote_addr(self) -> str | None: ...


def host_of(request: HttpRequest) -> str:
    """The request's host, with its port if given, in lower case; '' if it is malformed.

    Not Werkzeug's ``host``, which rejects names with an underscore, as local networks have them.
    """
    host = request.headers.get("Host") or ""
    return host.lower() if _HOST_HEADER.fullmatch(host) else ""


def forwarded(header: str) -> str:
    """The values that proxies have put into a header, without what could hide a part of them.

    These headers are no lists of RFC 9110, but are read as such: a quotation mark that a client
    sends would join all that the proxies add into one text, and make it disappear.
    """
    values = (value.strip(" \t") for value in header.replace('"', "").split(","))
    return ",".join(value for value in values if value)


def forwarded_scheme(header: str) -> str:
    """The scheme by which the nearest proxy was reached: https or http; '' if not known."""
    nearest = forwarded(header).rpartition(",")[2].lower()
    return {"https": "https", "wss": "https", "http": "http", "ws": "http"}.get(nearest, "")

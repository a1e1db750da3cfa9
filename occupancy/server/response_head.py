"""The head of a response, as gunicorn makes it, for what is answered without gunicorn."""

from __future__ import annotations

import email.utils
import functools
import time
from collections.abc import Mapping
from http import HTTPStatus

_PHRASES = {each.value: each.phrase for each in HTTPStatus}


def response_head(
    status: int, headers: Mapping[str, str], *, connection: str = "keep-alive"
) -> bytes:
    """The status line and all headers, with the empty line that ends them."""
    fields = "".join([f"{name}: {text}\r\n" for name, text in headers.items()])
    return (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\nServer: gunicorn\r\n"
        f"Date: {_date(int(time.time()))}\r\nConnection: {connection}\r\n{fields}\r\n"
    ).encode("latin-1")


@functools.lru_cache(maxsize=2)
def _date(now_s: int) -> str:
    return email.utils.formatdate(now_s, usegmt=True)

"""Page tokens: where the next page of a list begins, as clients send it back."""

from __future__ import annotations

import base64
import binascii
import re

from .errors import InvalidRequest


def page_token(last: bytes) -> str:
    """Leads on from a page that ended with the member ``last``."""
    return base64.urlsafe_b64encode(last).decode().rstrip("=")


def page_start(token: str, pattern: str) -> str:
    """The member, like ``pattern``, that the page before ended with. Raises InvalidRequest."""
    try:
        start = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        start = ""
    if not re.match(pattern, start):
        raise InvalidRequest("page is not a token that this service gave out.")
    return start

"""Page tokens: where the next page of a list begins, as clients send it back."""

from __future__ import annotations

import base64
import binascii
import re

from occupancy.core.errors import InvalidRequest


def page_token(last: bytes) -> str:
    """The token of the page that follows one whose last member is ``last``."""
    return base64.urlsafe_b64encode(last).decode().rstrip("=")


def page_start(token: str, pattern: str) -> str:
    """The last member of the page before, from its ``token``.

    Raises InvalidRequest for a token whose member does not match ``pattern``.
    """
    try:
        start = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        start = ""
    if not re.match(pattern, start):
        raise InvalidRequest("page is not a token that this service gave out.")
    return start

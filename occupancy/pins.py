"""PINs: stored for workers who will sign in at a shared screen; tokens are the only way in yet.

Only a salted scrypt hash is stored: a PIN has few possibilities, so guessing must be slow.
"""

from __future__ import annotations

import re

from werkzeug.security import check_password_hash, generate_password_hash

from .errors import InvalidRequest
from .payloads import check_text

_MAX_CHARS = 200


def hash_pin(pin: str) -> str:
    """The hash to store. Raises InvalidRequest for a PIN that is too easily guessed."""
    check_text("The PIN", pin)
    is_number = re.fullmatch(r"[0-9]+", pin) is not None
    is_allowed = 4 <= len(pin) <= 12 if is_number else 8 <= len(pin) <= _MAX_CHARS
    if not is_allowed:
        raise InvalidRequest(
            f"The PIN is not allowed: it must be 4 to 12 digits, or a phrase of 8 to {_MAX_CHARS} "
            "characters."
        )
    return generate_password_hash(pin)


def is_pin(pin: str, pin_hash: str) -> bool:
    """Whether ``pin`` is the one that was hashed; takes some 50 ms on purpose."""
    return check_password_hash(pin_hash, pin)

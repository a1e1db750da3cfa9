"""PINs: the secrets with which workers sign in at a browser.

Only a salted scrypt hash is stored: a PIN has few possibilities, so a guess costs 32 MB and 50 ms.
"""

from __future__ import annotations

import functools
import re
import secrets
import unicodedata
from collections.abc import Callable

import gevent
from werkzeug.security import check_password_hash, generate_password_hash

from occupancy.access.pin_queue import PinQueue
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.checks import check_text

MAX_PIN_CHARS = 200


class PinHasher:
    """Hashes the PINs of one process: in a thread, so that the greenlets continue, and one at a
    time, because each takes 32 MB and a whole core."""

    def __init__(self) -> None:
        self.queue = PinQueue()

    def hash(self, pin: str, worker_id: str) -> str:
        """See :func:`hash_pin`; for principals who are signed in. Raises RateLimited too."""
        with self.queue.place(worker_id, "", is_known=True):
            return str(self._call(hash_pin, pin, worker_id))

    def is_right(self, pin: str, pin_hash: str | None, *, is_known: bool) -> bool:
        """See :func:`is_pin`. The caller must hold a place in the queue."""
        return bool(self._call(is_pin, pin, pin_hash, is_known=is_known))

    def _call(
        self, function: Callable[..., object], *args: str | None, is_known: bool = True
    ) -> object:
        with self.queue.turn(is_known=is_known):
            return gevent.get_hub().threadpool.apply(function, args)


def hash_pin(pin: str, worker_id: str = "") -> str:
    """The hash to store. Raises InvalidRequest for a PIN that is too easily guessed.

    ``worker_id`` is the PIN's worker: a guesser tries the worker's own id first.
    """
    return generate_password_hash(check_pin(pin, worker_id))


def check_pin(pin: str, worker_id: str = "") -> str:
    """``pin`` as it is hashed. Raises InvalidRequest as :func:`hash_pin` does.

    The pages have the same rule, in ``pin_rule.js``.
    """
    check_text("The PIN", pin)
    pin = _normalized(pin)
    is_number = re.fullmatch(r"[0-9]+", pin) is not None
    if not (4 <= len(pin) <= 12 if is_number else 8 <= len(pin) <= MAX_PIN_CHARS):
        raise InvalidRequest(
            f"The PIN is not allowed: it must be 4 to 12 digits, or a phrase of 8 to "
            f"{MAX_PIN_CHARS} characters."
        )
    if _is_obvious(pin) or pin == worker_id:
        raise InvalidRequest(
            "The PIN is not allowed: others would try it first. Take one that repeats nothing "
            "(not 1111, 1212), does not count up or down (not 1234, 9876), and is not the "
            "worker's id."
        )
    return pin


def random_pin() -> str:
    """Four digits that :func:`hash_pin` accepts."""
    while _is_obvious(pin := f"{secrets.randbelow(10_000):04d}"):
        pass
    return pin


def _is_obvious(pin: str) -> bool:
    """Whether ``pin`` repeats one part, or counts up or down (also 7890 and 3210)."""
    # A text that occurs in its double elsewhere than at the two ends repeats a part of itself.
    if pin in (pin + pin)[1:-1]:
        return True
    return any(pin in digits for digits in ("01234567890123456789", "98765432109876543210"))


def is_pin(pin: str, pin_hash: str | None) -> bool:
    """Whether ``pin`` is the one that was hashed; takes the same time where there is no hash.

    Older hashes are of the text as the keyboard sent it. So a wrong phrase with an accent costs two
    hashes, with another kind of space as well three; wrong digits cost one.
    """
    known_hash = pin_hash or _nobodys_hash()
    forms = dict.fromkeys((_normalized(pin), pin, unicodedata.normalize("NFD", pin)))
    is_right = any(check_password_hash(known_hash, form) for form in forms)
    return is_right and pin_hash is not None


def _normalized(pin: str) -> str:
    """``pin`` as it is hashed: RFC 8265's OpaqueString. Keyboards send accents in two ways."""
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in pin)
    return unicodedata.normalize("NFC", spaced)


@functools.cache
def _nobodys_hash() -> str:
    return generate_password_hash("nobody has this one")

"""Numbers that arrive as they were sent.

JSON has one kind of number, and most who read it (browsers first) keep it as a double: an integer
beyond 2^53 or a fraction of many digits is shown as another number than the one that was sent, and
nobody is told. A serial number like that is a text in truth, so it is refused with what to do.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from typing import Any

import msgspec

from .errors import InvalidRequest

MAX_EXACT = 2**53 - 1  # JavaScript's Number.MAX_SAFE_INTEGER


class _Texts(msgspec.Struct):
    attributes: dict[str, msgspec.Raw]


def check_exact(attributes: dict[str, Any], body: bytes) -> None:
    """Raises InvalidRequest for a number in ``attributes`` that would not be kept to the digit.

    ``body`` is the JSON that they were decoded from: a fraction's digits are lost by then.
    """
    fractions = set()
    for name, value in attributes.items():
        if isinstance(value, int | float) and abs(value) > MAX_EXACT:
            raise InvalidRequest(
                f"attributes: the number in '{name}' is beyond {MAX_EXACT} and would be rounded. "
                "Send it as text."
            )
        if isinstance(value, float):
            fractions.add(name)
    if not fractions:
        return
    texts = msgspec.json.decode(body, type=_Texts).attributes
    for name in fractions:
        if not _is_kept(bytes(texts[name]).decode(), attributes[name]):
            raise InvalidRequest(
                f"attributes: the number in '{name}' has more digits than can be kept. "
                "Send it as text."
            )


def _is_kept(text: str, value: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(value))
    except DecimalException:  # an exponent beyond what even Decimal has
        return False

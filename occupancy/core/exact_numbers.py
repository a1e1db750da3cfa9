"""Exact numbers: the numbers that a double keeps without rounding.

Most readers of JSON, browsers among them, store a number as a double. They would silently change
an integer beyond 2^53 or a fraction with many digits. Such a number is usually a serial number,
so it is refused with the advice to send it as text.
"""

from __future__ import annotations

from decimal import Decimal, DecimalException
from typing import Any

import msgspec

from occupancy.core.errors import InvalidRequest

MAX_EXACT = 2**53 - 1  # JavaScript's Number.MAX_SAFE_INTEGER


class _Texts(msgspec.Struct):
    attributes: dict[str, msgspec.Raw]


def check_exact(attributes: dict[str, Any], body: bytes) -> None:
    """Raises InvalidRequest for a number in ``attributes`` that a double would round.

    ``body`` is the JSON from which they were decoded; it still has all digits of a fraction.
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
    except DecimalException:  # an exponent beyond the range of Decimal
        return False

"""Accepted values: the numbers that a double keeps, and the texts that show what they store.

Most readers of JSON, browsers among them, store a number as a double. They would silently change
an integer beyond 2^53 or a fraction with many digits. Such a number is usually a serial number,
so it is refused with the advice to send it as text.

A title of spaces leaves a row without a name. A directional override shows `99-A` as `A-99`, and
somebody takes the wrong part. So requests with either are refused; texts that were stored before
this rule stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, DecimalException
from typing import Any

import msgspec

from occupancy.core.errors import InvalidRequest

MAX_EXACT = 2**53 - 1  # JavaScript's Number.MAX_SAFE_INTEGER
# Letters, symbols and unassigned code points that look blank (DerivedCoreProperties.txt:
# Default_Ignorable_Code_Point; and the Braille pattern without dots).
_BLANK = re.compile("[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]")
# A mark (Mn, Me) shows only on a base character.
_NEVER_SEEN = {"Cc", "Cf", "Cs", "Mn", "Me", "Zs", "Zl", "Zp"}
_BIDI_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069]")


class _AttributeTexts(msgspec.Struct):
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
    texts = msgspec.json.decode(body, type=_AttributeTexts).attributes
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


def is_visible(text: str) -> bool:
    """Whether any character of ``text`` shows."""
    if text.isascii():
        return not text.isspace() and bool(text)
    seen = _BLANK.sub("", text)
    return any(unicodedata.category(char) not in _NEVER_SEEN for char in seen)


def bidi_control(text: str) -> str | None:
    """The first character that overrides, embeds or isolates a direction, or None.

    Right-to-left letters need none of them. The marks U+200E and U+200F are allowed, because they
    reorder only themselves.
    """
    found = _BIDI_CONTROL.search(text)
    return found[0] if found else None

"""Visible text: whether a text shows anything, and in the order in which it is stored.

A title of spaces leaves a row without a name. A directional override shows `99-A` as `A-99`, and
somebody takes the wrong part. So requests with either are refused; texts that were stored before
this rule stay as they are.
"""

from __future__ import annotations

import re
import unicodedata

# Letters, symbols and unassigned code points that look blank (DerivedCoreProperties.txt:
# Default_Ignorable_Code_Point; and the Braille pattern without dots).
_BLANK = re.compile("[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]")
# A mark (Mn, Me) shows only on a base character.
_NEVER_SEEN = {"Cc", "Cf", "Cs", "Mn", "Me", "Zs", "Zl", "Zp"}
_BIDI_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069]")


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

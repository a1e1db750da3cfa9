"""What can be seen of a text: whether anything at all, and whether in the order it is stored in.

A title of spaces leaves a row without a name, and a directional override shows `99-A` as `A-99`:
whoever reads the board takes the wrong part. So both are refused where texts come in, and what was
stored before there was this rule stays as it is.
"""

from __future__ import annotations

import re
import unicodedata

# Letters, symbols and unassigned code points that are drawn as nothing (DerivedCoreProperties.txt:
# Default_Ignorable_Code_Point; the blank of Braille is drawn, but has no dots).
_BLANK = re.compile("[\u115f\u1160\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]")
_NEVER_SEEN = {"Cc", "Cf", "Cs", "Mn", "Me", "Zs", "Zl", "Zp"}  # a mark needs what it is put on
_BIDI_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069]")


def is_visible(text: str) -> bool:
    """Whether anything of ``text`` shows."""
    if text.isascii():
        return not text.isspace() and bool(text)
    seen = _BLANK.sub("", text)
    return any(unicodedata.category(char) not in _NEVER_SEEN for char in seen)


def bidi_control(text: str) -> str | None:
    """The first character that turns the direction of what follows, or None.

    Right-to-left letters need none, and the marks U+200E and U+200F turn nothing but themselves.
    """
    found = _BIDI_CONTROL.search(text)
    return found[0] if found else None

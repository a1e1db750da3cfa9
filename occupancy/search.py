"""Search: which items a text finds. It is folded as the pages' own search folds it
(static/js/model.js), and both are tested with the same table (tests/search.json).

Each word must stand somewhere in tag, title or holder (the page looks into reason and attributes as
well). Case and accents do not count: who types `senal` finds `Señal`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import msgspec

_SPACE = re.compile(r"(?:[^\S\x1c-\x1f\x85]|\ufeff)+")  # as JavaScript's \s


class _WithoutMarks(dict[int, int | None]):
    """For ``str.translate``: a mark becomes nothing. Learned as they come, and bounded."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.category(chr(code))[0] == "M" else code
        if len(self) < _MOST_LEARNED:
            self[code] = kept
        return kept


_MOST_LEARNED = 5000
_WITHOUT_MARKS = _WithoutMarks()


def fold(text: str) -> str:
    """``text`` in small letters without accents, whichever way they were composed."""
    if text.isascii():
        return text.lower()
    bare = unicodedata.normalize("NFD", text).translate(_WITHOUT_MARKS)
    # A sigma is written otherwise at a word's end, and what is typed may end before the word does.
    return bare.lower().replace("ς", "σ")


class Search:
    """What somebody looks for; a text without words finds everything."""

    def __init__(self, text: str) -> None:
        self._words = [word for word in _SPACE.split(fold(text)) if word]

    def finds(self, item: bytes) -> bool:
        """Whether the item, as the store's JSON has it, has every word."""
        if not self._words:
            return True
        # Most items have a word nowhere in their JSON, names of fields included; then there is no
        # need to decode it. A backslash is an escape, and may hide a part of a word.
        if b"\\" not in item and not self._are_in(fold(item.decode())):
            return False
        return self._are_in(fold(_read_of(msgspec.json.decode(item))))

    def _are_in(self, text: str) -> bool:
        return all(word in text for word in self._words)


def _read_of(item: dict[str, Any]) -> str:
    holder = item["holder"] or {"name": "", "id": ""}
    return " ".join((item["tag"], item["title"], holder["name"], holder["id"]))

"""Search: which items a text finds.

Each word must occur in tag, title or holder (the page also searches reason and attributes). Case
and accents do not matter: `senal` finds `Señal`. Texts are folded as in the pages' own search
(static/js/model.js); the same table tests both (tests/search.json).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import msgspec

_SPACE = re.compile(r"(?:[^\S\x1c-\x1f\x85]|\ufeff)+")  # as JavaScript's \s


class _WithoutMarks(dict[int, int | None]):
    """For ``str.translate``: removes marks. Learns characters as they come, up to a bound."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.category(chr(code))[0] == "M" else code
        if len(self) < _MOST_LEARNED:
            self[code] = kept
        return kept


_MOST_LEARNED = 5000
_WITHOUT_MARKS = _WithoutMarks()


def fold(text: str) -> str:
    """``text`` in lower case without accents, however they were composed."""
    if text.isascii():
        return text.lower()
    bare = unicodedata.normalize("NFD", text).translate(_WITHOUT_MARKS)
    # A final sigma is another letter, and the typed text may end before the word does.
    return bare.lower().replace("ς", "σ")


class Search:
    """The words of a query; a query without words finds everything."""

    def __init__(self, text: str) -> None:
        self._words = [word for word in _SPACE.split(fold(text)) if word]

    def finds(self, item: bytes) -> bool:
        """Whether ``item``, the store's JSON, has every word."""
        if not self._words:
            return True
        # Most items lack a word in all of their JSON, names of fields included: no need to decode
        # those. A backslash begins an escape, which may hide a part of a word.
        if b"\\" not in item and not self._are_in(fold(item.decode())):
            return False
        return self._are_in(fold(_read_of(msgspec.json.decode(item))))

    def _are_in(self, text: str) -> bool:
        return all(word in text for word in self._words)


def _read_of(item: dict[str, Any]) -> str:
    holder = item["holder"] or {"name": "", "id": ""}
    return " ".join((item["tag"], item["title"], holder["name"], holder["id"]))

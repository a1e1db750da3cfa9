"""Search: which items of a board a text, a state or a holder selects.

Each word of a text must occur in tag, title or holder (the page also searches reason and
attributes). Case and accents do not matter: `senal` finds `Señal`. Texts are folded as in the
pages' own search (static/js/fold.js); the same table tests both (tests/search.json).
"""

from __future__ import annotations

import bisect
import itertools
import re
import unicodedata
from collections.abc import Callable

import msgspec

from occupancy.boards.records import Snapshot, page_token, tag_of
from occupancy.core.entities import Person
from occupancy.core.slices import Pause, sliced

_SPACE = re.compile(r"(?:[^\S\x1c-\x1f\x85]|\ufeff)+")  # as JavaScript's \s


class _Fields(msgspec.Struct):
    """The fields of an item that searches and filters need."""

    tag: str
    title: str
    state: str
    holder: Person | None


_fields_of = msgspec.json.Decoder(_Fields).decode


class _WithoutMarks(dict[int, int | None]):
    """For ``str.translate``: removes marks. Learns characters as they come, up to a bound."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.category(chr(code))[0] == "M" else code
        if len(self) < _MAX_LEARNED:
            self[code] = kept
        return kept


_MAX_LEARNED = 5000
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
        """Whether ``item``, in JSON, has every word."""
        if not self._words:
            return True
        # Most items lack a word in all of their JSON, names of fields included: no need to decode
        # those. A backslash begins an escape, which may hide a part of a word.
        if b"\\" not in item and not self._are_in(fold(item.decode())):
            return False
        fields = _fields_of(item)
        holder = fields.holder or Person("", "")
        return self._are_in(fold(" ".join((fields.tag, fields.title, holder.name, holder.id))))

    def _are_in(self, text: str) -> bool:
        return all(word in text for word in self._words)


def filter_by(state: str | None, holder: str | None) -> Callable[[bytes], bool] | None:
    """A test whether an item, in JSON, has that state and holder; None selects all items.

    Neither has a character that JSON escapes: an item without the quoted text needs no decoding.
    """
    if holder is not None:
        if state not in (None, "occupied"):  # a held item is occupied
            return lambda item: False
        quoted = b'"%b"' % holder.encode()

        def is_held(item: bytes) -> bool:
            if quoted not in item:
                return False
            found = _fields_of(item).holder
            return found is not None and found.id == holder

        return is_held
    if state is None:
        return None
    quoted = b'"%b"' % state.encode()
    return lambda item: quoted in item and _fields_of(item).state == state


def select(
    snapshot: Snapshot,
    is_selected: Callable[[bytes], bool] | None,
    text: str | None,
    *,
    start: str,
    limit: int,
    pause: Pause,
) -> Snapshot:
    """What ``Queries.snapshot`` answers, from a whole board: up to ``limit`` items after ``start``.

    ``text`` is searched in that page only. ``pause`` lets others run, once in each SLICE_S.
    """
    items = snapshot.items
    first = bisect.bisect_right(items, start, key=tag_of) if start else 0
    page: list[bytes] = []
    following = None
    for item in sliced(itertools.islice(items, first, None), pause):
        if is_selected is None or is_selected(item):
            if len(page) == limit:
                following = page_token(tag_of(page[-1]).encode())
                break
            page.append(item)
    if text:
        page = list(filter(Search(text).finds, sliced(page, pause)))
    return msgspec.structs.replace(snapshot, items=page, next=following)

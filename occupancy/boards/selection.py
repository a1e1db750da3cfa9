"""Selection: filters and search over a whole board, page by page.

A large board is kept in the process (images.py), so this asks the server nothing. It works in
slices, because a board takes tens of milliseconds.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable

import msgspec

from occupancy.boards.page_tokens import page_token
from occupancy.boards.records import Snapshot
from occupancy.boards.search import Search
from occupancy.core.entities import Person
from occupancy.core.slices import Pause, sliced

_BEGIN = b'{"tag":"'


class _Filtered(msgspec.Struct):
    """The fields of an item that filters need."""

    state: str
    holder: Person | None


def asked_for(state: str | None, holder: str | None) -> Callable[[bytes], bool] | None:
    """A test whether an item, as the store's JSON, has that state and holder; None: all have."""
    if holder is not None:
        if state not in (None, "occupied"):  # whoever holds an item occupies it
            return lambda item: False
        text = b'"holder":{"id":"%b"' % holder.encode()

        def is_held(item: bytes) -> bool:
            if text not in item:
                return False  # no need to decode; a match may still be in the attributes
            found = msgspec.json.decode(item, type=_Filtered).holder
            return found is not None and found.id == holder

        return is_held
    if state is None:
        return None
    begin = b'"state":"%b"' % state.encode()
    return lambda item: begin in item and msgspec.json.decode(item, type=_Filtered).state == state


def selected(
    snapshot: Snapshot,
    is_asked: Callable[[bytes], bool] | None,
    text: str | None,
    *,
    start: str,
    limit: int,
    pause: Pause,
) -> Snapshot:
    """What ``Store.snapshot`` answers, from a whole board: up to ``limit`` items after ``start``.

    ``text`` is searched in that page only. ``pause`` lets others run, once in each SLICE_S.
    """
    items = snapshot.items
    first = 0
    if start:
        begin = _BEGIN + b'%b"' % start.encode()
        first = bisect.bisect_left(items, begin)
        first += first < len(items) and items[first].startswith(begin)
    page: list[bytes] = []
    following = None
    for item in sliced(itertools.islice(items, first, None), pause):
        if is_asked is None or is_asked(item):
            if len(page) == limit:
                following = page_token(page[-1][len(_BEGIN) :].partition(b'"')[0])
                break
            page.append(item)
    if text:
        finds = Search(text).finds
        page = [item for item in sliced(page, pause) if finds(item)]
    return Snapshot(snapshot.cursor, snapshot.seq, page, following)

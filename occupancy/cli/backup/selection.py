"""Which keys a backup has: all but those listed here, so a new kind of key is not forgotten."""

from __future__ import annotations

import re
from typing import NamedTuple

# What a restore leaves out with --without-tokens: a station's cookie is a token too.
TOKENS = ("{access}:tokens", "{access}:stations")

# Sessions, links, tickets: everybody signs in again. Uploaded files live for an hour. The rest
# counts or reports what happens now.
_LEFT_OUT = {
    "access": re.compile(
        r"(sessions|session_ends|uses|changes|notes|processes|promotions|rights|confirmed)\b"
        r"|(opened|links?|invitation|ticket|failures|address|known|process|promotion):"
    ),
    "board": re.compile(r"(rights|confirmed|sweeper|uploads?)\b|rate:"),
    "": re.compile(r"(boards|reconciling|restoring|version_base)\Z"),
}
_SLOT = re.compile(r"\{([^}]+)\}:(.*)\Z", re.DOTALL)


class Place(NamedTuple):
    """Where a key belongs: ``board`` is "access", a board, or "" for neither."""

    board: str
    name: str


def place_of(key: str) -> Place:
    """The place of a key, which is given without the prefix and its colon."""
    found = _SLOT.match(key)
    return Place(found[1], found[2]) if found else Place("", key)


def is_kept(place: Place) -> bool:
    """Whether a backup has the key."""
    kind = place.board if place.board in _LEFT_OUT else "board"
    return not _LEFT_OUT[kind].match(place.name)

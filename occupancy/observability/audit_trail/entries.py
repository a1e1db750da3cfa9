"""Entries of the audit trail: made from the fields of the audit log, without secrets.

Ids are stored and not names, because people are renamed. A caller must never pass a secret. Texts
that clients choose, such as a path, may contain one by mistake: what has the form of our secrets is
removed. A PIN has no form of its own, so no text in which people type PINs is recorded: a refused
sign-in names its worker only if there is such a worker.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from occupancy.core.principal import LINK_PREFIX, PAIRING_PREFIX, TOKEN_PREFIX
from occupancy.core.timestamps import iso_text

MAX_ENTRY_BYTES = 4096
_MAX_CHARS = (256, 64, 16)  # of a text, as in the audit log
_REMOVED = "…"
# A token, or a link to sign in or to pair; and 256 random bits as core/principal.py writes them,
# which every secret has.
_SECRET = re.compile(
    rf"(?:{LINK_PREFIX}|{PAIRING_PREFIX}|{TOKEN_PREFIX})[A-Za-z0-9_-]+"
    r"|(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"
)
_BOARD = re.compile(r"/api/boards/([A-Za-z0-9][A-Za-z0-9_-]{0,31})(?:/|\Z)")

_WITH_METHOD = ("signed_in", "sign_in_refused")  # their ``by`` is how: pin, link, badge …
_BY_THEMSELVES = ("signed_in", "signed_out", "pin_changed", "denied")


class AuditEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry as it is stored. ``by`` has done it, to ``worker`` or on ``board``."""

    at: str
    event: str
    by: str | None = None  # a worker's id; with means cli, a user of the machine
    means: str | None = None  # cli, or an AuthMethod; of a sign-in: pin, link, badge …
    worker: str | None = None
    board: str | None = None
    address: str | None = None
    details: dict[str, str | int | float | bool] = {}


def entry_of(event: str, fields: Mapping[str, object]) -> bytes:
    """The entry of an event, as JSON of at most MAX_ENTRY_BYTES; ``at`` is now if it is missing."""
    given = {"at": iso_text(time.time()), **fields}
    if event in _WITH_METHOD:
        given["means"] = given.pop("by", None)
    if event in _BY_THEMSELVES:
        given["by"] = given.get("worker")
    found = _BOARD.match(str(given.get("path", "")))
    if given.get("board") is None and found is not None:
        given["board"] = found[1]
    encoded = b""
    for max_chars in _MAX_CHARS:
        values = {
            name: _plain(value, max_chars) for name, value in given.items() if value is not None
        }
        known = {name: values.pop(name) for name in _TEXTS if name in values}
        encoded = msgspec.json.encode(AuditEntry(event=event, details=values, **known))
        if len(encoded) <= MAX_ENTRY_BYTES:
            break
    return encoded


_TEXTS = ("at", "by", "means", "worker", "board", "address")


def _plain(value: object, max_chars: int) -> Any:
    if isinstance(value, bool | int | float):
        return value
    text = str(value).encode("utf-8", "replace").decode()  # a lone surrogate has no UTF-8
    return _SECRET.sub(_REMOVED, text)[:max_chars]

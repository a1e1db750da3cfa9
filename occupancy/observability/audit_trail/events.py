"""The events of the audit trail, each with the stream that keeps it.

Each stream has bounds of its own: neither a flood of refusals nor the sign-ins of a large plant
push out the changes.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_AGE_S = 400 * 86400


class Stream(NamedTuple):
    """One of the streams, and the most that it keeps; the bytes are those of the entries' JSON."""

    name: str
    max_entries: int
    max_bytes: int


CHANGES = Stream("changes", 100_000, 32 * 1024 * 1024)
SIGN_INS = Stream("sign_ins", 200_000, 32 * 1024 * 1024)
REFUSALS = Stream("refusals", 50_000, 16 * 1024 * 1024)
STREAMS = (CHANGES, SIGN_INS, REFUSALS)

EXPORTED = "audit_exported"
DROPPED = "entries_dropped"  # there were more refusals than a process keeps while Redis is away

EVENTS: dict[str, Stream] = {
    "signed_in": SIGN_INS,
    "signed_out": SIGN_INS,
    "sign_in_refused": REFUSALS,
    "denied": REFUSALS,
    "malformed": REFUSALS,
    "failed": REFUSALS,
    DROPPED: REFUSALS,
    "worker_added": CHANGES,
    "worker_edited": CHANGES,
    "workers_imported": CHANGES,
    "pin_changed": CHANGES,
    "signed_out_everywhere": CHANGES,
    "link_added": CHANGES,
    "token_added": CHANGES,
    "token_revoked": CHANGES,
    "board_added": CHANGES,
    "board_edited": CHANGES,
    "board_removed": CHANGES,
    "items_imported": CHANGES,
    "items_repaired": CHANGES,
    "sample_loaded": CHANGES,
    "sample_unloaded": CHANGES,
    "backup_written": CHANGES,
    "backup_restored": CHANGES,
    EXPORTED: CHANGES,
}


def stream_of(event: str) -> Stream:
    """The stream of an event. One that is not listed counts as a change, and so is kept longest."""
    return EVENTS.get(event, CHANGES)

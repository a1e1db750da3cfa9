"""What a restore lifts: nothing that was seen after the backup comes again with other content.

A restore loses what happened since the backup, as a promotion may lose the last changes, and is
treated alike: a mark in each log, before which every cursor is unknown, so that each stream is
reset; and a floor above all epochs and versions that were counted. The incarnation cannot be that
floor. It is the server's failover epoch: a board that had a higher one would not notice the next
promotion. So the board has a *version base* beside it, to which each promotion adds its own floor.

The base is the time in units of 100 ns. No item changes ten million times a second, so a base is
above everything that was counted before it, whichever backup was restored before, and how often.
"""

from __future__ import annotations

import random

from occupancy.core.entities import FLOOR_FIELDS, version_floor

_EPOCH_MS = 1_767_225_600_000  # 2026-01-01: counting stays below 2^53 until 2054
_PER_MS = 10_000
_OF_ONE_INCARNATION = 1_000_000_000

Fields = dict[bytes, bytes]


def lifted_base(now_ms: int) -> int:
    """The version base of a restore."""
    return max(0, now_ms - _EPOCH_MS) * _PER_MS


def lift(fields: Fields, now_ms: int) -> tuple[Fields, bytes]:
    """A board's hash after a restore, and the cursor of the mark to end its log with.

    The clock may be behind: the base is above that of the backup in any case.
    """
    counted = version_floor(*(fields.get(each.encode()) for each in FLOOR_FIELDS))
    base = max(lifted_base(now_ms), counted + _OF_ONE_INCARNATION)
    last_ms = int(fields.get(b"cursor", b"0-0").partition(b"-")[0])
    mark = b"%d-%d" % (max(now_ms, last_ms + 1), random.getrandbits(48))
    lifts = {
        b"incarnation": b"0",  # of no server yet: the next one may have any
        b"version_base": b"%d" % base, b"cursor": mark, b"promoted": mark,
    }  # fmt: skip
    return {**fields, **lifts}, mark

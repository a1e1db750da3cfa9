"""Capacity: the most memory that the deployment's data can take, computed from its settings.

Three things grow with use, and each is bounded: the log of each board, the history of each item,
and the records of Idempotency-Keys (the limit of operations times the life of a record).
"""

from __future__ import annotations

import msgspec

from occupancy.core.settings import Settings

# One record with its key and the server's overhead. Measured over 65,536 records: 240 bytes on
# Redis 7.0, 155 on Valkey 9.1. Each further tag of a batch adds about 10 bytes, and counts as one
# more operation.
RECORD_BYTES = 256
IDEMPOTENCY_TTL_S = 24 * 3600
_NODE_BYTES = 8 * 1024  # a stream is trimmed by whole nodes


class WorstCase(msgspec.Struct, frozen=True):
    """Upper bounds in bytes; ``records``: for one worker who operates on one board at the limit."""

    logs: int
    histories: int
    records: int


def worst_case(settings: Settings, *, boards: int, items: int) -> WorstCase:
    """The most memory that so many boards and items can take."""
    block_bytes = min(settings.log_bytes // 32, 2 * 1024 * 1024)  # as bound_log in record.lua
    return WorstCase(
        logs=boards * (settings.log_bytes + block_bytes + _NODE_BYTES),
        histories=items * (settings.history_bytes + _NODE_BYTES),
        records=settings.operations_per_s * IDEMPOTENCY_TTL_S * RECORD_BYTES,
    )

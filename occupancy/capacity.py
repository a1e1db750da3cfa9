"""Capacity: how much memory the deployment's data may come to, computed from its settings.

What grows with what people do is bounded: the log of each board, the history of each item, and
the records of Idempotency-Keys, of which the limit of operations allows so many until the first
of them is forgotten.
"""

from __future__ import annotations

import msgspec

from .settings import Settings

# What one record takes with its key and its places in the server's tables, measured over 65,536:
# 240 bytes on Redis 7.0, 155 on Valkey 9.1. Each further tag of a batch adds some 10, and counts as
# an operation.
RECORD_BYTES = 256
IDEMPOTENCY_TTL_S = 24 * 3600
_NODE_BYTES = 8 * 1024  # a stream is cut by whole nodes


class WorstCase(msgspec.Struct, frozen=True):
    """In bytes. ``records`` are those of one worker who operates at their limit, on one board."""

    logs: int
    histories: int
    records: int


def worst_case(settings: Settings, *, boards: int, items: int) -> WorstCase:
    """The most that so many boards and items can come to."""
    block_bytes = min(settings.log_bytes // 32, 2 * 1024 * 1024)  # see bound_log in operate.lua
    return WorstCase(
        logs=boards * (settings.log_bytes + block_bytes + _NODE_BYTES),
        histories=items * (settings.history_bytes + _NODE_BYTES),
        records=settings.operations_per_s * IDEMPOTENCY_TTL_S * RECORD_BYTES,
    )

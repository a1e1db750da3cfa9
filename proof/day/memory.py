"""Samples of memory: of processes, and of the server by kinds of keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis

Samples = dict[str, list[tuple[float, float]]]  # name → (hour, KiB)

# What grows by design, and its bound: a record lives 24 h; logs, histories, samples and the audit
# have a most.
KEPT = re.compile(
    rb":(idem:.*|log|log_marks|history:.*|samples|known:.*|failures:.*|address:.*|audit:.*)$"
)
_BATCH = 500
_BUCKET, _HEADER = 64, 8  # bytes of a bucket in Valkey, and what malloc of libc adds to each


def of_process(pid: int) -> dict[str, float]:
    """Resident memory in KiB, and what of it no other process shares. Raises OSError."""
    fields = dict(_fields(Path(f"/proc/{pid}/smaps_rollup").read_text()))
    return {"RSS": fields["Rss"], "USS": fields["Private_Clean"] + fields["Private_Dirty"]}


def _fields(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines()[1:]:
        name, _, value = line.partition(":")
        yield name, float(value.split()[0])


def of_server(client: redis.Redis, pattern: str) -> dict[str, float]:
    """KiB of the server: all, what is kept by design, other keys, and what is no key at all."""
    info: Any = client.info("memory")
    used = float(info["used_memory"])
    kept = others = 0.0
    count = 0
    for keys in _batches(client, pattern):
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.execute_command("MEMORY", "USAGE", key, "SAMPLES", "0")
        for key, size in zip(keys, pipe.execute(), strict=True):
            count += 1
            if KEPT.search(key):
                kept += size or 0
            else:
                others += size or 0
    return {
        "all": used / 1024, "kept by design": kept / 1024, "other keys": others / 1024,
        "no key": (used - kept - others - _tables(client, count)) / 1024,
    }  # fmt: skip


def _tables(client: redis.Redis, count: int) -> float:
    """Bytes of the server's tables of keys: all, and those that expire.

    They grow with the keys that are kept by design: in steps, and in Valkey between these too, by
    a child of each bucket that is full. MEMORY STATS counts with them what MEMORY USAGE counts
    with each key: the object, and in Redis the entry, which takes 32 bytes for its 24.
    """
    info: Any = client.info()
    stats: Any = client.memory_stats()
    tables = stats["db.0"]
    counted = float(sum(tables.values()))
    if "valkey_version" not in info:
        return counted - (16 + 24 - 2 * 8) * count
    counted -= 16 * count
    if info["mem_allocator"] == "libc":
        expires = int(tables["overhead.hashtable.expires"])
        counted += _HEADER * (_children(int(counted) - expires) + _children(expires))
    return counted


def _children(table_bytes: int) -> int:
    """Buckets beside the table's array, whose size is a power of two."""
    return (table_bytes - (1 << table_bytes.bit_length() - 1)) // _BUCKET if table_bytes else 0


def _batches(client: redis.Redis, pattern: str) -> Iterator[Sequence[bytes]]:
    cursor: Any = None
    while cursor != 0:
        found: Any = client.scan(cursor or 0, match=pattern, count=_BATCH)
        cursor, keys = found
        if keys:
            yield keys

"""Samples of memory: of processes, and of the server by kinds of keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis

Samples = dict[str, list[tuple[float, float]]]  # name → (hour, KiB)

# What grows by design, and its bound: a record lives 24 h; logs, histories and samples have a most.
KEPT = re.compile(rb":(idem:.*|log|log_marks|history:.*|samples|known:.*|failures:.*|address:.*)$")
_BATCH = 500


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
        "no key": (used - kept - others - _tables(count)) / 1024,
    }  # fmt: skip


def _tables(count: int) -> float:
    """About the bytes of the server's two tables of keys: all, and those that expire.

    They double when they are full, because of what is kept by design.
    """
    return 2 * 8.0 * (1 << max(2, (count - 1).bit_length()))


def _batches(client: redis.Redis, pattern: str) -> Iterator[Sequence[bytes]]:
    cursor: Any = None
    while cursor != 0:
        found: Any = client.scan(cursor or 0, match=pattern, count=_BATCH)
        cursor, keys = found
        if keys:
            yield keys

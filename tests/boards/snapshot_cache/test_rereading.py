"""A board that is in use all the time is still read as a whole now and then."""

from __future__ import annotations

import types
from typing import Any

import pytest

from occupancy.boards import snapshot_cache
from occupancy.boards.records import Snapshot
from occupancy.boards.snapshot_cache import SnapshotCache
from occupancy.core.entities import Replay


class Queries:
    """A large board that never changes."""

    whole_reads = 0

    def is_large(self, count: int) -> bool:
        return True

    def read_page(self, board: str, known_cursor: str) -> tuple[bool, None]:
        return True, None

    def whole(self, board: str) -> Snapshot:
        self.whole_reads += 1
        return Snapshot("1-1", 1, 0, [], None)


class Log:
    def replay(self, board: str, cursor: str, count: int) -> Replay:
        return Replay(True, "1-1", 1, [], 0)


def test_use_does_not_put_off_the_next_reading_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(snapshot_cache, "time", clock)
    queries, log = Queries(), Log()
    cache = SnapshotCache(queries, log)  # type: ignore[arg-type] # stand-ins
    reads: list[Any] = []
    for _ in range(8):  # every 50 s, for 350 s
        cache.find("b")
        reads.append(queries.whole_reads)
        now[0] += 50
    assert cache._sweeper is not None
    cache._sweeper.kill()
    assert reads == [1, 1, 1, 1, 2, 2, 2, 2]

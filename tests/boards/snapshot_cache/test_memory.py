"""What cached boards take of memory is bounded."""

from __future__ import annotations

import gevent
import pytest

from occupancy.boards import snapshot_cache as cache_module
from occupancy.boards.snapshot_cache import SnapshotCache
from occupancy.boards.store import Store
from tests.boards.snapshot_cache.changes import TAGS, do, found, fresh, put


def test_cached_boards_take_no_more_than_their_bound(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = [f"b{number}" for number in range(4)]
    for board in boards:
        store.boards.create(board)
        put(store, "A", "B", "C", board=board)
    found(store, "b0")
    one = store.snapshot_cache.size
    text = fresh(store, "b0")
    assert one > 2 * (len(text) - 100)  # as if both the items and the text were kept
    monkeypatch.setattr(cache_module, "_MAX_CACHE_BYTES", one * 5 // 2)
    for board in boards:
        assert found(store, board) == fresh(store, board)
        assert store.snapshot_cache.size <= one * 5 // 2
    assert list(store.snapshot_cache._boards) == ["b2", "b3"]
    found(store, "b2")
    found(store, "b0")
    assert list(store.snapshot_cache._boards) == [
        "b2",
        "b0",
    ]  # the one that was not used for longest went
    monkeypatch.setattr(cache_module, "_MAX_CACHE_BYTES", one // 2)
    for _ in range(2):
        assert found(store, "b1") == fresh(store, "b1")
        assert store.snapshot_cache.size == 0


def test_the_size_is_counted_along(store: Store) -> None:
    put(store, *TAGS[:8])
    found(store)
    put(store, *TAGS[4:12], title='"' + "x" * 100 + '"')
    do(store, "remove", *TAGS[:3])
    response = store.snapshot_cache.find("main")
    assert response is not None
    assert response.size == sum(len(each) for each in response.snapshot.items)


def test_an_unused_board_is_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_SWEEP_S", 0.01)
    monkeypatch.setattr(cache_module, "_UNUSED_S", 0.1)
    cache = SnapshotCache(store.queries, store.log)
    put(store, "A", "B", "C")
    for _ in range(2):
        cache.find("main")
        assert cache.size > 0
        with gevent.Timeout(5):
            while cache.size:
                gevent.sleep(0.01)

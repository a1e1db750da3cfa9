"""A large board followed through its log equals a fresh reading of it."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from occupancy.boards import snapshot_cache as cache_module
from occupancy.boards.store import Store
from occupancy.core.entities import MAX_SNAPSHOT_ITEMS
from occupancy.services import Services
from tests.boards.snapshot_cache.changes import (
    ANA,
    BEN,
    FEW,
    TAGS,
    change_at_random,
    counted,
    do,
    found,
    fresh,
    put,
)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.thorough
def test_a_cached_board_equals_the_board_after_any_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 12)
    monkeypatch.setattr(cache_module, "_MIN_COMPRESSED_BYTES", 0)
    chance = random.Random(seed)
    for tag in TAGS[::2]:
        put(store, tag)
    assert found(store) == fresh(store)
    readings = counted(monkeypatch, store.queries, "whole")
    updates = 150
    for _ in range(updates):
        for _ in range(chance.choice([0, 1, 1, 2, 8])):
            change_at_random(store, chance)
        response = store.snapshot_cache.find("main")
        assert response is not None
        expected = fresh(store)
        assert response.plain() == expected
        packed = response.packed()
        assert packed is not None
        assert gzip.decompress(packed) == expected
    # Of ours beside the fresh ones: where more than the bound came at once, and no other.
    assert updates <= len(readings) < updates * 1.4


def test_a_board_that_is_followed_is_not_read_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    readings = counted(monkeypatch, store.queries, "whole")
    put(store, "Aa", title='"x\\"},{"', attributes='{"tag":"B"}')
    do(store, "take", "Aa", actor=BEN)
    do(store, "remove", "B")
    do(store, "take", "A", "C")
    do(store, "pause", "A", reason='","item":{"tag":"C",')
    response = store.snapshot_cache.find("main")
    assert readings == []
    assert response is not None
    assert response.plain() == fresh(store)
    assert store.snapshot_cache.find("main") is response  # what is compressed is compressed once
    assert store.snapshot_cache.find("main", response.cursor) is None
    assert store.snapshot_cache.find("main", "1-1") is response


@pytest.mark.parametrize("count", [FEW - 1, FEW])
def test_a_small_board_is_read_each_time(store: Store, count: int) -> None:
    cursor = put(store, *TAGS[:count])
    assert found(store) == fresh(store)
    assert (store.snapshot_cache.size > 0) == (count >= FEW)
    assert store.snapshot_cache.find("main", cursor) is None


def test_a_board_may_become_small_or_empty_and_large_again(store: Store) -> None:
    put(store, "A", "B", "C")
    for tag in "ABC":
        found(store)
        do(store, "remove", tag)
        assert found(store) == fresh(store)
        assert not store.snapshot_cache._boards
    for number in range(FEW + 1):
        put(store, f"N-{number}")
        assert found(store) == fresh(store)
    assert store.snapshot_cache.size > 0


def test_a_board_that_grows_beyond_the_limit_has_pages(valkey_services: Services) -> None:
    store = valkey_services.store
    rows: list[tuple[str, dict[str, str]]] = [
        (f"T-{number:05}", {}) for number in range(MAX_SNAPSHOT_ITEMS)
    ]
    list(store.commands.put_many("main", rows, actor=ANA))
    assert found(store) == fresh(store)
    assert store.snapshot_cache.size > 0
    put(store, "A")
    response = store.snapshot_cache.find("main")
    assert response is not None
    assert len(response.snapshot.items) == MAX_SNAPSHOT_ITEMS
    assert response.snapshot.next is not None
    assert response.plain() == fresh(store)
    do(store, "remove", "T-00004")
    assert found(store) == fresh(store)
    assert json.loads(found(store))["next"] is None

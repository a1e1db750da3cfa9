"""Many who list a large board at once: one reading, and no mix of two moments."""

from __future__ import annotations

import json
import random
from typing import Any

import gevent
import pytest
from isal import isal_zlib

from occupancy.boards.snapshot_cache import SnapshotResponse
from occupancy.boards.store import Store
from occupancy.core.errors import StoreUnavailable
from occupancy.services import Services
from tests.boards.snapshot_cache.changes import (
    TAGS,
    at_once,
    change_at_random,
    counted,
    do,
    found,
    fresh,
    put,
)


def test_no_listing_is_a_mix_of_two_moments(valkey_services: Services) -> None:
    store = valkey_services.store
    put(store, *TAGS[:20])
    seen: list[SnapshotResponse] = []
    is_over = False

    def change(seed: int) -> None:
        chance = random.Random(seed)
        own = f"own-{seed}"
        for count in range(60):
            change_at_random(store, chance)
            put(store, own, title=f'"{count}"')
            response = store.snapshot_cache.find("main")
            assert response is not None
            seen.append(response)
            item = next(each for each in response.snapshot.items if own.encode() in each)
            assert json.loads(item)["title"] == str(count)  # their own write

    def read() -> None:
        last = 0
        while not is_over:
            response = store.snapshot_cache.find("main")
            assert response is not None
            assert response.snapshot.seq >= last  # nobody goes back
            last = response.snapshot.seq
            seen.append(response)

    writers = [gevent.spawn(change, seed) for seed in range(4)]
    readers = [gevent.spawn(read) for _ in range(6)]
    gevent.joinall(writers, timeout=60, raise_error=True)
    is_over = True
    gevent.joinall(readers, timeout=10, raise_error=True)

    # From the log alone: what the board was after each event.
    boards: dict[int, tuple[str, list[bytes]]] = {}
    items: dict[str, bytes] = {}
    wanted = {response.snapshot.seq for response in seen}
    for entry in store.log.replay("main", "0-0", 10_000).entries:
        event = json.loads(entry.event)
        tag = event["item"]["tag"]
        items[tag] = entry.event[entry.event.index(b',"item":{"tag":"' + tag.encode()) + 8 : -1]
        if event["type"] == "item.removed":
            del items[tag]
        if entry.seq in wanted:
            boards[entry.seq] = entry.cursor, [items[each] for each in sorted(items)]
    assert len(wanted) > 50
    for response in seen:
        snapshot = response.snapshot
        assert (snapshot.cursor, snapshot.items) == boards[snapshot.seq]
        assert json.loads(response.plain())["seq"] == snapshot.seq


def test_of_a_hundred_requests_at_once_one_reads_and_compresses(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = valkey_services.store
    put(store, *TAGS)
    readings = counted(monkeypatch, store.queries, "whole")
    updates = counted(monkeypatch, store.log, "replay")
    compressed = counted(monkeypatch, isal_zlib, "compressobj")

    def answer() -> bytes | None:
        response = store.snapshot_cache.find("main")
        return response.packed() if response is not None else None

    assert len(set(at_once(100, answer))) == 1
    assert (len(readings), len(compressed)) == (1, 1)
    assert len(updates) <= 2
    do(store, "take", TAGS[0])
    updates.clear()
    assert len(set(at_once(100, answer))) == 1
    assert (len(readings), len(updates), len(compressed)) == (1, 1, 2)


def test_a_read_that_was_under_way_serves_no_later_request(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer may be from before the write of who comes while it is on its way."""
    store = valkey_services.store
    put(store, *TAGS)
    found(store)
    real = store.log.replay
    answered, go_on = gevent.event.Event(), gevent.event.Event()

    def slow(*args: Any) -> Any:
        replay = real(*args)
        answered.set()
        go_on.wait()
        return replay

    monkeypatch.setattr(store.log, "replay", slow)
    early = gevent.spawn(store.snapshot_cache.find, "main")
    answered.wait()
    cursor = do(store, "take", TAGS[0])
    late = gevent.spawn(store.snapshot_cache.find, "main")
    gevent.sleep(0.05)
    go_on.set()
    gevent.joinall([early, late], timeout=5, raise_error=True)
    assert early.value.cursor != cursor
    assert late.value.cursor == cursor


def test_a_failure_is_that_of_all_who_wait_and_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    calls = []

    def fail(*args: Any) -> Any:
        calls.append(args)
        gevent.sleep(0.02)
        raise StoreUnavailable("away", retry_after=2) from ConnectionError("cause")

    def fails() -> StoreUnavailable:
        with pytest.raises(StoreUnavailable, match="away") as caught:
            store.snapshot_cache.find("main")
        return caught.value

    with monkeypatch.context() as patch:
        patch.setattr(store.log, "replay", fail)
        errors = at_once(20, fails)
        assert len(calls) == 1
        assert len({id(error) for error in errors}) == 20  # tracebacks of their own
        assert {error.extra["retry_after"] for error in errors} == {2}
        assert {str(error.__cause__) for error in errors} == {"cause"}
    readings = counted(monkeypatch, store.queries, "whole")
    do(store, "take", "A")
    assert b"occupied" in found(store)
    assert readings == []  # what was known is known still


def test_a_request_killed_while_it_reads_hinders_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    real, go_on = store.log.replay, gevent.event.Event()

    def slow(*args: Any) -> Any:
        go_on.wait()
        return real(*args)

    monkeypatch.setattr(store.log, "replay", slow)
    waiting = [gevent.spawn(store.snapshot_cache.find, "main") for _ in range(3)]
    gevent.sleep(0.01)
    do(store, "take", "A")
    waiting += [
        gevent.spawn(store.snapshot_cache.find, "main") for _ in range(3)
    ]  # of the next read
    gevent.sleep(0.01)
    waiting[0].kill()
    waiting[3].kill()
    go_on.set()
    gevent.joinall(waiting, timeout=5, raise_error=True)
    expected = fresh(store)
    assert [waiting[number].value.plain() for number in (1, 2, 4, 5)] == [expected] * 4


def test_a_board_dropped_during_a_read_is_put_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    found(store)
    real = store.log.replay

    def dropped(*args: Any) -> Any:
        store.snapshot_cache._boards.clear()
        replay = real(*args)
        assert found(store) == fresh(store)  # the same board, cached again
        return replay

    with monkeypatch.context() as patch:
        patch.setattr(store.log, "replay", dropped)
        do(store, "take", "A")
        assert found(store) == fresh(store)
    assert list(store.snapshot_cache._boards) == ["main"]
    do(store, "take", "B")
    assert found(store) == fresh(store)

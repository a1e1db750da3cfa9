"""The text of a large board: its pages, its searches, and compressed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import gevent
import pytest

from occupancy.boards import snapshot_cache as cache_module
from occupancy.boards.commands import Command
from occupancy.boards.snapshot_cache import SnapshotResponse
from occupancy.boards.store import Store
from occupancy.core import slices
from occupancy.core.errors import InvalidRequest
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.boards.snapshot_cache.changes import ANA, TAGS, at_once, counted, do, fresh, put

# The text


def test_a_listing_says_where_it_goes_on(store: Store) -> None:
    put(store, "A", "B")
    for limit in (1, 2):
        snapshot = store.queries.snapshot("main", limit=limit)
        assert snapshot is not None
        said = json.loads(SnapshotResponse(snapshot).plain())
        assert said["items"] == [json.loads(each) for each in snapshot.items]
        assert said["next"] == snapshot.next
        assert (said["cursor"], said["seq"]) == (snapshot.cursor, 2)


# Searches


def test_a_large_board_is_searched_as_it_is_kept_with_what_the_server_would_have_found(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = valkey_services.store
    put(store, *TAGS)
    do(store, "take", *TAGS[::3])
    tricky = '{"a":"\\"state\\":\\"paused\\"","b":"\\"holder\\":{\\"id\\":\\"93\\""}'
    tag = TAGS[5]
    store.commands.execute(Command("main", PUT, [tag], actor=ANA, items=[{"attributes": tricky}]))
    store.snapshot_cache.find("main")
    walks = counted(monkeypatch, store.queries._snapshot, "run")
    paused: list[int] = []
    for filters in (
        {"text": TAGS[1]}, {"text": TAGS[1][:3].lower()}, {"text": "nowhere"}, {"text": '"'},
        {"state": "occupied"}, {"state": "paused"}, {"holder": ANA.id}, {"holder": "nobody"},
        {"holder": ANA.id, "state": "available"}, {"holder": ANA.id, "state": "occupied"},
        {"state": "available", "text": TAGS[1]}, {"limit": 7}, {"state": "occupied", "limit": 7},
    ):  # fmt: skip
        page: str | None = None
        while True:
            asked: dict[str, Any] = {**filters, "page": page}
            expected = store.queries.snapshot("main", **asked)
            walks.clear()
            found = store.snapshot_cache.select("main", **asked, pause=lambda: paused.append(1))
            assert found == expected
            assert found is not None
            assert walks == []
            page = found.next
            if page is None:
                break
        assert (
            store.snapshot_cache.select(
                "main", **filters, known_cursor=found.cursor, pause=lambda: None
            )
            is None
        )
    with pytest.raises(InvalidRequest):
        store.snapshot_cache.select("main", page="!", pause=lambda: None)


def test_a_compressed_answer_lets_others_run_and_is_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_ITEMS_PER_PIECE", 5)
    monkeypatch.setattr(slices, "SLICE_S", -1.0)  # every piece is a slice
    put(store, *TAGS)
    expected = fresh(store)
    response = store.snapshot_cache.find("main")
    assert response is not None
    others: list[int] = []

    def pause() -> None:
        others.append(1)
        gevent.sleep(0)

    packed = at_once(5, lambda: response.packed(pause))
    assert gzip.decompress(packed[0]) == expected
    assert all(each is packed[0] for each in packed)
    assert len(others) == -(-len(TAGS) // 5)  # once for each piece, and not for each caller
    again = SnapshotResponse(response.snapshot)
    killed = gevent.spawn(again.packed, lambda: gevent.sleep(5))
    gevent.sleep(0)
    assert not killed.ready()
    killed.kill()
    assert gzip.decompress(again.packed() or b"") == expected

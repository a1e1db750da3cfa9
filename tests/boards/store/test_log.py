"""A board's log and history: read from any cursor, bounded, and equal to the snapshots."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import gevent
import pytest

from occupancy.boards import queries as queries_module
from occupancy.boards.records import Snapshot
from occupancy.core.errors import (
    ItemNotFound,
)
from occupancy.services import Services
from tests.boards.store.changes import ANA, LARGE, WORKERS, add, do
from tests.support.elsewhere import bounded
from tests.support.waiting import wait_until


@pytest.mark.parametrize("large", [LARGE, 500])
def test_a_snapshot_and_the_log_from_its_cursor_make_the_present(
    real_services: Services, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", large)
    store = real_services.store
    tags = [f"T-{number}" for number in range(20)]
    add(store, *tags)
    is_over = False

    snapshots: list[Snapshot | None] = []

    def change(seed: int) -> None:
        dice = random.Random(seed)
        for turn in range(600):
            if turn >= 60 and len(snapshots) > 5:
                break
            operation = dice.choice(["take", "release", "pause", "remove", "put"])
            tag = dice.choice(tags)
            if operation == "put":
                add(store, tag, title=f'"{dice.random()}"')
            else:
                do(store, operation, tag, actor=WORKERS[seed])

    def look() -> None:
        while not is_over:
            snapshots.append(store.queries.snapshot("main"))
            gevent.sleep(0)

    writers = [gevent.spawn(change, seed) for seed in range(4)]
    reader = gevent.spawn(look)
    gevent.joinall(writers, raise_error=True)
    is_over = True
    reader.get(timeout=10)
    last = store.queries.snapshot("main")
    assert last is not None
    present = {json.loads(each)["tag"]: json.loads(each) for each in last.items}
    assert len(snapshots) > 5
    for snapshot in snapshots[:: max(1, len(snapshots) // 20)]:
        assert snapshot is not None
        items = {json.loads(each)["tag"]: json.loads(each) for each in snapshot.items}
        replay = store.log.replay("main", snapshot.cursor, 10_000)
        assert replay.is_known
        for number, entry in enumerate(replay.entries, snapshot.seq + 1):
            event = json.loads(entry.event)
            assert event["seq"] == number
            items[event["item"]["tag"]] = event["item"]
            if event["type"] == "item.removed":
                del items[event["item"]["tag"]]
        assert items == present


def test_the_log_is_read_in_pieces_from_any_cursor(services: Services) -> None:
    store = services.store
    assert store.log.replay("main", "0-0", 10).is_known  # an empty board: nothing was missed
    add(store, *[f"T-{number}" for number in range(25)])
    found, cursor = [], "0-0"
    while entries := store.log.replay("main", cursor, 10).entries:
        assert len(entries) <= 10
        found += [entry.seq for entry in entries]
        cursor = entries[-1].cursor
    assert found == list(range(1, 26))
    head = store.log.head("main")
    assert (head.head_cursor, head.head_seq, head.entries) == (cursor, 25, [])
    assert store.log.replay("main", cursor, 10).is_known


@pytest.mark.parametrize(
    "cursor",
    [
        "1-1", "1763838000123-0", "9999999999999-0", "18446744073709551615-18446744073709551615",
        "0-1",
    ],
)  # fmt: skip
def test_a_cursor_that_is_not_in_the_log_is_unknown(services: Services, cursor: str) -> None:
    add(services.store, "A")
    replay = services.store.log.replay("main", cursor, 10)
    assert not replay.is_known
    assert replay.entries == []
    assert replay.head_seq == 1


def test_a_cursor_of_another_board_is_unknown(services: Services) -> None:
    services.store.boards.create("other")
    others = [add(services.store, tag, board="other").cursor for tag in ("A", "B")]
    # Two boards may have the same cursor within a millisecond.
    numbers = itertools.count()
    cursor = wait_until(
        lambda: {add(services.store, f"T-{next(numbers)}").cursor}.difference(others),
        what="a cursor that the other board does not have",
    ).pop()
    assert services.store.log.replay("main", cursor, 10).is_known
    assert not services.store.log.replay("other", cursor, 10).is_known


@pytest.mark.thorough
def test_the_log_and_the_history_are_kept_to_about_their_settings(services: Services) -> None:
    store = bounded(services, log_entries=100, history_entries=50)
    add(store, "A")
    first = store.log.head("main").head_cursor
    rows = [("A", {"title": f'"{number}"'}) for number in range(400)]
    list(store.commands.put_many("main", rows, actor=ANA))
    keys = store.keys.board("main")
    client: Any = store.client
    assert 100 <= client.xlen(keys.log) <= 300  # whole nodes of 100 are dropped
    assert 50 <= client.xlen(keys.history("A")) <= 250
    assert not store.log.replay("main", "0-0", 10).is_known
    assert not store.log.replay("main", first, 10).is_known
    head = store.log.head("main")
    assert head.head_seq == 401
    kept = client.xrange(keys.log, count=1)[0][0].decode()
    replay = store.log.replay("main", kept, 10_000)
    assert replay.is_known
    assert [each.seq for each in replay.entries] == list(range(402 - len(replay.entries), 402))


def test_the_history_is_paged_newest_first_and_outlives_the_item(services: Services) -> None:
    store = services.store
    add(store, "A")
    for _ in range(5):
        do(store, "take", "A")
        do(store, "release", "A")
    do(store, "remove", "A")
    found: list[int] = []
    page = None
    while True:
        events, page = store.queries.history("main", "A", limit=4, page=page)
        found += [json.loads(each)["seq"] for each in events]
        if page is None:
            break
    assert found == list(range(12, 0, -1))
    client: Any = store.client
    history = store.keys.board("main").history("A")
    assert 29 * 24 * 3600 < client.ttl(history) <= 30 * 24 * 3600
    add(store, "A")
    assert client.ttl(history) == -1
    with pytest.raises(ItemNotFound):
        store.queries.history("main", "NEVER", limit=1)
    with pytest.raises(ItemNotFound):
        store.queries.item("main", "NEVER")

"""Where the log does not tell what has changed, a large board is read anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from occupancy.boards import snapshot_cache as cache_module
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.store import Store
from occupancy.core.errors import BoardNotFound
from tests.boards.snapshot_cache.changes import do, found, fresh, put
from tests.support.waiting import wait_until


def _trim(store: Store) -> None:
    for tag in ("A", "B"):
        do(store, "take", tag)
    store.client.xtrim(store.keys.board("main").log, maxlen=1, approximate=False)


def _punch_a_hole(store: Store) -> None:
    cursors = [do(store, "take", tag) for tag in "ABC"]
    store.client.xdel(store.keys.board("main").log, cursors[1])


def _cut_the_end(store: Store) -> None:
    store.client.xdel(store.keys.board("main").log, do(store, "take", "A"))


def _cut_all(store: Store) -> None:
    do(store, "take", "A")
    store.client.delete(store.keys.board("main").log)


def _exceed(store: Store) -> None:
    for number in range(cache_module._MAX_ENTRIES + 1):
        do(store, "release" if number % 2 else "take", "A")


def _speak_otherwise(store: Store) -> None:
    keys = store.keys.board("main")
    seq: Any = store.client.hincrby(keys.board, "seq", 1)
    fields: Any = {"seq": seq, "event": '{"item":{"tag":"A"}}'}
    cursor = store.client.xadd(keys.log, fields)
    store.client.hset(keys.board, "cursor", cursor)


def _edit_by_hand(store: Store) -> None:
    store.client.hdel(store.keys.board("main").view, "A")
    put(store, "A", title='"there again"')
    found(store)  # an edit of what is there
    store.client.hdel(store.keys.board("main").view, "C")
    do(store, "remove", "C")
    put(store, "C")


def _remove_what_nobody_saw(store: Store) -> None:
    store.client.hdel(store.keys.board("main").view, "B")
    store.snapshot_cache._boards.clear()
    found(store)
    do(store, "remove", "B")


def _count_by_hand(store: Store) -> None:
    store.client.hset(store.keys.board("main").board, "seq", 100)


def _empty(store: Store) -> None:
    keys = list(
        store.client.scan_iter(match=store.keys.board("main").board.removesuffix("board") + "*")
    )
    assert store.keys.board("main").view.encode() in keys
    store.client.delete(*keys)
    # Within a millisecond a new log would repeat cursors of the old one. No operator is so fast,
    # but this test is.
    emptied_ms = now_ms(store)
    wait_until(lambda: now_ms(store) > emptied_ms, what="the server's next millisecond")


def now_ms(store: Store) -> int:
    seconds, microseconds = store.client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def _empty_and_fill(store: Store) -> None:
    _empty(store)
    put(store, "C", "D", "E", "F")  # as many events as there were, and more


@pytest.mark.parametrize(
    "happen",
    [
        _trim, _punch_a_hole, _cut_the_end, _cut_all, _exceed, _speak_otherwise, _edit_by_hand,
        _remove_what_nobody_saw, _count_by_hand, _empty, _empty_and_fill,
    ],
)  # fmt: skip
def test_where_the_log_does_not_tell_the_board_is_read_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch, happen: Callable[[Store], None]
) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 20)
    put(store, "A", "B", "C")
    found(store)
    happen(store)
    assert found(store) == fresh(store)
    do(store, "take", "E") if happen is _empty_and_fill else put(store, "E")
    assert found(store) == fresh(store)


def test_a_board_that_is_gone_is_not_found(store: Store) -> None:
    for board in ("line", "other"):
        store.boards.create(board)
        put(store, "A", "B", "C", board=board)
        found(store, board)
    keys = store.keys.board("line")
    store.client.delete(keys.board, keys.view, keys.by_tag, keys.log)
    for _ in range(2):
        with pytest.raises(BoardNotFound):
            store.snapshot_cache.find("line")
    with pytest.raises(BoardNotFound):
        store.snapshot_cache.find("nowhere")
    assert found(store, "other") == fresh(store, "other")
    store.boards.create("line")
    assert found(store, "line") == fresh(store, "line")


def test_what_was_repaired_shows_after_a_while(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "A", "B", "C")
    good, view = fresh(store), store.keys.board("main").view
    text = store.queries.item("main", "B")
    store.client.hset(view, "B", text.replace(b'"available"', b'"occupied"'))
    assert found(store) != good
    assert Reconciler(store).audit("main", ["A", "B", "C"], mend=True) == [("B", "view")]
    assert found(store) != good  # no event says so
    monkeypatch.setattr(cache_module, "_MAX_FOLLOWED_S", 0.0)
    assert found(store) == good

"""Snapshots of a board: adding many, pages, search, and boards large and small alike."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from occupancy.core.errors import (
    BoardNotFound,
    InvalidRequest,
)
from occupancy.services import Services
from tests.boards.store.changes import ANA, LARGE, add, do, everything, seqs_of

# Adding many


def test_a_dry_run_says_what_would_happen_and_writes_nothing(services: Services) -> None:
    store = services.store
    add(store, "A", title='"one"')
    kept = everything(services)
    rows = [("A", {"title": '"one"'}), ("A", {"title": '"two"'}), ("B", {})]
    outcomes = list(store.commands.put_many("main", rows, actor=ANA, dry_run=True))
    assert [(each.code, each.changed) for each in outcomes] == [
        ("ok", False), ("ok", True), ("added", True),
    ]  # fmt: skip
    assert do(store, "take", "A", dry_run=True).outcomes[0].changed
    assert everything(services) == kept


@pytest.mark.thorough
def test_many_items_are_added_in_order_over_several_round_trips(services: Services) -> None:
    store = services.store
    rows = [(f"T-{number:04}", {"title": f'"{number}"'}) for number in range(250)]
    assert {each.code for each in store.commands.put_many("main", iter(rows), actor=ANA)} == {
        "added"
    }
    assert {each.changed for each in store.commands.put_many("main", rows, actor=ANA)} == {False}
    assert seqs_of(store) == list(range(1, 251))
    assert store.boards.get("main").counts["available"] == 250
    assert list(store.commands.put_many("main", [], actor=ANA)) == []


# Snapshots


def test_pages_of_any_size_give_every_item_once_and_in_order(services: Services) -> None:
    store = services.store
    tags = sorted(["a", "A", "a.b", "a-b", "a:b", "a_b", "Z", "0", *map(str, range(10, 30))])
    add(store, *tags)
    do(store, "take", *tags[::3])
    held = tags[::3]
    for limit in (1, 2, 7, len(tags) - 1, len(tags), len(tags) + 1):
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({}, tags),
            ({"state": "occupied"}, held),
            ({"holder": ANA.id}, held),
            ({"holder": ANA.id, "state": "paused"}, []),
        ]
        for filters, wanted in cases:
            found: list[str] = []
            page = None
            while True:
                snapshot = store.queries.snapshot("main", limit=limit, page=page, **filters)
                assert snapshot is not None
                assert len(snapshot.items) <= limit
                found += [json.loads(each)["tag"] for each in snapshot.items]
                page = snapshot.next
                if page is None:
                    break
            assert found == wanted, (limit, filters)


def test_the_text_is_found_in_tag_title_and_holder_whatever_its_case(services: Services) -> None:
    store = services.store
    add(store, "SPOOL-1", title='"Señal \\"X\\""')
    add(store, "B", title='"zzz"', attributes='{"area":"spool"}')
    do(store, "take", "B")

    def found(text: str) -> list[str]:
        snapshot = store.queries.snapshot("main", text=text)
        assert snapshot is not None
        return [json.loads(each)["tag"] for each in snapshot.items]

    assert found("spool") == ["SPOOL-1"]  # and not what stands in the attributes
    assert found("SEÑAL") == ["SPOOL-1"]
    assert found('"x"') == ["SPOOL-1"]
    assert found("worker 0") == found("W0") == ["B"]
    assert found("state") == []


@pytest.mark.usefixtures("large_boards")
@pytest.mark.parametrize("count", [LARGE - 1, LARGE, LARGE + 1])
def test_a_large_board_has_the_same_snapshot_as_a_small_one(services: Services, count: int) -> None:
    store = services.store
    tags = ["b", "A", "a-1", "B"][:count]
    cursor = add(store, *tags).cursor
    snapshot = store.queries.snapshot("main")
    assert snapshot is not None
    assert [json.loads(each)["tag"] for each in snapshot.items] == sorted(tags)
    assert (snapshot.cursor, snapshot.seq, snapshot.next) == (cursor, count, None)
    assert store.queries.snapshot("main", known_cursor=cursor) is None


@pytest.mark.usefixtures("large_boards")
def test_a_large_board_beyond_the_limit_has_pages(services: Services) -> None:
    store = services.store
    add(store, "A", "B", "C", "D")
    first = store.queries.snapshot("main", limit=3)
    assert first is not None
    assert (len(first.items), first.next is None) == (3, False)
    rest = store.queries.snapshot("main", limit=3, page=first.next)
    assert rest is not None
    assert (len(rest.items), rest.next) == (1, None)


@pytest.mark.usefixtures("large_boards")
@pytest.mark.parametrize("meanwhile", ["emptied", "grown"])
def test_a_large_board_that_changes_after_it_was_counted(
    services: Services, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    store = services.store
    store.boards.create("line")
    add(store, "A", "B", "C", board="line")
    keys, whole = store.keys.board("line"), store.queries.whole

    def changed(*args: Any) -> Any:
        if meanwhile == "emptied":
            store.client.delete(keys.board, keys.by_tag, keys.view)  # the server was emptied
        else:
            add(store, "D", board="line")
        return whole(*args)

    monkeypatch.setattr(store.queries, "whole", changed)
    if meanwhile == "emptied":
        with pytest.raises(BoardNotFound):
            store.queries.snapshot("line", limit=3)
    else:
        snapshot = store.queries.snapshot("line", limit=3)
        assert snapshot is not None
        assert (len(snapshot.items), snapshot.next is None) == (3, False)


def test_a_snapshot_is_not_sent_again_while_nothing_has_changed(services: Services) -> None:
    store = services.store
    empty = store.queries.snapshot("main")
    assert empty is not None
    assert (empty.cursor, empty.seq, empty.items, empty.next) == ("0-0", 0, [], None)
    assert store.queries.snapshot("main", known_cursor="0-0") is None
    cursor = add(store, "A").cursor
    assert store.queries.snapshot("main", known_cursor="0-0") is not None
    assert store.queries.snapshot("main", known_cursor=cursor) is None


@pytest.mark.parametrize("page", ["%", "not-base64!", "AA", "e30", "w7w", "LWE", "YQphYg"])
def test_a_page_token_that_is_none_is_refused(services: Services, page: str) -> None:
    add(services.store, "A")
    with pytest.raises(InvalidRequest):
        services.store.queries.snapshot("main", page=page)
    with pytest.raises(InvalidRequest):
        services.store.queries.history("main", "A", limit=1, page=page)


def test_an_empty_page_token_is_that_of_the_first_page(services: Services) -> None:
    queries = services.store.queries
    add(services.store, "A", "B")
    first = queries.snapshot("main", limit=1)
    assert first is not None
    assert [json.loads(each)["tag"] for each in first.items] == ["A"]
    assert queries.snapshot("main", limit=1, page="") == first
    assert queries.history("main", "A", limit=1, page="") == queries.history("main", "A", limit=1)


@pytest.mark.parametrize("text", ["0-0", "18446744073709551616-0", "99999999999999999999-0"])
def test_a_made_up_page_token_of_a_history_is_refused(services: Services, text: str) -> None:
    add(services.store, "A")
    token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    with pytest.raises(InvalidRequest):
        services.store.queries.history("main", "A", limit=1, page=token)

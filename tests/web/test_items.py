"""Boards, items and their history over HTTP: adding, editing, removing, finding, caching."""

from __future__ import annotations

import gzip

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy.boards import queries as queries_module
from occupancy.services import Services
from tests.support.api_client import Api, assert_problem, fields


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    return Api(client, people, services)


# Adding, editing, removing


def test_put_adds_then_edits_then_changes_nothing(api: Api) -> None:
    added = api.put("T-1", {"title": "One", "attributes": {"b": 1, "a": "x"}})
    assert (added.status_code, fields(added)["changed"]) == (201, True)
    item = fields(added)["item"]
    assert item["state"] == "available"
    assert (item["step"], item["holder"], item["reason"]) == ("work", None, None)
    edited = api.put("T-1", {"title": "Two"})
    assert (edited.status_code, fields(edited)["changed"]) == (200, True)
    assert fields(edited)["item"] == {**item, "title": "Two", "version": 2}
    same = api.put("T-1", {"title": "Two", "attributes": {"a": "x", "b": 1}})
    assert (same.status_code, fields(same)["changed"]) == (200, False)
    assert fields(same)["item"] == fields(edited)["item"]
    assert [event["type"] for event in api.log()] == ["item.added", "item.updated"]


def test_put_with_if_none_match_adds_and_never_edits(api: Api) -> None:
    def put_new(tag: str, body: dict[str, str], **headers: str) -> TestResponse:
        every = {"If-None-Match": "*", **headers}
        return api.send("PUT", f"/main/items/{tag}", "supervisor", every, json=body)

    key = {"Idempotency-Key": "k-1"}
    assert put_new("T-1", {"title": "One"}, **key).status_code == 201
    refused = put_new("T-1", {"title": "Two"})
    assert_problem(refused, 412, "version_mismatch")
    assert "already" in fields(refused)["detail"]
    assert fields(refused)["item"]["title"] == "One"
    again = put_new("T-1", {"title": "One"}, **key)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert api.item("T-1")["title"] == "One"
    assert_problem(put_new("T-1", {"title": "One"}), 412, "version_mismatch")


def test_an_item_without_a_title_is_called_by_its_tag(api: Api) -> None:
    assert fields(api.put("T-1"))["item"]["title"] == "T-1"
    without_body = api.send("PUT", "/main/items/T-2", "supervisor")
    assert (without_body.status_code, fields(without_body)["item"]["title"]) == (201, "T-2")


def test_given_attributes_replace_all_that_were(api: Api) -> None:
    api.put("T-1", {"attributes": {"a": 1, "b": 2}})
    assert fields(api.put("T-1", {"attributes": {"b": 3}}))["item"]["attributes"] == {"b": 3}
    assert fields(api.put("T-1", {"attributes": None}))["item"]["attributes"] == {"b": 3}
    assert fields(api.put("T-1", {"attributes": {}}))["item"]["attributes"] == {}


def test_a_held_item_can_be_edited_but_not_removed(api: Api) -> None:
    api.prepare("T-1", "occupied")
    assert fields(api.put("T-1", {"title": "x"}))["item"]["holder"]["id"] == "holder"
    assert_problem(api.delete("T-1"), 409, "held")
    assert api.item("T-1")["state"] == "occupied"


@pytest.mark.parametrize("state", ["available", "paused", "blocked", "completed"])
def test_an_item_that_nobody_holds_can_be_removed(api: Api, state: str) -> None:
    api.prepare("T-1", state)
    removed = api.delete("T-1")
    assert (removed.status_code, fields(removed)["changed"]) == (200, True)
    assert_problem(api.get("/main/items/T-1"), 404, "item_not_found")
    assert_problem(api.delete("T-1"), 404, "item_not_found")
    assert api.tags() == api.tags(f"?state={state}") == []
    assert api.log()[-1]["type"] == "item.removed"


@pytest.mark.parametrize("tag", ["A", "a" * 64, "MK-1335-CW-25238-011", "1:2.3_4-5", "history"])
def test_a_tag_is_up_to_64_letters_digits_and_some_marks(api: Api, tag: str) -> None:
    assert api.put(tag).status_code == 201
    assert api.item(tag)["tag"] == tag


# Finding


def test_items_come_in_the_order_of_their_tags_with_where_to_follow_from(api: Api) -> None:
    for tag in ("B", "A", "C-10", "C-1"):
        api.put(tag)
    response = api.get("/main/items")
    found = fields(response)
    assert found.keys() == {"cursor", "seq", "version_floor", "items", "next"}
    assert [item["tag"] for item in found["items"]] == ["A", "B", "C-1", "C-10"]
    assert (found["seq"], found["next"]) == (4, None)
    api.done("take", "A", "holder")
    replay = api.services.store.log.replay("main", found["cursor"], 10)
    assert [entry.seq for entry in replay.entries] == [5]


def test_an_empty_board_has_no_items(api: Api) -> None:
    assert fields(api.get("/main/items")) == {
        "cursor": "0-0", "seq": 0, "version_floor": 0, "items": [], "next": None,
    }  # fmt: skip


def test_items_can_be_filtered_by_state_holder_and_text(api: Api) -> None:
    for state in ("available", "occupied", "paused", "blocked", "completed"):
        api.prepare(state[:3].upper(), state)
    api.put("X-1", {"title": "Ångström valve"})
    api.done("take", "X-1", "colleague")
    assert api.tags("?state=occupied") == ["OCC", "X-1"]
    assert api.tags("?state=blocked") == ["BLO"]
    assert api.tags("?holder=holder") == ["OCC"]
    assert api.tags("?holder=nobody") == []
    assert api.tags("?state=occupied&holder=colleague") == ["X-1"]
    assert api.tags("?state=paused&holder=colleague") == []
    assert api.tags("?q=x-1") == ["X-1"]
    assert api.tags("?q=ÅNGSTRÖM") == ["X-1"]
    assert api.tags("?q=collea") == ["X-1"]
    assert api.tags("?q=paused") == []
    assert api.tags("?q=") == ["AVA", "BLO", "COM", "OCC", "PAU", "X-1"]


def test_the_state_filter_looks_at_the_state_and_not_at_attributes(api: Api) -> None:
    api.put("T-1", {"attributes": {"state": "available"}})
    api.done("take", "T-1", "holder")
    assert api.tags("?state=available") == []
    assert api.tags("?holder=holder&state=available") == []


def test_a_holder_whose_id_begins_another_is_not_mixed_up(api: Api) -> None:
    api.prepare("T-1", "occupied")
    assert api.tags("?holder=hold") == []
    assert api.tags("?holder=holder") == ["T-1"]


@pytest.mark.parametrize("text", ['"', "\\", "</", "%", "*"])
def test_text_is_looked_for_as_it_is(api: Api, text: str) -> None:
    api.put("T-1", {"title": f"a {text} b"})
    api.put("T-2", {"title": "another"})
    response = api.send("GET", "/main/items", "watcher", query_string={"q": text})
    assert [item["tag"] for item in fields(response)["items"]] == ["T-1"]


@pytest.mark.parametrize("query", ["", "state=available", "holder=holder", "q=T"])
def test_pages_hold_every_item_once(api: Api, query: str) -> None:
    tags = [f"T-{number}" for number in range(7)]
    for tag in tags:
        api.put(tag)
        if "holder" in query:
            api.done("take", tag, "holder")
    found, page = [], ""
    for _ in range(4):
        answer = fields(api.get(f"/main/items?limit=2&{query}{page}"))
        assert len(answer["items"]) <= 2
        found += [item["tag"] for item in answer["items"]]
        if answer["next"] is None:
            break
        page = f"&page={answer['next']}"
    assert found == tags
    assert answer["next"] is None


def test_a_page_that_is_just_full_has_no_next(api: Api) -> None:
    api.put("T-1")
    api.put("T-2")
    assert fields(api.get("/main/items?limit=2"))["next"] is None


def test_a_page_goes_on_after_a_tag_that_is_gone(api: Api) -> None:
    for tag in ("A", "B", "C"):
        api.put(tag)
    following = fields(api.get("/main/items?limit=2"))["next"]
    api.delete("B")
    assert api.tags(f"?page={following}") == ["C"]


# Caching


def test_an_item_that_has_not_changed_is_not_sent_again(api: Api) -> None:
    api.put("T-1")
    etag = api.get("/main/items/T-1").headers["ETag"]
    assert etag == '"1"'
    for known in (etag, f"W/{etag}", f'"x", {etag}', '"1-gzip"', 'W/"1;gzip"', "*"):
        response = api.get("/main/items/T-1", If_None_Match=known)
        assert (response.status_code, response.data) == (304, b"")
        assert response.headers["ETag"] == etag
    api.done("take", "T-1", "holder")
    assert api.get("/main/items/T-1", If_None_Match=etag).status_code == 200


def test_a_list_that_has_not_changed_is_not_sent_again(api: Api) -> None:
    api.put("T-1")
    etag = api.get("/main/items?state=available").headers["ETag"]
    response = api.get("/main/items?state=available", If_None_Match=etag)
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == etag
    assert api.get("/main/items?state=paused", If_None_Match=etag).status_code == 200
    for known in (f'{etag[:-1]}-gzip"', f"W/{etag}", "*"):
        again = api.get("/main/items?state=available", If_None_Match=known)
        assert (again.status_code, again.headers["ETag"]) == (304, etag)
    assert_problem(api.get("/nowhere/items", If_None_Match="*"), 404, "board_not_found")
    assert_problem(api.get("/main/items/T-9", If_None_Match="*"), 404, "item_not_found")
    api.done("take", "T-1", "holder")
    assert api.get("/main/items?state=available", If_None_Match=etag).status_code == 200


def test_a_long_list_is_compressed_for_whoever_takes_gzip(api: Api) -> None:
    for number in range(20):
        api.put(f"T-{number:02}")
    plain = api.get("/main/items")
    assert "Content-Encoding" not in plain.headers
    packed = api.get("/main/items", Accept_Encoding="br, gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data) // 5
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Content-Encoding" not in api.get("/main/items", Accept_Encoding="gzip;q=0").headers


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_large_board_is_answered_as_a_small_one_is(
    api: Api, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """Whether the board was read, or remembered and followed through its log."""
    for number in range(6):
        api.put(f"T-{number}", {"title": "löng " * 40})

    def answer(**headers: str) -> tuple[int, bytes, dict[str, str]]:
        response = api.get("/main/items", Accept_Encoding=encoding, **headers)
        return response.status_code, response.data, dict(response.headers)

    large = 6
    for change in (None, "T-3", "T-9"):
        if change:
            api.put(change, {"title": "changed"})
        monkeypatch.setattr(queries_module, "_LARGE_ITEMS", 1000)
        small = answer()
        monkeypatch.setattr(queries_module, "_LARGE_ITEMS", large)
        assert answer() == answer() == small
        assert answer(If_None_Match=small[2]["ETag"])[0] == 304
        assert api.services.store.snapshot_cache.size > 0
    assert api.tags() == api.tags("?limit=10000") == [f"T-{number}" for number in (*range(6), 9)]


def test_what_is_known_compressed_is_known(api: Api) -> None:
    for number in range(20):
        api.put(f"T-{number:02}")
    packed, plain = (api.get("/main/items", Accept_Encoding=each) for each in ("gzip", "identity"))
    assert packed.headers["ETag"] == "W/" + plain.headers["ETag"]  # other bytes, the same list
    for response in (packed, plain):
        again = api.get(
            "/main/items", Accept_Encoding="gzip", If_None_Match=response.headers["ETag"]
        )
        assert again.status_code == 304


def test_a_short_list_is_not_compressed(api: Api) -> None:
    api.put("T-1")
    assert "Content-Encoding" not in api.get("/main/items", Accept_Encoding="gzip").headers


def test_a_list_of_one_board_is_not_that_of_another(api: Api) -> None:
    api.services.store.boards.create("line")
    etag = api.get("/main/items").headers["ETag"]
    assert api.get("/line/items", If_None_Match=etag).status_code == 200


@pytest.mark.parametrize("known", ["", "x", '"', '"x', '"0-0"', "\xe9", '"' * 1000])
def test_an_if_none_match_that_means_nothing_gets_the_whole_answer(api: Api, known: str) -> None:
    api.put("T-1")
    assert api.get("/main/items", If_None_Match=known).status_code == 200
    assert api.get("/main/items/T-1", If_None_Match=known).status_code == 200


def test_answers_are_not_kept_by_caches(api: Api) -> None:
    api.put("T-1")
    for path in ("", "/main/items/T-1/history"):
        assert api.get(path).headers["Cache-Control"] == "no-store"
    for path in ("/main", "/main/items", "/main/items/T-1"):
        assert api.get(path).headers["Cache-Control"] == "no-cache"  # asked again each time


# History


def test_history_is_the_items_events_newest_first(api: Api) -> None:
    api.prepare("T-1", "completed")
    api.put("T-2")
    response = api.get("/main/items/T-1/history")
    found = fields(response)
    assert found["next"] is None
    own = [event for event in api.log() if event["item"]["tag"] == "T-1"]
    assert found["history"] == own[::-1]


def test_history_comes_in_pages(api: Api) -> None:
    api.put("T-1")
    for number in range(6):
        api.put("T-1", {"title": str(number)})
    seqs, page = [], ""
    for _ in range(3):
        answer = fields(api.get(f"/main/items/T-1/history?limit=3{page}"))
        seqs += [event["seq"] for event in answer["history"]]
        page = f"&page={answer['next']}"
    assert seqs == [7, 6, 5, 4, 3, 2, 1]
    assert answer["next"] is None


def test_history_outlives_the_item_for_a_while(api: Api) -> None:
    api.put("T-1")
    api.delete("T-1")
    types = [event["type"] for event in fields(api.get("/main/items/T-1/history"))["history"]]
    assert types == ["item.removed", "item.added"]


def test_an_item_that_never_was_has_no_history(api: Api) -> None:
    assert_problem(api.get("/main/items/T-1/history"), 404, "item_not_found")


# Boards


def test_boards_are_listed_with_how_many_items_are_in_each_state(api: Api) -> None:
    api.services.store.boards.create("line", title="Line", steps=["ARM", "SOLD"])
    for state in ("available", "occupied", "paused", "blocked", "completed"):
        api.prepare(state, state)
    api.prepare("more", "paused")
    name = {
        "es": {"one": "pieza", "many": "piezas"}, "en": {"one": "piece", "many": "pieces"},
    }  # fmt: skip
    assert fields(api.get())["boards"] == [
        {
            "board": "line",
            "title": "Line",
            "steps": ["ARM", "SOLD"],
            "step_titles": {"ARM": "ARM", "SOLD": "SOLD"},
            "item_name": name,
            "counts": dict.fromkeys(("available", "occupied", "paused", "blocked", "completed"), 0),
        },
        {
            "board": "main",
            "title": "main",
            "steps": ["work"],
            "step_titles": {"work": "work"},
            "item_name": name,
            "counts": {"available": 1, "occupied": 1, "paused": 2, "blocked": 1, "completed": 1},
        },
    ]


def test_one_board_has_its_settings_and_its_position(api: Api) -> None:
    api.services.store.boards.create("bench", max_holds=2)
    api.put("T-1", board="bench")
    found = fields(api.get("/bench"))
    assert (found["board"], found["title"], found["steps"]) == ("bench", "bench", ["work"])
    assert found["settings"]["max_holds"] == 2
    snapshot = fields(api.get("/bench/items"))
    assert (found["cursor"], found["seq"]) == (snapshot["cursor"], snapshot["seq"])
    assert fields(api.get("/main"))["settings"]["max_holds"] is None


@pytest.mark.parametrize("rest", ["", "/items", "/items/T-1", "/items/T-1/history"])
def test_an_unknown_board_is_not_found(api: Api, rest: str) -> None:
    assert "nowhere" in assert_problem(api.get(f"/nowhere{rest}"), 404, "board_not_found")["detail"]


@pytest.mark.parametrize("path", ["", "/main", "/main/items", "/main/items/T-1"])
def test_head_is_get_without_the_body(api: Api, path: str) -> None:
    api.put("T-1")
    got, head = api.get(path), api.send("HEAD", path, "watcher")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]

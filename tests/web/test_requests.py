"""What a request may rely on (epoch, If-Match, Idempotency-Key), and batches."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from occupancy.services import Services
from tests.support.api_client import Api, assert_problem, fields


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    made = Api(client, people, services)
    made.put("T-1")
    return made


# Epoch


def test_an_epoch_that_has_moved_on_is_stale(api: Api) -> None:
    epoch = api.done("take", "T-1", "holder")["epoch"]
    api.done("force-release", "T-1", "supervisor")
    api.done("take", "T-1", "holder")
    found = assert_problem(api.do("pause", "T-1", "holder", {"epoch": epoch}), 409, "stale_epoch")
    assert found["item"] == api.item("T-1")
    assert api.done("pause", "T-1", "holder", {"epoch": epoch + 2})["state"] == "paused"


def test_an_epoch_of_the_future_is_refused_too(api: Api) -> None:
    assert_problem(api.do("take", "T-1", "holder", {"epoch": 1}), 409, "stale_epoch")
    assert api.done("take", "T-1", "holder", {"epoch": 0})["epoch"] == 1


def test_an_item_added_again_goes_on_counting(api: Api) -> None:
    api.done("take", "T-1", "holder")
    before = api.done("release", "T-1", "holder")
    removed = fields(api.delete("T-1"))["item"]
    added = fields(api.put("T-1"))["item"]
    assert removed["version"] == before["version"] + 1
    assert (added["epoch"], added["version"]) == (removed["epoch"], removed["version"] + 1)
    again = api.done("take", "T-1", "holder", {"epoch": removed["epoch"]})
    assert again["epoch"] == before["epoch"] + 1


# If-Match


@pytest.mark.parametrize(
    "sent", ['"1"', '"7", "1"', '"7",W/"9" , "1"', "*", " * ", '"1",', ' ,, "7",,"1" , ']
)
def test_a_version_that_still_stands_goes_through(api: Api, sent: str) -> None:
    api.done("take", "T-1", "holder", headers={"If-Match": sent})


@pytest.mark.parametrize(
    "sent",
    ['W/"1"', '"1-gzip"', '"1;gzip"', 'W/"1-gzip"', '"1--gzip"', '"1-br"', '"7", W/"1-gzip-br"'],
)
def test_a_version_that_a_compressing_proxy_has_renamed_is_that_version(
    api: Api, sent: str
) -> None:
    api.done("take", "T-1", "holder", headers={"If-Match": sent})
    response = api.do("pause", "T-1", "holder", headers={"If-Match": sent})  # it is 2 by now
    assert_problem(response, 412, "version_mismatch")


@pytest.mark.parametrize(
    "sent",
    [
        '"2"',
        '"0"',
        '""',
        '"1 "',
        '"01"',
        '"x"',
        'W/"2"',
        '"2-gzip"',
        '"1-x"',
        '"1-gzipped"',
        '"-gzip"',
    ],
)
def test_a_version_that_does_not_match_is_refused(api: Api, sent: str) -> None:
    response = api.do("take", "T-1", "holder", headers={"If-Match": sent})
    found = assert_problem(response, 412, "version_mismatch")
    assert (found["version"], found["item"]) == (1, api.item("T-1"))
    assert api.item("T-1")["state"] == "available"


@pytest.mark.parametrize(
    "sent", ["1", '"1', '1"', '"1" "2"', ",", ", ,", '"1"x', '*, "1"', "", "\xe9"]
)
def test_an_if_match_that_is_no_entity_tag_is_invalid(api: Api, sent: str) -> None:
    response = api.do("take", "T-1", "holder", headers={"If-Match": sent})
    assert "If-Match" in assert_problem(response, 400, "invalid_request")["detail"]


def test_edit_and_remove_heed_the_version_too(api: Api) -> None:
    stale, fresh = {"If-Match": '"9"'}, {"If-Match": '"1"'}
    assert_problem(api.put("T-1", {"title": "x"}, headers=stale), 412, "version_mismatch")
    assert api.put("T-1", {"title": "x"}, headers=fresh).status_code == 200
    path = "/main/items/T-1"
    assert_problem(api.send("DELETE", path, "supervisor", fresh), 412, "version_mismatch")
    assert api.send("DELETE", path, "supervisor", {"If-Match": '"2"'}).status_code == 200


def test_a_version_cannot_match_where_there_is_no_item(api: Api) -> None:
    response = api.put("T-9", headers={"If-Match": '"1"'})
    assert_problem(response, 412, "version_mismatch")
    assert_problem(api.get("/main/items/T-9"), 404, "item_not_found")


# Idempotency-Key


def test_the_same_request_gets_the_first_answer_again(api: Api) -> None:
    key = {"Idempotency-Key": "take-1"}
    first = api.do("take", "T-1", "holder", headers=key)
    assert "Idempotency-Replayed" not in first.headers
    api.done("pause", "T-1", "holder")
    again = api.do("take", "T-1", "holder", headers=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert api.item("T-1")["state"] == "paused"
    assert [event["type"] for event in api.log()] == ["item.added", "item.taken", "item.paused"]


def test_a_refusal_is_replayed_too(api: Api) -> None:
    api.done("take", "T-1", "holder")
    key = {"Idempotency-Key": "take-1"}
    first = api.do("take", "T-1", "colleague", headers=key)
    assert_problem(first, 409, "held")
    api.done("pause", "T-1", "holder")
    again = api.do("take", "T-1", "colleague", headers=key)
    assert_problem(again, 409, "held")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.data == first.data
    assert api.item("T-1")["state"] == "paused"


def test_an_item_that_was_not_there_is_replayed_as_that(api: Api) -> None:
    key = {"Idempotency-Key": "k"}
    assert_problem(api.do("take", "T-9", "holder", headers=key), 404, "item_not_found")
    api.put("T-9")
    again = api.do("take", "T-9", "holder", headers=key)
    assert_problem(again, 404, "item_not_found")
    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_key_with_another_request_is_refused(api: Api) -> None:
    api.put("T-2")
    key = {"Idempotency-Key": "k"}
    api.done("take", "T-1", "holder", headers=key)
    others = [
        api.do("take", "T-2", "holder", headers=key),
        api.do("pause", "T-1", "holder", headers=key),
        api.do("take", "T-1", "holder", {"epoch": 0}, headers=key),
        api.do("take", "T-1", "holder", headers={**key, "If-Match": '"1"'}),
        api.batch("take", ["T-1", "T-2"], "holder", headers=key),
    ]
    for response in others:
        assert_problem(response, 422, "idempotency_key_reused")
        assert "Idempotency-Replayed" not in response.headers
    assert api.item("T-2")["state"] == "available"


def test_the_same_key_of_another_caller_is_another_key(api: Api) -> None:
    key = {"Idempotency-Key": "k"}
    api.done("take", "T-1", "holder", headers=key)
    response = api.do("take", "T-1", "colleague", headers=key)
    assert_problem(response, 409, "held")
    assert "Idempotency-Replayed" not in response.headers


def test_a_request_that_is_not_well_formed_does_not_use_up_its_key(api: Api) -> None:
    key = {"Idempotency-Key": "k"}
    refused = api.do("take", "T-1", "holder", {"nonsense": 1}, headers=key)
    assert_problem(refused, 400, "invalid_request")
    api.done("take", "T-1", "holder", headers=key)


def test_adding_and_removing_an_item_are_replayed(api: Api) -> None:
    add, remove = {"Idempotency-Key": "add"}, {"Idempotency-Key": "remove"}
    assert api.put("T-2", {"title": "Two"}, headers=add).status_code == 201
    first = api.send("DELETE", "/main/items/T-2", "supervisor", remove)
    again = api.put("T-2", {"title": "Two"}, headers=add)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert_problem(api.get("/main/items/T-2"), 404, "item_not_found")
    assert api.send("DELETE", "/main/items/T-2", "supervisor", remove).data == first.data


@pytest.mark.parametrize("key", ["k", "!", "~", "{x}:*?[a]", "k" * 255, '"quoted"'])
def test_a_key_is_up_to_255_visible_characters(api: Api, key: str) -> None:
    api.done("take", "T-1", "holder", headers={"Idempotency-Key": key})
    again = api.do("take", "T-1", "holder", headers={"Idempotency-Key": key})
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "k" * 256, "a b", "a\tb", "\xe9", "\x7f"])
def test_any_other_key_is_invalid(api: Api, key: str) -> None:
    response = api.do("take", "T-1", "holder", headers={"Idempotency-Key": key})
    assert "Idempotency-Key" in assert_problem(response, 400, "invalid_request")["detail"]
    assert api.item("T-1")["state"] == "available"


# Batch


def test_a_batch_takes_each_tag_on_its_own_and_answers_in_their_order(api: Api) -> None:
    api.prepare("T-2", "blocked")
    api.put("T-3")
    api.done("take", "T-3", "colleague")
    api.put("T-4")
    tags = ["T-4", "T-9", "T-3", "T-2", "T-1"]
    response = api.batch("take", tags, "holder")
    assert response.status_code == 200
    results = fields(response)["results"]
    assert [each["tag"] for each in results] == tags
    assert [each["status"] for each in results] == [200, 404, 409, 409, 200]
    assert [each.get("code") for each in results] == [
        None, "item_not_found", "held", "blocked", None,
    ]  # fmt: skip
    assert results[0]["changed"] is True
    assert results[0]["item"] == api.item("T-4")
    assert all(each["detail"] for each in results if each["status"] != 200)
    assert results[2]["holder"] == {"id": "colleague", "name": "Colleague"}
    assert api.log()[-1]["item"]["tag"] == "T-1"


def test_a_tag_twice_in_a_batch_is_done_once(api: Api) -> None:
    results = fields(api.batch("take", ["T-1", "T-1"], "holder"))["results"]
    assert [each["changed"] for each in results] == [True, False]
    assert results[0]["item"] == results[1]["item"]
    assert len(api.log()) == 2


def test_a_batch_is_1_to_50_tags(api: Api) -> None:
    tags = [f"B-{number}" for number in range(51)]
    for tag in tags:
        api.put(tag)
    for refused in ([], tags):
        found = assert_problem(api.batch("take", refused, "holder"), 400, "invalid_request")
        assert "tags" in found["detail"]
    assert api.tags("?state=occupied") == []
    results = fields(api.batch("take", tags[:50], "holder"))["results"]
    assert [each["status"] for each in results] == [200] * 50
    assert len(fields(api.batch("pause", tags[:1], "holder"))["results"]) == 1


def test_a_batch_is_replayed_whole(api: Api) -> None:
    key = {"Idempotency-Key": "k"}
    first = api.batch("take", ["T-1", "T-9"], "holder", headers=key)
    api.put("T-9")
    again = api.batch("take", ["T-1", "T-9"], "holder", headers=key)
    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    other_order = api.batch("take", ["T-9", "T-1"], "holder", headers=key)
    assert_problem(other_order, 422, "idempotency_key_reused")


def test_a_batch_needs_the_role_of_its_operation(api: Api) -> None:
    refused = api.batch("block", ["T-1"], "holder", reason="x")
    assert "supervisor" in assert_problem(refused, 403, "forbidden")["detail"]
    assert_problem(api.batch("take", ["T-1"], "watcher"), 403, "forbidden")
    assert_problem(api.batch("take", ["T-1"], "outsider"), 401, "unauthenticated")
    assert fields(api.batch("block", ["T-1"], "supervisor", reason="x"))["results"][0]["changed"]


def test_a_batch_hands_its_fields_to_every_tag(api: Api) -> None:
    api.put("T-2")
    results = fields(api.batch("reassign", ["T-1", "T-2"], "supervisor", to="holder"))["results"]
    assert [each["item"]["holder"]["id"] for each in results] == ["holder", "holder"]
    results = fields(api.batch("pause", ["T-1", "T-2"], "holder", reason="lunch"))["results"]
    assert [each["item"]["reason"] for each in results] == ["lunch", "lunch"]


@pytest.mark.parametrize(
    "body",
    [
        {"operation": "fly", "tags": ["T-1"]},
        {"operation": "put", "tags": ["T-1"]},
        {"operation": "take"},
        {"tags": ["T-1"]},
        {"operation": "take", "tags": "T-1"},
        {"operation": "take", "tags": ["T-1", "a/b"]},
        {"operation": "take", "tags": ["T-1", None]},
        {"operation": "take", "tags": ["T-1"], "epoch": 0},
        {"operation": "take", "tags": ["T-1"], "reason": "x"},
        {"operation": "take", "tags": ["T-1"], "more": 1},
    ],
)  # fmt: skip
def test_a_batch_that_is_not_well_formed_does_nothing(api: Api, body: object) -> None:
    response = api.send("POST", "/main/batch", "holder", json=body)
    assert_problem(response, 400, "invalid_request")
    assert api.item("T-1")["state"] == "available"


def test_a_batch_takes_no_if_match(api: Api) -> None:
    response = api.batch("take", ["T-1"], "holder", headers={"If-Match": '"1"'})
    assert_problem(response, 400, "invalid_request")


def test_a_batch_on_an_unknown_board_is_not_found(api: Api) -> None:
    assert_problem(api.batch("take", ["T-1"], "holder", board="nowhere"), 404, "board_not_found")


def test_a_reassign_is_replayed_even_if_its_receiver_is_disabled_meanwhile(api: Api) -> None:
    api.prepare("T-8", "occupied")
    headers = {"Idempotency-Key": "k"}
    first = api.do("reassign", "T-8", "supervisor", {"to": "colleague"}, headers=headers)
    assert first.status_code == 200
    api.services.workers.edit("colleague", disabled=True)
    again = api.do("reassign", "T-8", "supervisor", {"to": "colleague"}, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.get_json() == first.get_json()
    other = api.do("reassign", "T-8", "supervisor", {"to": "colleague"})
    assert_problem(other, 404, "worker_not_found")

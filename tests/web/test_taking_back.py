"""Undo and send-back over HTTP: what they answer, and what a refused worker reads."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from occupancy.services import Services
from tests.support.api_client import Api, assert_problem, fields

LINE = "line"


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    """With a line of three steps, on which the holder has completed the first step of T-1."""
    found = Api(client, people, services)
    services.store.boards.create(LINE, steps=["ARM", "SOLD", "METROLOGIA"])
    found.put("T-1", board=LINE)
    found.done("take", "T-1", "holder", board=LINE)
    found.done("complete", "T-1", "holder", board=LINE)
    return found


def test_undo_answers_with_the_item_as_it_was_held(api: Api) -> None:
    held = [each["item"] for each in api.log(LINE) if each["type"] == "item.taken"][-1]
    before = api.item("T-1", LINE)
    item = api.done("undo", "T-1", "holder", board=LINE)
    assert item == {**held, "epoch": before["epoch"] + 1, "version": before["version"] + 1}
    event = api.log(LINE)[-1]
    assert (event["type"], event["actor"]["id"], event["item"]) == ("item.undone", "holder", item)


@pytest.mark.parametrize(
    ("touch", "who", "refused", "said"),
    [
        ((), "colleague", (403, "not_holder"), "Somebody else has completed T-1"),
        (("take",), "holder", (409, "held"), "held by Colleague"),
        (("take", "release"), "holder", (409, "wrong_state"), "somebody has changed it since"),
    ],
    ids=["not mine", "held", "touched"],
)
def test_a_refused_undo_says_why(
    api: Api, touch: tuple[str, ...], who: str, refused: tuple[int, str], said: str
) -> None:
    for operation in touch:
        api.done(operation, "T-1", "colleague", board=LINE)
    found = assert_problem(api.do("undo", "T-1", who, board=LINE), *refused)
    assert said in found["detail"]
    assert found["item"] == api.item("T-1", LINE)


def test_an_undo_that_comes_too_late_says_so(api: Api) -> None:
    key = api.services.store.keys.board(LINE).item("T-1")
    client: Any = api.services.store.client
    client.hset(key, "since_ms", int(client.hget(key, "since_ms")) - 61_000)
    found = assert_problem(api.do("undo", "T-1", "holder", board=LINE), 409, "wrong_state")
    assert "more than 60 seconds ago" in found["detail"]


def test_a_completion_in_a_batch_is_undone_in_a_batch(api: Api) -> None:
    for tag in ("T-2", "T-3"):
        api.put(tag, board=LINE)
    api.batch("take", ["T-2", "T-3"], "holder", board=LINE)
    api.batch("complete", ["T-2", "T-3"], "holder", board=LINE)
    api.done("take", "T-3", "colleague", board=LINE)
    results = fields(api.batch("undo", ["T-1", "T-2", "T-3"], "holder", board=LINE))["results"]
    assert [each.get("code", each["status"]) for each in results] == [200, 200, "held"]


def test_send_back_answers_with_the_item_at_the_earlier_step(api: Api) -> None:
    before = api.item("T-1", LINE)
    item = api.done("send-back", "T-1", "supervisor", board=LINE)
    assert (item["state"], item["step"], item["reason"]) == ("available", "ARM", "weld is porous")
    assert (item["epoch"], item["version"]) == (before["epoch"], before["version"] + 1)
    again = fields(api.do("send-back", "T-1", "supervisor", board=LINE))
    assert (again["changed"], again["item"]) == (False, item)
    assert [each["type"] for each in api.log(LINE)].count("item.sent_back") == 1


@pytest.mark.parametrize("step", ["SOLD", "METROLOGIA", "PINTURA"])
def test_a_refused_step_names_those_that_are_possible(api: Api, step: str) -> None:
    before = api.item("T-1", LINE)
    body: dict[str, Any] = {"step": step, "reason": "porous"}
    response = api.do("send-back", "T-1", "supervisor", body, board=LINE)
    found = assert_problem(response, 400, "invalid_request")
    assert found["detail"] == "step must be one of the steps before SOLD: ARM."
    results = fields(api.batch("send-back", ["T-1"], "supervisor", board=LINE, **body))["results"]
    assert (results[0]["status"], results[0]["detail"]) == (400, found["detail"])
    assert api.item("T-1", LINE) == before


def test_a_refused_step_with_its_key_again_is_refused_as_at_first(api: Api) -> None:
    body, headers = {"step": "SOLD", "reason": "porous"}, {"Idempotency-Key": "k"}
    answers = [
        api.do("send-back", "T-1", "supervisor", body, board=LINE, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].text == answers[1].text
    assert answers[1].headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("who", ["watcher", "holder"])
def test_only_a_supervisor_sends_back(api: Api, who: str) -> None:
    assert_problem(api.do("send-back", "T-1", who, board=LINE), 403, "forbidden")


@pytest.mark.parametrize("operation", ["undo", "send-back"])
def test_an_unknown_item_has_nothing_to_take_back(api: Api, operation: str) -> None:
    assert_problem(api.do(operation, "T-9", "supervisor", board=LINE), 404, "item_not_found")

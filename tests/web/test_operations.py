"""The operations over HTTP: who may do what from which state, and what it does to the item."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from occupancy.services import Services
from tests.support.api_client import Api, assert_problem, fields
from tests.support.waiting import wait_until

STATES = ("available", "occupied", "paused", "blocked", "completed")

# operation: state: what holder, colleague and supervisor get. "same": 200 without a change.
MATRIX: dict[str, dict[str, tuple[str, str, str]]] = {
    "take": {
        "available": ("ok", "ok", "ok"),
        "occupied": ("same", "held", "held"),
        "paused": ("ok", "ok", "ok"),
        "blocked": ("blocked", "blocked", "blocked"),
        "completed": ("wrong_state", "wrong_state", "wrong_state"),
    },
    "pause": {
        "available": ("wrong_state", "wrong_state", "wrong_state"),
        "occupied": ("ok", "not_holder", "not_holder"),
        "paused": ("same", "wrong_state", "wrong_state"),
        "blocked": ("blocked", "blocked", "blocked"),
        "completed": ("wrong_state", "wrong_state", "wrong_state"),
    },
    "complete": {
        "available": ("wrong_state", "wrong_state", "wrong_state"),
        "occupied": ("ok", "not_holder", "not_holder"),
        "paused": ("wrong_state", "wrong_state", "wrong_state"),
        "blocked": ("blocked", "blocked", "blocked"),
        "completed": ("same", "wrong_state", "wrong_state"),
    },
    "release": {
        "available": ("wrong_state", "wrong_state", "wrong_state"),
        "occupied": ("ok", "not_holder", "not_holder"),
        "paused": ("wrong_state", "wrong_state", "wrong_state"),
        "blocked": ("blocked", "blocked", "blocked"),
        "completed": ("wrong_state", "wrong_state", "wrong_state"),
    },
    "undo": {
        "available": ("wrong_state", "wrong_state", "wrong_state"),
        "occupied": ("held", "held", "held"),
        "paused": ("wrong_state", "wrong_state", "wrong_state"),
        "blocked": ("blocked", "blocked", "blocked"),
        "completed": ("ok", "not_holder", "not_holder"),
    },
    "force-release": {
        "available": ("forbidden", "forbidden", "wrong_state"),
        "occupied": ("forbidden", "forbidden", "ok"),
        "paused": ("forbidden", "forbidden", "wrong_state"),
        "blocked": ("forbidden", "forbidden", "blocked"),
        "completed": ("forbidden", "forbidden", "wrong_state"),
    },
    "reassign": {
        "available": ("forbidden", "forbidden", "ok"),
        "occupied": ("forbidden", "forbidden", "ok"),
        "paused": ("forbidden", "forbidden", "ok"),
        "blocked": ("forbidden", "forbidden", "blocked"),
        "completed": ("forbidden", "forbidden", "wrong_state"),
    },
    "block": {
        "available": ("forbidden", "forbidden", "ok"),
        "occupied": ("forbidden", "forbidden", "ok"),
        "paused": ("forbidden", "forbidden", "ok"),
        "blocked": ("forbidden", "forbidden", "same"),
        "completed": ("forbidden", "forbidden", "wrong_state"),
    },
    "unblock": {
        "available": ("forbidden", "forbidden", "wrong_state"),
        "occupied": ("forbidden", "forbidden", "wrong_state"),
        "paused": ("forbidden", "forbidden", "wrong_state"),
        "blocked": ("forbidden", "forbidden", "ok"),
        "completed": ("forbidden", "forbidden", "wrong_state"),
    },
    "reopen": {
        "available": ("forbidden", "forbidden", "wrong_state"),
        "occupied": ("forbidden", "forbidden", "wrong_state"),
        "paused": ("forbidden", "forbidden", "wrong_state"),
        "blocked": ("forbidden", "forbidden", "blocked"),
        "completed": ("forbidden", "forbidden", "ok"),
    },
}
STATUS = {"held": 409, "wrong_state": 409, "blocked": 409, "not_holder": 403, "forbidden": 403}

# operation: the state it starts from, who does it, the event, the state and the holder after it.
EFFECTS: dict[str, tuple[str, str, str, str, str | None]] = {
    "take": ("available", "holder", "item.taken", "occupied", "holder"),
    "pause": ("occupied", "holder", "item.paused", "paused", None),
    "complete": ("occupied", "holder", "item.completed", "completed", None),
    "undo": ("completed", "holder", "item.undone", "occupied", "holder"),
    "release": ("occupied", "holder", "item.released", "available", None),
    "force-release": ("occupied", "supervisor", "item.force_released", "paused", None),
    "reassign": ("occupied", "supervisor", "item.reassigned", "occupied", "colleague"),
    "block": ("occupied", "supervisor", "item.blocked", "blocked", None),
    "unblock": ("blocked", "supervisor", "item.unblocked", "available", None),
    "reopen": ("completed", "supervisor", "item.reopened", "available", None),
}


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    return Api(client, people, services)


@pytest.fixture
def line(api: Api) -> str:
    """A board with two steps."""
    api.services.store.boards.create("line", title="Line", steps=["ARM", "SOLD"])
    return "line"


def ms(since: str) -> int:
    return round(datetime.fromisoformat(since).timestamp() * 1000)


def let_time_pass(api: Api) -> None:
    """Wait until the server's clock, which is what counts, has moved on by some milliseconds."""

    def server_ms() -> int:
        clock: Any = api.services.store.client.time()
        return int(clock[0]) * 1000 + int(clock[1]) // 1000

    start_ms = server_ms()
    wait_until(lambda: server_ms() >= start_ms + 3, what="the server's clock")


# Who may do what, from which state


@pytest.mark.parametrize("operation", MATRIX)
def test_from_each_state_each_actor_is_allowed_or_refused_with_a_reason(
    api: Api, operation: str
) -> None:
    for state, expected in MATRIX[operation].items():
        for who, code in zip(("holder", "colleague", "supervisor"), expected, strict=True):
            tag = f"{state}-{who}"
            api.prepare(tag, state)
            before, events = api.item(tag), len(api.log())
            response = api.do(operation, tag, who)
            case = f"{operation} {state} by {who}: {response.text}"
            if code in ("ok", "same"):
                assert response.status_code == 200, case
                assert fields(response)["changed"] == (code == "ok"), case
                assert fields(response)["item"] == api.item(tag)
            else:
                found = assert_problem(response, STATUS[code], code)
                if code != "forbidden":
                    assert found["item"] == before
                    assert found["holder"] == before["holder"]
                    assert (found["since"], found["version"]) == (
                        before["since"], before["version"],
                    )  # fmt: skip
            assert len(api.log()) == events + (code == "ok"), case
            assert (api.item(tag) == before) == (code != "ok"), case


@pytest.mark.parametrize("operation", MATRIX)
def test_a_watcher_may_do_nothing_and_an_outsider_not_even_ask(api: Api, operation: str) -> None:
    for state in STATES:
        api.prepare(state, state)
        before = api.item(state)
        assert_problem(api.do(operation, state, "watcher"), 403, "forbidden")
        problem = api.do(operation, state, "outsider")
        assert_problem(problem, 401, "unauthenticated")
        assert problem.headers["WWW-Authenticate"].startswith("Bearer")
        assert api.item(state) == before


@pytest.mark.parametrize("operation", EFFECTS)
def test_an_operation_and_its_event_have_the_tables_target(api: Api, operation: str) -> None:
    state, who, event_type, after, holder = EFFECTS[operation]
    api.prepare("T-1", state)
    response = api.do(operation, "T-1", who)
    item = fields(response)["item"]
    assert item["state"] == after
    assert item["holder"] == (holder and {"id": holder, "name": holder.title()})
    event = api.log()[-1]
    assert (event["type"], event["board"], event["item"]) == (event_type, "main", item)
    assert event["actor"] == {"id": who, "name": who.title()}
    assert event["seq"] == len(api.log())
    assert fields(response)["cursor"] == fields(api.get("/main/items"))["cursor"]
    assert response.headers["ETag"] == f'"{item["version"]}"'


@pytest.mark.parametrize("operation", EFFECTS)
def test_doing_it_again_changes_nothing_and_makes_no_event(api: Api, operation: str) -> None:
    state, who, *_ = EFFECTS[operation]
    api.prepare("T-1", state)
    item = api.done(operation, "T-1", who)
    events = api.log()
    again = fields(api.do(operation, "T-1", who))
    assert (again["changed"], again["item"]) == (False, item)
    assert again["cursor"] == fields(api.get("/main/items"))["cursor"]
    assert api.log() == events


def test_take_of_a_held_item_names_the_holder(api: Api) -> None:
    api.prepare("T-1", "occupied")
    found = assert_problem(api.do("take", "T-1", "colleague"), 409, "held")
    assert found["holder"] == {"id": "holder", "name": "Holder"}
    assert "Holder" in found["detail"]
    assert found["since"] == api.item("T-1")["since"]


def test_a_blocked_item_says_why(api: Api) -> None:
    api.prepare("T-1", "blocked")
    assert (
        "crack found" in assert_problem(api.do("take", "T-1", "holder"), 409, "blocked")["detail"]
    )


@pytest.mark.parametrize("operation", EFFECTS)
def test_an_unknown_item_or_board_is_not_found(api: Api, operation: str) -> None:
    found = assert_problem(api.do(operation, "T-9", "supervisor"), 404, "item_not_found")
    assert found["tag"] == "T-9"
    unknown_board = api.do(operation, "T-9", "supervisor", board="nowhere")
    assert_problem(unknown_board, 404, "board_not_found")


def test_an_admin_may_do_what_a_supervisor_may(api: Api) -> None:
    assert api.put("T-1", who="admin").status_code == 201
    api.done("block", "T-1", "admin")
    api.done("unblock", "T-1", "admin")
    assert api.delete("T-1", who="admin").status_code == 200


@pytest.mark.parametrize("who", ["watcher", "holder"])
def test_only_supervisors_add_edit_and_remove_items(api: Api, who: str) -> None:
    assert_problem(api.put("T-1", who=who), 403, "forbidden")
    api.put("T-1")
    assert_problem(api.delete("T-1", who=who), 403, "forbidden")


# What it does to the item


def test_complete_leads_from_step_to_step_and_to_the_end(api: Api, line: str) -> None:
    api.put("T-1", board=line)
    api.done("take", "T-1", "holder", board=line)
    let_time_pass(api)
    item = api.done("complete", "T-1", "holder", board=line)
    assert (item["state"], item["step"], item["worked_s"]) == ("available", "SOLD", 0)
    again = fields(api.do("complete", "T-1", "holder", board=line))
    assert (again["changed"], again["item"]) == (False, item)
    api.done("take", "T-1", "colleague", board=line)
    item = api.done("complete", "T-1", "colleague", board=line)
    assert (item["state"], item["step"], item["holder"]) == ("completed", "SOLD", None)


def test_release_restores_the_state_before_the_take(api: Api) -> None:
    api.prepare("T-1", "occupied")
    api.done("pause", "T-1", "holder", {"reason": "lunch"})
    api.done("take", "T-1", "colleague")
    assert api.item("T-1")["reason"] is None
    item = api.done("release", "T-1", "colleague")
    assert (item["state"], item["reason"], item["holder"]) == ("paused", "lunch", None)


def test_unblock_restores_the_state_without_a_holder(api: Api) -> None:
    after = {"available": "available", "paused": "paused", "occupied": "paused"}
    for state, expected in after.items():
        api.prepare(state, state)
        assert api.done("block", state, "supervisor")["holder"] is None
        item = api.done("unblock", state, "supervisor")
        assert (item["state"], item["holder"], item["reason"]) == (expected, None, None)


def test_a_pause_reason_survives_a_block(api: Api) -> None:
    api.prepare("T-1", "occupied")
    api.done("pause", "T-1", "holder", {"reason": "no gas"})
    assert api.done("block", "T-1", "supervisor")["reason"] == "crack found"
    assert api.done("unblock", "T-1", "supervisor")["reason"] == "no gas"


def test_a_reason_is_kept_while_the_state_lasts(api: Api) -> None:
    api.prepare("T-1", "occupied")
    assert api.done("force-release", "T-1", "supervisor")["reason"] == "shift over"
    assert api.done("take", "T-1", "holder")["reason"] is None
    given = {"to": "colleague", "reason": "knows it"}
    assert api.done("reassign", "T-1", "supervisor", given)["reason"] == "knows it"
    assert api.done("complete", "T-1", "colleague")["reason"] is None


def test_since_of_the_work_survives_reassign_but_no_other_change_of_state(api: Api) -> None:
    api.prepare("T-1", "occupied")
    since = api.item("T-1")["since"]
    let_time_pass(api)
    assert api.done("reassign", "T-1", "supervisor")["since"] == since
    for operation, who in (("pause", "colleague"), ("take", "holder"), ("release", "holder")):
        let_time_pass(api)
        later = api.done(operation, "T-1", who)["since"]
        assert ms(later) > ms(since), operation
        since = later
    let_time_pass(api)
    assert ms(api.done("reassign", "T-1", "supervisor")["since"]) > ms(since)


def test_editing_an_item_leaves_its_state_and_since_alone(api: Api) -> None:
    api.prepare("T-1", "occupied")
    before = api.item("T-1")
    let_time_pass(api)
    item = fields(api.put("T-1", {"title": "New"}))["item"]
    assert item == {**before, "title": "New", "version": before["version"] + 1}


def test_worked_time_is_the_sum_of_the_holds_without_released_ones(api: Api) -> None:
    api.put("T-1")
    expected_ms = 0
    for operation, who, counts in (
        ("pause", "holder", True),
        ("release", "colleague", False),
        ("force-release", "supervisor", True),
        ("block", "supervisor", True),
    ):
        taker = who if who != "supervisor" else "holder"
        taken = api.done("take", "T-1", taker)
        assert round(taken["worked_s"] * 1000) == expected_ms, "without the running hold"
        let_time_pass(api)
        ended = api.done(operation, "T-1", who)
        if counts:
            held_ms = ms(ended["since"]) - ms(taken["since"])
            assert held_ms > 0
            expected_ms += held_ms
        assert round(ended["worked_s"] * 1000) == expected_ms, operation


def test_epoch_moves_with_the_holder_and_version_with_every_change(api: Api) -> None:
    api.put("T-1")
    item = api.item("T-1")
    assert (item["epoch"], item["version"]) == (0, 1)
    steps = [
        ("take", "holder", 1),
        ("pause", "holder", 1),
        ("reassign", "supervisor", 1),
        ("force-release", "supervisor", 1),
        ("block", "supervisor", 0),
        ("unblock", "supervisor", 0),
        ("take", "holder", 1),
        ("block", "supervisor", 1),
        ("unblock", "supervisor", 0),
        ("take", "colleague", 1),
        ("release", "colleague", 1),
        ("take", "colleague", 1),
        ("complete", "colleague", 1),
        ("undo", "colleague", 1),
        ("complete", "colleague", 1),
        ("reopen", "supervisor", 0),
    ]
    for operation, who, moves in steps:
        after = api.done(operation, "T-1", who)
        assert after["epoch"] == item["epoch"] + moves, operation
        assert after["version"] == item["version"] + 1, operation
        item = after
    edited = fields(api.put("T-1", {"title": "Edited"}))["item"]
    assert (edited["epoch"], edited["version"]) == (item["epoch"], item["version"] + 1)


def test_seq_is_contiguous_and_every_event_has_the_whole_item(api: Api) -> None:
    api.prepare("T-1", "completed")
    api.prepare("T-2", "blocked")
    api.delete("T-2")
    log = api.log()
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
    assert [event["type"] for event in log] == [
        "item.added", "item.taken", "item.completed", "item.added", "item.blocked", "item.removed",
    ]  # fmt: skip
    for event in log:
        assert event["item"].keys() == {
            "tag", "title", "state", "step", "holder", "since", "reason", "epoch", "version",
            "worked_s", "attributes",
        }  # fmt: skip
    assert fields(api.get("/main/items"))["seq"] == len(log)


def test_reopen_is_at_the_last_step_or_at_the_one_given(api: Api, line: str) -> None:
    api.put("T-1", board=line)
    for step in (None, "ARM"):
        while api.item("T-1", line)["state"] != "completed":
            api.done("take", "T-1", "holder", board=line)
            api.done("complete", "T-1", "holder", board=line)
        unknown = api.do("reopen", "T-1", "supervisor", {"step": "WELD"}, board=line)
        assert "step" in assert_problem(unknown, 400, "invalid_request")["detail"]
        body = {"step": step} if step else {}
        item = api.done("reopen", "T-1", "supervisor", body, board=line)
        assert (item["state"], item["step"], item["holder"]) == ("available", step or "SOLD", None)


def test_reassign_to_an_unknown_worker_is_refused(api: Api) -> None:
    api.prepare("T-1", "occupied")
    before = api.item("T-1")
    response = api.do("reassign", "T-1", "supervisor", {"to": "nobody"})
    assert "nobody" in assert_problem(response, 404, "worker_not_found")["detail"]
    assert api.item("T-1") == before


def test_reassign_to_the_holder_changes_nothing(api: Api) -> None:
    api.prepare("T-1", "occupied")
    answer = fields(api.do("reassign", "T-1", "supervisor", {"to": "holder"}))
    assert answer["changed"] is False


def test_a_worker_may_hold_as_many_as_the_board_allows(api: Api) -> None:
    api.services.store.boards.create("bench", max_holds=2)
    for tag in ("T-1", "T-2", "T-3", "T-4"):
        api.put(tag, board="bench")
    api.done("take", "T-1", "holder", board="bench")
    api.done("take", "T-2", "holder", board="bench")
    assert_problem(api.do("take", "T-3", "holder", board="bench"), 409, "limit_reached")
    assert fields(api.do("take", "T-2", "holder", board="bench"))["changed"] is False
    given = {"to": "holder"}
    refused = api.do("reassign", "T-3", "supervisor", given, board="bench")
    assert_problem(refused, 409, "limit_reached")
    api.done("take", "T-3", "colleague", board="bench")
    api.done("pause", "T-1", "holder", board="bench")
    api.done("take", "T-4", "holder", board="bench")
    results = fields(api.batch("take", ["T-1", "T-4"], "holder", board="bench"))["results"]
    assert [each["status"] for each in results] == [409, 200]


def test_without_a_limit_a_worker_may_hold_many(api: Api) -> None:
    tags = [f"T-{number}" for number in range(20)]
    for tag in tags:
        api.put(tag)
    results = fields(api.batch("take", tags, "holder"))["results"]
    assert all(each["changed"] for each in results)


def test_boards_share_nothing(api: Api, line: str) -> None:
    api.prepare("T-1", "occupied")
    assert_problem(api.get(f"/{line}/items/T-1"), 404, "item_not_found")
    api.prepare("T-1", "available", line)
    assert api.item("T-1")["state"] == "occupied"
    assert [event["seq"] for event in api.log(line)] == [1]


@pytest.mark.parametrize(
    "text",
    ["a\u2028b\u2029c", "<script>alert('x')</script> & \"q\" \\ /", "Ñandú 日本 🔧", "a" * 200],
)
def test_texts_come_back_exactly_as_they_were_sent(api: Api, text: str) -> None:
    api.put("T-1", {"title": text, "attributes": {text[:64]: text}})
    api.done("take", "T-1", "holder")
    item = api.done("pause", "T-1", "holder", {"reason": text})
    assert (item["title"], item["reason"], item["attributes"]) == (text, text, {text[:64]: text})
    assert api.item("T-1") == item
    assert fields(api.get("/main/items"))["items"] == [item]
    assert fields(api.get("/main/items/T-1/history"))["history"][0]["item"] == item


def test_numbers_in_attributes_lose_nothing(api: Api) -> None:
    sent = {"n": 2**53 - 1, "f": 0.1, "minus": 1 - 2**53, "no": None, "yes": True}
    api.put("T-1", {"attributes": sent})
    api.done("take", "T-1", "holder", headers={"Idempotency-Key": "k"})
    replayed = fields(api.do("take", "T-1", "holder", headers={"Idempotency-Key": "k"}))
    assert replayed["item"]["attributes"] == sent
    assert api.item("T-1")["attributes"] == sent

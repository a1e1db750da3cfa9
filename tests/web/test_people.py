"""The people to whom a supervisor may give an item: who, in which order, and how little."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from occupancy.core.entities import Role
from occupancy.services import Services
from occupancy.web.routes.people import MAX_PEOPLE
from tests.support.api_client import Api, assert_problem, fields


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    return Api(client, people, services)


def listed(api: Api, query: str = "", who: str = "supervisor") -> Any:
    answer = api.send("GET", f"/main/people{query}", who)
    assert answer.status_code == 200, answer.text
    return fields(answer)


def ids(found: Any) -> list[str]:
    return [each["id"] for each in found["people"]]


def test_who_holds_or_worked_lately_comes_first_and_the_rest_by_name(
    api: Api, services: Services
) -> None:
    for worker, name in (("z1", "Ana"), ("a9", "Zoe"), ("m5", "Óscar")):
        services.workers.add(worker, name=name, role=Role.WORKER)
    api.put("T-1")
    before = listed(api)["people"]
    assert not any(each["is_near"] for each in before)  # an edit is no work
    names = [each["name"] for each in before]
    assert names.index("Ana") < names.index("Óscar") < names.index("Zoe")
    api.done("take", "T-1", "holder")
    api.done("reassign", "T-1", "supervisor", {"to": "a9"})
    found = listed(api)["people"]
    near = [each["id"] for each in found if each["is_near"]]
    assert near[-1] == "a9"  # holds, and has done nothing
    assert len(near) == 3
    assert [each["id"] for each in found][:3] == near


def test_no_more_than_id_name_and_place_is_told(api: Api) -> None:
    assert {key for each in listed(api)["people"] for key in each} == {"id", "name", "is_near"}


def test_who_cannot_hold_items_is_left_out(api: Api, services: Services) -> None:
    services.workers.add("gone", name="Gone", role=Role.WORKER, disabled=True)
    services.workers.add("looker", name="Looker", role=Role.OBSERVER)
    assert not {"gone", "looker"} & set(ids(listed(api)))


def test_every_word_is_looked_for_in_id_and_name_whatever_case_and_accents(
    api: Api, services: Services
) -> None:
    services.workers.add("77", name="Íñigo Peña", role=Role.WORKER)
    assert ids(listed(api, "?q=pena%20INI")) == ["77"]
    assert ids(listed(api, "?q=77%20pe")) == ["77"]
    assert ids(listed(api, "?q=77%20zz")) == []


def test_no_more_than_fifty_are_told_and_that_there_are_more(api: Api, services: Services) -> None:
    for number in range(MAX_PEOPLE + 1):
        services.workers.add(f"n{number}", name=f"Many {number}", role=Role.WORKER)
    found = listed(api, "?q=many")
    assert (len(found["people"]), found["has_more"]) == (MAX_PEOPLE, True)
    assert listed(api, "?q=n12")["has_more"] is False


def test_workers_and_unknown_boards_get_no_people(api: Api) -> None:
    assert_problem(api.send("GET", "/main/people", "holder"), 403, "forbidden")
    assert_problem(api.send("GET", "/none/people", "supervisor"), 404, "board_not_found")

"""Rates of operations, over HTTP.

Tests of rates use up what may be done at once, which takes a moment, and look at the next request;
none waits for a rate to let it through again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.conftest import add_people
from tests.support.api_client import Api, assert_problem
from tests.support.applications import application
from tests.web.limits.limited import MORE, TAGS


@pytest.fixture
def limited(settings: Settings) -> Iterator[Callable[..., tuple[Api, FlaskClient]]]:
    """The application with other settings; one operation a second unless they say otherwise."""
    made: list[Services] = []

    def limit(**changes: Any) -> tuple[Api, FlaskClient]:
        changes = {"operations_per_s": 1, **changes}
        services = Services.for_web(dataclasses.replace(settings, **changes))
        made.append(services)
        client = application(services).test_client()
        return Api(client, add_people(services), services), client

    yield limit
    for each in made:
        each.close()


def more(api: Api, who: str, **headers: str) -> TestResponse:
    """The answer to operations beyond that."""
    return api.batch("take", MORE, who, headers)


def use_up(api: Api, who: str = "holder", **headers: str) -> None:
    """Do at once what may be done at once."""
    assert api.batch("take", TAGS, who, headers).status_code == 200


def test_too_many_operations_are_a_problem_that_says_when_to_go_on(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited()
    use_up(api)
    refused = more(api, "holder")
    fields = assert_problem(refused, 429, "rate_limited")
    assert int(refused.headers["Retry-After"]) == fields["retry_after"] >= 1
    refused = api.batch("take", TAGS, "holder")
    assert_problem(refused, 429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 40


def test_a_limited_caller_may_still_look_and_others_may_still_do(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited()
    for tag in ("X-1", *MORE):
        assert api.put(tag).status_code == 201
    use_up(api)
    assert api.get("/main/items", who="holder").status_code == 200
    assert more(api, "holder").status_code == 429
    assert api.do("take", "X-1", "colleague").status_code == 200
    # All that changes an item counts: the supervisor has these puts behind it.
    assert api.batch("block", TAGS, "supervisor", reason="x").status_code == 429


@pytest.mark.parametrize("credential", ["another token", "a session"])
def test_another_credential_of_the_same_worker_has_no_limit_of_its_own(
    limited: Callable[..., tuple[Api, FlaskClient]], credential: str
) -> None:
    api, client = limited()
    use_up(api)
    secret, _ = api.services.tokens.create("holder")
    if credential == "another token":
        api.people["again"] = {"Authorization": f"Bearer {secret}"}
    else:
        answer = client.post("/api/session", json={"token": secret})
        api.people["again"] = {"X-CSRF-Token": answer.get_json()["csrf_token"]}
    assert_problem(more(api, "again"), 429, "rate_limited")


def test_all_callers_of_an_address_share_its_limit(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited(operations_per_s=1000, address_operations_per_s=1)
    use_up(api, "holder")
    assert_problem(more(api, "colleague"), 429, "rate_limited")


def test_addresses_behind_a_proxy_count_apart(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited(operations_per_s=1000, address_operations_per_s=1, proxies=1)
    first, second = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    use_up(api, "holder", **first)
    assert more(api, "holder", **first).status_code == 429
    assert api.do("take", "T-1", "holder", headers=second).status_code == 404
    # What the client puts in front of what the proxy has seen is not believed.
    forged = {"X-Forwarded-For": "203.0.113.9, 192.0.2.1"}
    assert more(api, "holder", **forged).status_code == 429


def test_without_a_proxy_nobody_says_where_they_come_from(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited(operations_per_s=1000, address_operations_per_s=1)
    use_up(api, "holder", **{"X-Forwarded-For": "192.0.2.1"})
    forged = {"X-Forwarded-For": "192.0.2.2"}
    assert more(api, "holder", **forged).status_code == 429

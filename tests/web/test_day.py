"""A worker's day over HTTP: since when, of which boards, and whose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from occupancy.boards.history.workday import MAX_DAYS
from occupancy.core.entities import Role
from occupancy.services import Services
from tests.support.api_client import Api, assert_problem, fields


@pytest.fixture
def api(client: FlaskClient, people: dict[str, dict[str, str]], services: Services) -> Api:
    return Api(client, people, services)


def day(api: Api, since: str | None = None, *, headers: Any = None, who: str = "holder") -> Any:
    query = "" if since is None else f"?since={quote(since)}"
    return api.client.get(f"/api/day{query}", headers=headers or api.people[who])


def holds(answer: Any) -> list[tuple[str, str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [(each["board"], each["tag"], each["ended"]) for each in fields(answer)["holds"]]


def test_without_a_moment_it_is_the_last_day_and_the_callers_own(api: Api) -> None:
    for tag in ("T-1", "T-2"):
        api.put(tag)
    api.done("take", "T-1", "holder")
    api.done("pause", "T-1", "holder")
    api.done("take", "T-2", "colleague")
    answer = fields(day(api))
    since = datetime.fromisoformat(answer["since"])
    assert timedelta(hours=23) < datetime.now(UTC) - since < timedelta(hours=25)
    assert (answer["worker"], answer["is_whole"]) == ("holder", True)
    (hold,) = answer["holds"]
    assert hold["ended_by"] == {"id": "holder", "name": "Holder"}
    assert hold["began_at"] <= hold["ended_at"]
    assert holds(day(api, who="colleague")) == [("main", "T-2", None)]
    assert holds(day(api, who="supervisor")) == []


def test_a_moment_may_have_any_offset(api: Api) -> None:
    api.put("T-1")
    api.done("take", "T-1", "holder")
    moment = datetime.now(UTC) - timedelta(minutes=1)
    forms = [
        moment.isoformat(),
        moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        moment.astimezone(timezone(timedelta(hours=-6))).isoformat(),
    ]
    for form in forms:
        assert holds(day(api, form)) == [("main", "T-1", None)]
        began = fields(day(api, form))["since"]
        assert abs(datetime.fromisoformat(began) - moment) < timedelta(milliseconds=2), form
    assert fields(day(api, forms[0]))["holds"][0]["began_at"] is not None
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    (hold,) = fields(day(api, later))["holds"]
    assert hold["began_at"] is None  # still held then, and taken before


@pytest.mark.parametrize(
    "since",
    ["", "yesterday", "2026-11-29", "2026-11-29T06:00:00", "0", "2026-13-01T00:00:00Z",
     "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-12:00x", "<script>"],
)  # fmt: skip
def test_what_is_no_moment_is_refused_and_said(api: Api, since: str) -> None:
    assert_problem(day(api, since), 400, "invalid_request")


def test_it_goes_back_some_days_and_no_further(api: Api) -> None:
    now = datetime.now(UTC)
    inside = now - timedelta(days=MAX_DAYS) + timedelta(minutes=1)
    assert day(api, inside.isoformat()).status_code == 200
    outside = now - timedelta(days=MAX_DAYS, minutes=1)
    assert_problem(day(api, outside.isoformat()), 400, "invalid_request")
    assert_problem(api.client.get("/api/day?who=colleague", headers=api.people["holder"]),
                   400, "invalid_request")  # fmt: skip


def test_a_token_of_one_board_sees_that_board_only(api: Api, services: Services) -> None:
    services.store.boards.create("other", title="Other", steps=())
    for board in ("main", "other"):
        api.put("T-1", board=board)
        api.done("take", "T-1", "holder", board=board)
    assert sorted(holds(day(api))) == [("main", "T-1", None), ("other", "T-1", None)]
    secret, _ = services.tokens.create("holder", role=Role.OBSERVER, board="other")
    bound = {"Authorization": f"Bearer {secret}"}
    assert holds(day(api, headers=bound)) == [("other", "T-1", None)]


def test_nobody_has_no_day(api: Api) -> None:
    assert_problem(api.client.get("/api/day"), 401, "unauthenticated")

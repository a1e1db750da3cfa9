"""Labels over HTTP: which are drawn, which are missing, and where their codes lead."""

from __future__ import annotations

import dataclasses
import html
from typing import Any

import pytest
from werkzeug.test import TestResponse

from occupancy import create_app
from occupancy.core.entities import Role
from occupancy.services import Services
from occupancy.web.routes.labels import MAX_TAGS
from tests.support.tablets import HASH, Shop, fields, problem


class LabelShop(Shop):
    """A shop with a supervisor's browser, and three items."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        services.workers.add("7", name="Worker 7", role=Role.SUPERVISOR, pin_hash=HASH)
        self.supervisor, csrf = self.signed_in("7")
        for tag in ("T-1", "T-2", "T-3"):
            body = {"title": f"<Part> {tag}"}
            path = f"/api/boards/main/items/{tag}"
            assert self.supervisor.put(path, json=body, headers=csrf).status_code == 201

    def ask(self, **query: Any) -> TestResponse:
        given = {"stock": "a4-3x8", "tags": "T-1", **query}
        return self.supervisor.get("/api/boards/main/labels", query_string=given)


@pytest.fixture
def shop(services: Services) -> LabelShop:
    return LabelShop(services)


def test_labels_come_in_the_order_of_the_tags_and_name_those_that_are_gone(shop: LabelShop) -> None:
    answer = fields(shop.ask(tags="T-3,T-9,T-1"))
    (page,) = answer["pages"]
    assert page.index("T-3") < page.index("T-1")
    assert answer["missing"] == ["T-9"]
    assert "<Part>" not in page
    assert "<Part> T-3" in html.unescape(page)
    assert answer["board_url"] == "http://localhost/boards/main"


def test_codes_lead_to_the_services_own_address_where_it_is_set(shop: LabelShop) -> None:
    here = shop.services.settings
    shop.services.settings = dataclasses.replace(here, url="https://tablero.example")
    browser = create_app(shop.services).test_client()
    token, _ = shop.services.tokens.create("7")
    answer = browser.get(
        "/api/boards/main/labels?stock=roll-62&tags=T-1,T-2",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert fields(answer)["board_url"] == "https://tablero.example/boards/main"
    assert len(fields(answer)["pages"]) == 2


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"stock": "a3"}, "stock"),
        ({"tags": ""}, "tag"),
        ({"tags": "T-1,a b"}, "tag"),
        ({"tags": ",".join(["T-1"] * (MAX_TAGS + 1))}, "tags"),
        ({"first": "0"}, "first"),
        ({"first": "25"}, "first"),
        ({"stock": "roll-62", "first": "2"}, "first"),
        ({"color": "red"}, "color"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_its_field(
    shop: LabelShop, query: dict[str, str], why: str
) -> None:
    answer = shop.ask(**query)
    assert problem(answer) == (400, "invalid_request")
    assert why in answer.get_json()["detail"]


def test_a_board_that_is_not_there(shop: LabelShop) -> None:
    answer = shop.supervisor.get("/api/boards/nowhere/labels?stock=a4-3x8&tags=T-1")
    assert problem(answer) == (404, "board_not_found")


def test_all_badges_are_listed_for_administrators_without_their_codes(shop: LabelShop) -> None:
    admin, csrf = shop.signed_in("1")
    made = admin.post("/api/workers/93/badges", json={"code": "OCCBCDFGHJK"}, headers=csrf)
    assert fields(made)["svg"].startswith("<svg ")
    listed = admin.get("/api/badges")
    assert [each["worker"] for each in fields(listed)["badges"]] == ["93"]
    assert "OCCBCDFGHJK" not in listed.text
    assert shop.supervisor.get("/api/badges").status_code == 403

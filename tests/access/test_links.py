"""One-time links: each signs in once, and what ends a worker's sessions ends them too."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from occupancy.core.principal import digest_of
from occupancy.services import Services
from tests.support.applications import application
from tests.support.tablets import PIN, Shop, audit_lines_of, fields, problem


@pytest.fixture
def shop(services: Services) -> Shop:
    return Shop(services)


def test_a_link_signs_in_once(shop: Shop) -> None:
    secret = shop.services.links.create("93")
    browser, late = shop.browser(), shop.browser()
    answer = browser.post("/api/session", json={"token": secret})
    assert fields(answer)["worker"]["id"] == "93"
    assert fields(answer)["idle_s"] == shop.services.settings.session_idle_s
    refused = late.post("/api/session", json={"token": secret})
    assert problem(refused) == (401, "unauthenticated")
    another = shop.services.links.create("93")
    left_s: Any = shop.services.store.client.ttl(shop.services.store.keys.link(digest_of(another)))
    assert 3600 - 60 < left_s <= 3600  # it was made within the last minute


def test_a_link_is_no_token(shop: Shop) -> None:
    bearer = {"Authorization": f"Bearer {shop.services.links.create('93')}"}
    assert shop.browser().get("/api/boards", headers=bearer).status_code == 401


@pytest.mark.parametrize("change", ["disabled", "enabled", "pin", "everywhere"])
def test_what_ends_a_workers_sessions_voids_their_links(
    shop: Shop, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = shop.services.links.create("93")
    workers = shop.services.workers
    if change in ("disabled", "enabled"):
        workers.edit("93", disabled=True)
    if change == "enabled":
        workers.edit("93", disabled=False)
    if change == "pin":
        workers.edit("93", pin_hash="another")
    if change == "everywhere":
        workers.sign_out("93")
    browser = shop.browser()
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        answer = browser.post("/api/session", json={"token": secret})
    assert problem(answer) == (401, "unauthenticated")
    assert [(each["event"], each["by"]) for each in audit_lines_of(caplog)] == [
        ("sign_in_refused", "link")
    ]
    assert shop.who(browser) is None
    assert shop.services.store.client.hlen(shop.services.store.keys.sessions) == 0


def test_a_new_name_or_role_leaves_a_link_good(shop: Shop) -> None:
    secret = shop.services.links.create("93")
    shop.services.workers.edit("93", name="Marta", role="supervisor")
    answer = shop.browser().post("/api/session", json={"token": secret})
    assert fields(answer)["worker"]["role"] == "supervisor"


def test_a_link_made_after_the_worker_was_signed_out_everywhere_is_good(shop: Shop) -> None:
    shop.services.workers.sign_out("93")
    secret = shop.services.links.create("93")
    assert shop.browser().post("/api/session", json={"token": secret}).status_code == 200


def test_the_first_link_makes_an_administrator_and_only_while_there_is_no_worker(
    services: Services,
) -> None:
    app = application(services)
    first, second = services.links.create(None), services.links.create(None)
    browser = app.test_client()
    answer = browser.post("/api/session", json={"token": first})
    assert fields(answer)["worker"] == {
        "id": "admin", "name": "Administrator", "role": "admin",
    }  # fmt: skip
    assert app.test_client().post("/api/session", json={"token": second}).status_code == 401
    csrf = {"X-CSRF-Token": fields(answer)["csrf_token"]}
    assert browser.put("/api/workers/admin", json={"pin": PIN}, headers=csrf).status_code == 200
    again = app.test_client().post("/api/session", json={"worker": "admin", "pin": PIN})
    assert again.status_code == 200

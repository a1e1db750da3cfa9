"""One's own PIN: changed by who knows the present one, not by who merely stands there."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy.access.login_throttle import FREE_OF_PAIR
from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from occupancy.services import Services
from tests.support.tablets import HASH, PIN, Shop, audit_lines_of, fields, problem

NEW = "208642"
Csrf = dict[str, str]


@pytest.fixture
def shop(valkey_services: Services) -> Shop:
    return Shop(valkey_services)


def change(tablet: FlaskClient, csrf: Csrf, **body: Any) -> TestResponse:
    return tablet.put("/api/session/pin", json=body, headers=csrf)


def let_in(shop: Shop, secret: str) -> tuple[FlaskClient, Csrf]:
    """A browser that has opened a link."""
    browser = shop.browser()
    answer = browser.post("/api/session", json={"token": secret})
    return browser, {"X-CSRF-Token": fields(answer)["csrf_token"]}


def test_who_knows_the_present_pin_changes_it_and_stays_signed_in(services: Services) -> None:
    shop = Shop(services)
    tablet, csrf = shop.signed_in()
    answer = change(tablet, csrf, pin=PIN, new_pin=NEW)
    assert answer.status_code == 200, answer.text
    assert fields(answer)["worker"]["id"] == "93"
    assert shop.who(tablet) == "93"
    assert shop.sign_in(shop.browser()).status_code == 401
    assert shop.sign_in(shop.browser(), pin=NEW).status_code == 200


def test_the_workers_other_sessions_end_and_the_cookie_of_before_too(shop: Shop) -> None:
    elsewhere, _ = shop.signed_in()
    colleague, _ = shop.signed_in("94")
    tablet, csrf = shop.signed_in()
    before = tablet.get_cookie(shop.services.settings.cookie_name)
    answer = change(tablet, csrf, pin=PIN, new_pin=NEW)
    after = tablet.get_cookie(shop.services.settings.cookie_name)
    assert before is not None
    assert after is not None
    assert before.value != after.value
    assert fields(answer)["csrf_token"] != csrf["X-CSRF-Token"]
    stolen = shop.browser()
    stolen.set_cookie(shop.services.settings.cookie_name, before.value)
    assert [shop.who(each) for each in (elsewhere, stolen, colleague)] == [None, None, "94"]


def test_a_wrong_present_pin_changes_nothing_and_leaves_them_signed_in(shop: Shop) -> None:
    tablet, csrf = shop.signed_in()
    assert problem(change(tablet, csrf, pin="999111", new_pin=NEW)) == (403, "forbidden")
    assert problem(change(tablet, csrf, new_pin=NEW)) == (400, "invalid_request")
    assert shop.who(tablet) == "93"
    assert shop.services.workers.get("93").pin_hash == HASH


def test_guessing_here_is_as_slow_as_at_a_sign_in_and_counted_with_it(shop: Shop) -> None:
    tablet, csrf = shop.signed_in()
    assert shop.sign_in(shop.browser(), pin="999111").status_code == 401
    guesses = [change(tablet, csrf, pin="999111", new_pin=NEW) for _ in range(FREE_OF_PAIR)]
    assert [each.status_code for each in guesses] == [403] * (FREE_OF_PAIR - 1) + [429]
    assert problem(change(tablet, csrf, pin=PIN, new_pin=NEW)) == (429, "rate_limited")
    assert int(guesses[-1].headers["Retry-After"]) > 0


@pytest.mark.parametrize("new", ["123", "1234", "short", "a\nbcdefgh", ""])
def test_a_new_pin_that_is_not_allowed_changes_nothing(shop: Shop, new: str) -> None:
    tablet, csrf = shop.signed_in()
    assert problem(change(tablet, csrf, pin=PIN, new_pin=new)) == (400, "invalid_request")
    assert shop.services.workers.get("93").pin_hash == HASH
    assert shop.who(tablet) == "93"


def test_the_first_administrator_sets_a_pin_without_having_one(shop: Shop) -> None:
    shop.services.workers.add("new", name="New", role=Role.ADMIN)
    browser, csrf = let_in(shop, shop.services.links.create("new"))
    answer = change(browser, csrf, new_pin=NEW)
    assert answer.status_code == 200, answer.text
    assert shop.sign_in(shop.browser(), "new", NEW).status_code == 200
    csrf = {"X-CSRF-Token": fields(answer)["csrf_token"]}
    assert problem(change(browser, csrf, new_pin="730518"))[0] == 400, "only the first time"


@pytest.mark.parametrize("worker", ["93", "wall"])
def test_whoever_stands_at_a_wallboard_cannot_become_its_worker(shop: Shop, worker: str) -> None:
    shop.services.workers.add("wall", name="Wall", role=Role.WORKER)  # and without a PIN
    secret, _ = shop.services.tokens.create(worker, role=Role.OBSERVER)
    wall, csrf = let_in(shop, secret)
    before = shop.services.workers.get(worker)
    for body in ({"new_pin": NEW}, {"pin": PIN, "new_pin": NEW}):
        assert problem(change(wall, csrf, **body)) == (400, "invalid_request")
        bearer = {"Authorization": f"Bearer {secret}"}
        assert problem(change(shop.browser(), bearer, **body)) == (400, "invalid_request")
    assert shop.services.workers.get(worker) == before


def test_a_pin_that_an_administrator_has_set_meanwhile_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    tablet, csrf = shop.signed_in()
    of_the_administrator = hash_pin("730518")

    def hashed_meanwhile(pin: str, worker_id: str) -> str:
        shop.services.workers.edit(worker_id, pin_hash=of_the_administrator)
        return hash_pin(pin)

    monkeypatch.setattr(shop.services.pin_hasher, "hash", hashed_meanwhile)
    assert problem(change(tablet, csrf, pin=PIN, new_pin=NEW)) == (401, "unauthenticated")
    assert shop.services.workers.get("93").pin_hash == of_the_administrator


@pytest.mark.parametrize("change_by", ["disabled", "stamp"])
def test_who_was_remembered_as_let_in_and_is_so_no_more_changes_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, change_by: str
) -> None:
    """The announcement to this process is lost, and so it remembers the session for a while."""
    tablet, csrf = shop.signed_in()
    shop.who(tablet)
    monkeypatch.setattr(shop.services.authenticator, "forget", lambda: None)
    monkeypatch.setattr(shop.services.workers, "_on_changed", lambda _: None)
    if change_by == "disabled":
        shop.services.workers.edit("93", disabled=True)
    else:
        shop.services.workers.sign_out("93")
    assert tablet.get("/api/session").status_code == 200, "it is remembered"
    assert problem(change(tablet, csrf, pin=PIN, new_pin=NEW)) == (401, "unauthenticated")
    assert shop.services.workers.get("93").pin_hash == HASH


def test_the_trail_tells_of_it_without_the_pin(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    tablet, csrf = shop.signed_in()
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        change(tablet, csrf, pin="730519", new_pin=NEW)
        change(tablet, csrf, pin=PIN, new_pin=NEW)
    told = [(each["event"], each.get("code"), each["worker"]) for each in audit_lines_of(caplog)]
    assert told == [
        ("denied", "forbidden", "93"), ("pin_changed", None, "93"), ("signed_in", None, "93"),
    ]  # fmt: skip
    assert not any(pin in caplog.text for pin in (f'"{PIN}"', NEW, "730519"))

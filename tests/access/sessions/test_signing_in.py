"""Signing in at a browser: the cookie, the refusals, and what is counted and logged."""

from __future__ import annotations

import dataclasses
import logging
import re
import secrets
from typing import Any

import pytest
from werkzeug.security import check_password_hash

from occupancy.access import pin_queue as pin_queue_module
from occupancy.access import pins as pins_module
from occupancy.access.login_throttle import FREE_OF_PAIR
from occupancy.boards.commands import Command
from occupancy.core.entities import Role
from occupancy.core.principal import digest_of
from occupancy.services import Services
from tests.support.stored import stored_text
from tests.support.tablets import HASH, PIN, Shop, audit_lines_of, fields, problem

# Signing in


def test_signing_in_sets_a_cookie_that_scripts_and_foreign_pages_cannot_use(shop: Shop) -> None:
    answer = shop.sign_in(shop.browser())
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    attributes = {part.strip().partition("=")[0] for part in rest.split(";")[1:]}
    assert name == shop.services.settings.cookie_name
    assert {"HttpOnly", "Path", "SameSite", "Max-Age"} <= attributes
    assert "SameSite=Lax" in rest
    assert "Domain" not in attributes
    assert "Secure" not in attributes
    assert fields(answer)["worker"] == {"id": "93", "name": "Worker 93", "role": "worker"}


def test_under_https_the_cookie_is_bound_to_host_and_https(shop: Shop) -> None:
    browser = shop.browser()
    answer = browser.post(
        "/api/session", json={"worker": "93", "pin": PIN}, base_url="https://board.test"
    )
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"__Host-{shop.services.settings.cookie_name}=")
    assert "; Secure" in cookie
    assert "; Path=/" in cookie
    assert browser.get("/api/session", base_url="https://board.test").status_code == 200
    assert browser.get("/api/session").status_code == 401


def test_two_deployments_on_one_host_have_cookies_of_their_own(
    shop: Shop, valkey_services: Services
) -> None:
    """Cookies do not know ports: one jar goes to both."""
    settings = dataclasses.replace(valkey_services.settings, prefix=f"t-{secrets.token_hex(6)}")
    other = Services(settings, valkey_services.topology)
    elsewhere = Shop(other)
    browser, _ = shop.signed_in("93")
    jar = browser.get_cookie(shop.services.settings.cookie_name)
    assert jar is not None
    also = elsewhere.browser()
    also.set_cookie(jar.key, jar.value)
    assert elsewhere.sign_in(also, "94").status_code == 200
    assert elsewhere.who(also) == "94"
    theirs = also.get_cookie(settings.cookie_name)
    assert theirs is not None
    browser.set_cookie(theirs.key, theirs.value)
    assert shop.who(browser) == "93"


def test_a_cookie_of_before_still_lets_in_and_goes_with_the_sign_out(shop: Shop) -> None:
    browser, csrf = shop.signed_in()
    cookie = browser.get_cookie(shop.services.settings.cookie_name)
    assert cookie is not None
    old = shop.browser()
    old.set_cookie("occupancy", cookie.value)
    assert shop.who(old) == "93"
    assert old.delete("/api/session", headers=csrf).status_code == 204
    assert old.get_cookie("occupancy") is None
    assert shop.who(browser) is None
    foreign = shop.browser()
    foreign.set_cookie("occupancy", "of-another-deployment")
    assert shop.sign_in(foreign).status_code == 200
    assert shop.who(foreign) == "93"
    kept = foreign.get_cookie("occupancy")
    assert kept is not None  # else whoever is signed in there would be signed out
    assert kept.value == "of-another-deployment"
    csrf = {"X-CSRF-Token": fields(foreign.get("/api/session"))["csrf_token"]}
    assert foreign.delete("/api/session", headers=csrf).status_code == 204
    assert foreign.get_cookie("occupancy") is not None


def test_a_cookie_of_before_goes_with_the_next_sign_in(shop: Shop) -> None:
    browser, _ = shop.signed_in()
    cookie = browser.get_cookie(shop.services.settings.cookie_name)
    assert cookie is not None
    old = shop.browser()
    old.set_cookie("occupancy", cookie.value)
    assert shop.sign_in(old, "94").status_code == 200
    assert old.get_cookie("occupancy") is None
    assert shop.who(old) == "94"
    assert shop.who(browser) is None


def test_the_secrets_are_stored_nowhere(shop: Shop) -> None:
    browser, _ = shop.signed_in()
    cookie = browser.get_cookie(shop.services.settings.cookie_name)
    assert cookie is not None
    stored = stored_text(shop.services.store.client, f"{shop.services.settings.prefix}:*")
    assert len(cookie.value) >= 43  # 256 bits
    assert {digest_of(cookie.value) in stored, HASH in stored} == {True}  # it is all read
    assert cookie.value not in stored
    # A moment or a random hash may happen to have it within.
    assert not re.search(rf"(?<![0-9a-f]){PIN}(?![0-9a-f])", stored.replace(HASH, ""))


def test_whoever_is_signed_in_may_work(shop: Shop) -> None:
    browser, csrf = shop.signed_in("1")
    assert browser.put("/api/boards/main/items/T-1", json={}, headers=csrf).status_code == 201
    taken = browser.post("/api/boards/main/items/T-1/take", headers=csrf)
    assert fields(taken)["item"]["holder"]["id"] == "1"
    history = browser.get("/api/boards/main/items/T-1/history")
    assert {each["means"] for each in fields(history)["history"]} == {"session"}


def test_every_event_says_by_which_means_its_actor_was_let_in(shop: Shop) -> None:
    services = shop.services
    secret, _ = services.tokens.create("1")
    token = {"Authorization": f"Bearer {secret}"}
    browser, csrf = shop.signed_in("93")
    anybody = shop.browser()
    anybody.put("/api/boards/main/items/T-1", json={}, headers=token)
    browser.post("/api/boards/main/items/T-1/take", headers=csrf)
    from occupancy.core.entities import COMMAND_LINE
    from occupancy.core.transitions import TRANSITIONS

    services.store.commands.execute(
        Command("main", TRANSITIONS["block"], ["T-1"], actor=COMMAND_LINE, reason='"x"')
    )
    history = fields(anybody.get("/api/boards/main/items/T-1/history", headers=token))["history"]
    assert [(each["actor"]["id"], each["means"]) for each in history] == [
        ("cli", "cli"), ("93", "session"), ("1", "token"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [{}, {"worker": "93"}, {"pin": PIN}, {"worker": "93", "pin": 4711}, {"token": ""},
     {"worker": "93", "pin": PIN, "token": "x"}, {"worker": "a b", "pin": PIN},
     {"worker": "93", "pin": "x" * 801}, {"worker": "93", "pin": "4711\n"}, [], "x"],
)  # fmt: skip
def test_a_sign_in_that_is_not_well_formed_is_refused(valkey_shop: Shop, body: Any) -> None:
    answer = valkey_shop.browser().post("/api/session", json=body)
    assert problem(answer) == (400, "invalid_request")


def test_unknown_disabled_pinless_and_wrong_are_answered_alike_after_the_same_work(
    valkey_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = valkey_shop
    real = pins_module.hash_pin(PIN)
    shop.services.workers.edit("93", pin_hash=real)
    shop.services.workers.add("55", name="No PIN", role=Role.WORKER)
    shop.services.workers.add("56", name="Out", role=Role.WORKER, pin_hash=real, disabled=True)
    checked: list[str] = []
    check = check_password_hash

    def counting(pin_hash: str, pin: str) -> bool:
        checked.append(pin_hash.partition("$")[0])  # the method with its parameters
        return check(pin_hash, pin)

    monkeypatch.setattr(pins_module, "check_password_hash", counting)
    answers = [
        shop.sign_in(shop.browser(), worker, pin)
        for worker, pin in (("93", "0000"), ("nobody", PIN), ("55", PIN), ("56", PIN))
    ]
    assert {(each.status_code, each.data) for each in answers} == {(401, answers[0].data)}
    assert len(checked) == 4
    assert len(set(checked)) == 1


def test_a_pin_that_was_changed_while_it_was_checked_lets_nobody_in(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed_meanwhile(pin: str, pin_hash: str | None, **_: bool) -> bool:
        shop.services.workers.edit("93", pin_hash="another")
        return True

    monkeypatch.setattr(shop.services.pin_hasher, "is_right", changed_meanwhile)
    browser = shop.browser()
    assert problem(shop.sign_in(browser)) == (401, "unauthenticated")
    assert shop.who(browser) is None


def test_no_endless_queue_of_pins_forms_and_who_finds_it_full_has_tried_nothing(
    valkey_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = valkey_shop.browser()
    with monkeypatch.context() as full:
        full.setattr(pin_queue_module, "MAX_UNKNOWN", 0)
        for _ in range(FREE_OF_PAIR + 2):
            answer = valkey_shop.sign_in(browser)
            assert problem(answer) == (429, "rate_limited")
            assert int(answer.headers["Retry-After"]) > 0
    for _ in range(FREE_OF_PAIR - 1):
        assert problem(valkey_shop.sign_in(browser, pin="0000"))[0] == 401
    assert valkey_shop.sign_in(browser).status_code == 200


# Counted and logged


def test_sign_ins_and_refusals_are_counted_and_leave_one_line_without_secrets(
    valkey_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop = valkey_shop
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        browser, csrf = shop.signed_in("93")
        shop.sign_in(shop.browser(), "93", "000111")
        shop.sign_in(shop.browser(), "998877", "000111")  # perhaps somebody's PIN
        shop.browser().post("/api/session", json={"token": "occ_000111"})
        browser.get("/api/workers")
        shop.browser().get("/api/boards")
        browser.delete("/api/session", headers=csrf)
    lines = audit_lines_of(caplog)
    assert [(each["event"], each.get("code"), each.get("worker")) for each in lines] == [
        ("signed_in", None, "93"),
        ("sign_in_refused", "unauthenticated", "93"),
        ("sign_in_refused", "unauthenticated", None),
        ("sign_in_refused", "unauthenticated", None),
        ("denied", "forbidden", "93"),
        ("denied", "unauthenticated", None),
        ("signed_out", None, "93"),
    ]
    text = caplog.text
    assert not any(each in text for each in (PIN, "000111", "998877", csrf["X-CSRF-Token"]))
    assert all(each["at"].endswith("Z") for each in lines)
    exposed = shop.services.metrics.exposition().decode()
    assert 'occupancy_sign_ins_total{result="ok"} 1.0' in exposed
    assert 'occupancy_sign_ins_total{result="unauthenticated"} 3.0' in exposed
    assert 'occupancy_denials_total{code="forbidden"} 1.0' in exposed

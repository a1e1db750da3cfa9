"""Signing in over HTTP, as the one who guesses sees it, and the page that does it."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient

from occupancy.access import pins, read_turns
from occupancy.access.login_throttle import (
    ADDRESS_ATTEMPTS,
    FREE_OF_PAIR,
    FREE_OF_WORKER,
    MAX_PIN_WAIT_S,
)
from occupancy.access.read_turns import Share
from occupancy.core.principal import LINK_PREFIX, TOKEN_PREFIX
from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.support.applications import application
from tests.support.tablets import HASH, PIN, Shop, audit_lines_of, fields, problem

HOME, AWAY, FAR = "10.0.0.1", "203.0.113.9", "198.51.100.7"
WRONG = "000111"


@pytest.fixture
def shop(services: Services) -> Shop:
    return Shop(services)


@pytest.fixture
def valkey_shop(valkey_services: Services) -> Shop:
    return Shop(valkey_services)


def statuses(shop: Shop, browser: FlaskClient, times: int, worker: str = "93") -> list[int]:
    """What wrong PINs are answered with, one after the other."""
    return [shop.sign_in(browser, worker, WRONG).status_code for _ in range(times)]


# Guessing


def test_after_some_wrong_pins_the_right_one_has_to_wait_too(shop: Shop) -> None:
    browser = shop.browser(AWAY)
    assert statuses(shop, browser, FREE_OF_PAIR) == [401] * FREE_OF_PAIR
    answer = shop.sign_in(browser)
    assert problem(answer) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "2"
    assert fields(answer)["retry_after"] == 2
    assert "Set-Cookie" not in answer.headers


def test_after_the_wait_the_right_pin_signs_in(shop: Shop) -> None:
    browser = shop.browser(AWAY)
    assert statuses(shop, browser, FREE_OF_PAIR + 1)[-1] == 429
    keys, client = shop.services.store.keys, shop.services.store.client
    client.hincrby(keys.attempts("93", AWAY)[0], "until_ms", -2000)
    assert shop.sign_in(browser).status_code == 200


def test_guesses_at_the_same_moment_are_no_more_than_one_after_the_other(shop: Shop) -> None:
    guessing = [
        gevent.spawn(shop.sign_in, shop.browser(AWAY), "93", f"{number:04d}")
        for number in range(20)
    ]
    gevent.joinall(guessing, raise_error=True)
    answered = sorted(each.value.status_code for each in guessing)
    assert answered == [401] * FREE_OF_PAIR + [429] * (20 - FREE_OF_PAIR)


def test_the_workers_own_tablet_signs_in_while_an_unknown_address_guesses(shop: Shop) -> None:
    assert shop.sign_in(shop.browser(HOME)).status_code == 200
    for number in range(FREE_OF_WORKER):
        shop.services.sign_in._login_throttle.count_attempt("93", f"203.0.113.{number}")
    stranger = shop.sign_in(shop.browser(FAR))
    assert problem(stranger) == (429, "rate_limited")
    assert fields(stranger)["retry_after"] <= MAX_PIN_WAIT_S
    assert shop.sign_in(shop.browser(HOME)).status_code == 200
    assert shop.sign_in(shop.browser(FAR), "94").status_code == 200


def test_an_address_that_guesses_for_many_workers_is_stopped(shop: Shop) -> None:
    for number in range(ADDRESS_ATTEMPTS):
        shop.services.sign_in._login_throttle.count_attempt(f"w{number}", AWAY)
    assert problem(shop.sign_in(shop.browser(AWAY))) == (429, "rate_limited")
    assert shop.sign_in(shop.browser(HOME)).status_code == 200


def test_signing_in_as_oneself_between_the_guesses_does_not_help(shop: Shop) -> None:
    mallory, victim = "94", "93"
    answered = []
    for _ in range(FREE_OF_PAIR + 3):
        assert shop.sign_in(shop.browser(AWAY), mallory).status_code == 200
        answered += statuses(shop, shop.browser(AWAY), 1, victim)
    assert answered == [401] * FREE_OF_PAIR + [429] * 3


def test_a_flood_from_unknown_addresses_keeps_nobody_out_at_a_known_address(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = shop.browser(HOME)
    assert shop.sign_in(wall, "93", PIN).status_code == 200
    assert wall.get("/api/boards").status_code == 200
    assert wall.get("/api/boards").status_code == 200  # known by now
    stood: list[Share] = []
    monkeypatch.setattr(read_turns, "MAX_WAITING", 0)  # so many wait as may
    monkeypatch.setattr(shop.services.read_turns, "_may_begin", lambda share: share.is_known)
    monkeypatch.setattr(
        shop.services.read_turns, "_wait", lambda share, is_next: stood.append(share)
    )

    def answers(address: str) -> list[int]:
        browser = shop.browser(address)
        return [browser.get("/sign-in").status_code, shop.sign_in(browser, "93", PIN).status_code]

    assert answers(FAR) == [429, 429]
    assert answers(HOME) == [200, 200]
    assert len(stood) == 1  # the page's read, in line with the strangers; the sign-in was not


def test_unknown_workers_are_refused_and_made_to_wait_in_the_same_words(
    valkey_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A real hash may take a busy machine longer than the wait lasts.
    monkeypatch.setattr(pins, "_nobodys_hash", lambda: HASH)

    def told(worker: str, address: str) -> list[tuple[int, bytes]]:
        browser = valkey_shop.browser(address)
        answers = [valkey_shop.sign_in(browser, worker, WRONG) for _ in range(FREE_OF_PAIR + 1)]
        return [(each.status_code, each.data) for each in answers]

    known = told("93", AWAY)
    assert [status for status, _ in known] == [401] * FREE_OF_PAIR + [429]
    assert told("nobody", FAR) == known


def test_an_address_that_a_request_claims_to_have_gives_no_new_tries(valkey_shop: Shop) -> None:
    browser = valkey_shop.browser(AWAY)
    answered = []
    for number in range(FREE_OF_PAIR + 2):
        browser.environ_base["HTTP_X_FORWARDED_FOR"] = f"10.9.8.{number}"
        answered += statuses(valkey_shop, browser, 1)
    assert answered == [401] * FREE_OF_PAIR + [429] * 2


@pytest.fixture
def proxied(valkey_services: Services) -> Iterator[Shop]:
    """A shop behind one proxy, which appends to X-Forwarded-For."""
    settings = dataclasses.replace(valkey_services.settings, proxies=1)
    services = Services(settings, valkey_services.topology)
    yield Shop(services)
    services.revocation.stop()


def test_behind_a_proxy_only_the_proxys_address_counts(proxied: Shop) -> None:
    browser = proxied.browser("127.0.0.1")

    def answered(*forwarded: str) -> list[int]:
        found = []
        for each in forwarded:
            browser.environ_base["HTTP_X_FORWARDED_FOR"] = each
            found += statuses(proxied, browser, 1)
        return found

    claimed = [f"10.9.8.{number}, {AWAY}" for number in range(FREE_OF_PAIR + 1)]
    assert answered(*claimed) == [401] * FREE_OF_PAIR + [429]
    assert answered(FAR) == [401]


def test_without_redis_no_pin_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    services = Services.for_web(Settings(redis_url="redis://127.0.0.1:1", pool_wait_s=0.1))
    tried: list[object] = []
    monkeypatch.setattr(services.pin_hasher, "is_right", lambda *args: tried.append(args))
    browser = application(services).test_client()
    for body in ({"worker": "93", "pin": PIN}, {"token": f"{LINK_PREFIX}x"}, {"token": "occ_x"}):
        answer = browser.post("/api/session", json=body)
        assert problem(answer) == (503, "store_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert tried == []
    services.close()


def test_a_sign_in_that_could_not_be_stored_keeps_the_earlier_session(
    valkey_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check of the PIN and the session the worker may be changed by others."""
    tablet, _ = valkey_shop.signed_in("93")
    run: Any = valkey_shop.services.sessions._sign_in.run

    def after_a_change(keys: Any, args: Any) -> Any:
        valkey_shop.services.workers.edit("94", name="Another")
        return run(keys, args)

    monkeypatch.setattr(valkey_shop.services.sessions._sign_in, "run", after_a_change)
    assert problem(valkey_shop.sign_in(tablet, "94")) == (401, "unauthenticated")
    assert valkey_shop.who(tablet) == "93"


# Said and counted


def test_being_made_to_wait_is_counted_and_in_the_trail(
    valkey_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        statuses(valkey_shop, valkey_shop.browser(AWAY), FREE_OF_PAIR + 2)
    lines = [
        (each["event"], each["by"], each["code"], each["worker"], each["address"])
        for each in audit_lines_of(caplog)
    ]
    refused = ("sign_in_refused", "pin")
    assert lines == [
        *[(*refused, "unauthenticated", "93", AWAY)] * FREE_OF_PAIR,
        (*refused, "rate_limited", "93", AWAY),  # the second is only counted
    ]
    exposed = valkey_shop.services.metrics.exposition().decode()
    assert f'occupancy_sign_ins_total{{result="unauthenticated"}} {FREE_OF_PAIR}.0' in exposed
    assert 'occupancy_sign_ins_total{result="rate_limited"} 2.0' in exposed
    assert 'occupancy_denials_total{code="rate_limited"} 2.0' in exposed


@pytest.mark.parametrize(
    "data",
    [
        '{"worker": "93", "pin": "864213\\n"}',
        '{"worker": "93", "pin": 864213}',
        '{"worker": "93", "pin": "864213", "x": 1}',
        '{"worker": "93", "pin": "864213"',
        '{"worker": "93", "pin": "864213"} ',
        '{"worker": "93", "pin": "864213", "token": "864213"}',
        '{"worker": "864213 ", "pin": "864213"}',
        '{"token": "864213"}',
    ],
)
def test_typed_secrets_are_neither_repeated_nor_logged(
    valkey_shop: Shop, data: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = valkey_shop.browser().post(
            "/api/session", data=data, content_type="application/json"
        )
    assert answer.status_code in (400, 401)
    assert "864213" not in answer.text
    assert "864213" not in caplog.text


def test_a_foreign_pages_sign_in_is_counted_as_a_denial(
    valkey_shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"worker": "93", "pin": PIN}
    foreign = {"Origin": "https://evil.example"}
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        valkey_shop.browser().post("/api/session", json=body, headers=foreign)
    assert [(each["event"], each["code"]) for each in audit_lines_of(caplog)] == [
        ("denied", "csrf")
    ]
    keys, client = valkey_shop.services.store.keys, valkey_shop.services.store.client
    assert client.exists(*keys.attempts("93", HOME)) == 0


# The page


def test_the_page_loads_its_own_script_and_style_and_has_none_inline(valkey_shop: Shop) -> None:
    browser = valkey_shop.browser()
    page = browser.get("/sign-in")
    assert page.status_code == 200
    assert page.content_type == "text/html; charset=utf-8"
    assert re.findall(r"<script[^>]*>([^<]*)", page.text) == [""]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
    loaded: list[str] = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    kinds = {}
    for path in loaded:
        with browser.get(path) as found:
            assert found.status_code == 200, path
            kinds[re.sub("^/static/[^/]+", "", path)] = found.content_type.partition(";")[0]
    assert kinds == {
        "/icon.svg": "image/svg+xml",
        "/icon-full-180.png": "image/png",
        "/css/app.css": "text/css",
        "/css/offline.css": "text/css",
        "/i18n/en.json": "application/json",
        "/js/sign_in.js": "text/javascript",
    }
    unchanged = browser.get("/sign-in", headers={"If-None-Match": page.headers["ETag"]})
    assert unchanged.status_code == 304


def test_the_page_speaks_of_links_and_elements_that_there_are(valkey_shop: Shop) -> None:
    browser = valkey_shop.browser()
    page = browser.get("/sign-in").text
    path = re.findall(r'src="(/static/[^"]+/js/sign_in.js)"', page)
    with browser.get(*path) as found:
        script = found.get_data(as_text=True)
    wanted = set(re.findall(r"byId\('([^']+)'\)", script))
    assert wanted
    assert wanted <= set(re.findall(r'id="([^"]+)"', page))
    assert f"'{LINK_PREFIX}'" in script
    assert not LINK_PREFIX.startswith(TOKEN_PREFIX)

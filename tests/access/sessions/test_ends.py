"""Every way in which a session ends."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import pytest

from occupancy.access import authenticator as access_module
from occupancy.core.principal import Credential
from occupancy.services import Services
from tests.support.tablets import Shop, fields


def test_a_session_ends_when_nobody_uses_it(shop: Shop) -> None:
    browser, _ = shop.signed_in()
    now_s, idle_s = shop.now_s(), shop.services.settings.session_idle_s
    shop.rewrite(browser, used_s=now_s - idle_s + 5)
    assert shop.who(browser) == "93"
    shop.rewrite(browser, used_s=now_s - idle_s)
    assert shop.who(browser) is None


def test_a_use_keeps_it_and_what_the_page_does_by_itself_does_not(shop: Shop) -> None:
    browser, csrf = shop.signed_in()
    digest, _ = shop.stored(browser)
    client, keys = shop.services.store.client, shop.services.store.keys
    long_ago_s = shop.now_s() - 1000

    def used_s(*request: Any, **options: Any) -> int:
        shop.rewrite(browser, used_s=long_ago_s)
        with browser.open(*request, buffered=False, **options) as answer:
            assert answer.status_code in (200, 201)
        found: Any = client.hget(keys.uses, digest)
        return int(found)

    assert used_s("/api/session") == long_ago_s
    assert used_s("/api/boards/main/events", method="HEAD") == long_ago_s
    assert used_s("/api/tickets", method="POST", headers=csrf) == long_ago_s
    assert used_s("/api/boards") > long_ago_s


def test_a_use_right_after_the_page_has_asked_by_itself_is_noted_too(shop: Shop) -> None:
    browser, _ = shop.signed_in()
    digest, _ = shop.stored(browser)
    shop.rewrite(browser, used_s=shop.now_s() - 1000)
    browser.get("/api/session")  # remembered for two seconds
    browser.get("/api/boards")
    found: Any = shop.services.store.client.hget(shop.services.store.keys.uses, digest)
    assert int(found) > shop.now_s() - 100


def test_a_session_ends_after_its_longest_time_however_much_it_is_used(shop: Shop) -> None:
    browser, _ = shop.signed_in()
    _, session = shop.stored(browser)
    assert session.ends_s - session.created_s == shop.services.settings.session_max_s
    assert session.idle_s == shop.services.settings.session_idle_s
    shop.rewrite(browser, ends_s=shop.now_s(), used_s=shop.now_s())
    assert shop.who(browser) is None


@pytest.fixture
def hasty_shop(valkey_services: Services) -> Iterator[Shop]:
    """One with other settings than the defaults."""
    settings = dataclasses.replace(valkey_services.settings, session_idle_s=60, session_max_s=90)
    hasty = Services(settings, valkey_services.topology)
    yield Shop(hasty)
    hasty.revocation.stop()


def test_both_limits_of_a_session_are_settings(hasty_shop: Shop) -> None:
    tablet = hasty_shop.browser()
    answer = hasty_shop.sign_in(tablet)
    assert fields(answer)["idle_s"] == 60
    assert "Max-Age=90;" in answer.headers["Set-Cookie"]
    now_s = hasty_shop.now_s()
    hasty_shop.rewrite(tablet, used_s=now_s - 50)
    assert hasty_shop.who(tablet) == "93"
    hasty_shop.rewrite(tablet, used_s=now_s - 60)
    assert hasty_shop.who(tablet) is None


def test_what_is_remembered_of_a_session_does_not_outlive_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_module, "_REMEMBERED_S", 1000.0)
    browser, _ = shop.signed_in()
    digest, _ = shop.stored(browser)
    credential = Credential("session", digest)
    shop.rewrite(browser, ends_s=shop.now_s() + 30, used_s=shop.now_s())
    shop.services.authenticator.identify(credential)
    remembered_until, _, _ = shop.services.authenticator._remembered[credential]
    assert 15 < remembered_until - time.monotonic() <= 30


@pytest.mark.parametrize("change", ["disabled", "pin", "everywhere"])
def test_sessions_end_with_what_their_worker_is(shop: Shop, change: str) -> None:
    browser, _ = shop.signed_in()
    workers = shop.services.workers
    if change == "disabled":
        workers.edit("93", disabled=True)
        assert shop.who(browser) is None
        workers.edit("93", disabled=False)  # and does not bring them back
    elif change == "pin":
        workers.edit("93", pin_hash="another")
    else:
        workers.sign_out("93")
    assert shop.who(browser) is None


def test_a_new_name_or_role_ends_nothing_and_counts_at_once(shop: Shop) -> None:
    browser, _ = shop.signed_in()
    shop.services.workers.edit("93", name="Marta", role="observer")
    assert fields(browser.get("/api/session"))["worker"] == {
        "id": "93", "name": "Marta", "role": "observer",
    }  # fmt: skip

"""Sessions: switching to another worker, and signing out."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.core.errors import Unauthenticated
from occupancy.core.principal import Credential
from tests.support.tablets import Shop, fields, problem


def test_switching_ends_the_session_before_in_the_same_step(shop: Shop) -> None:
    tablet, _ = shop.signed_in("93")
    digest, _ = shop.stored(tablet)
    assert fields(shop.sign_in(tablet, "94"))["worker"]["id"] == "94"
    assert shop.who(tablet) == "94"
    with pytest.raises(Unauthenticated):
        shop.services.authenticator.identify(Credential("session", digest))


def test_a_wrong_pin_at_the_switch_leaves_who_was_signed_in(shop: Shop) -> None:
    tablet, _ = shop.signed_in("93")
    assert problem(shop.sign_in(tablet, "94", "0000")) == (401, "unauthenticated")
    assert shop.who(tablet) == "93"


def test_a_session_that_cannot_be_read_is_replaced_like_any_other(shop: Shop) -> None:
    browser, _ = shop.signed_in("93")
    client: Any = shop.services.store.client
    sessions = shop.services.store.keys.sessions
    (digest,) = client.hkeys(sessions)
    client.hset(sessions, digest, "not json")
    assert shop.sign_in(browser, "94").status_code == 200
    assert shop.who(browser) == "94"
    assert not client.hexists(sessions, digest)


def test_two_sessions_on_one_tablet_do_not_disturb_each_other(shop: Shop) -> None:
    one, one_csrf = shop.signed_in("93")
    other, other_csrf = shop.signed_in("94")
    again, _ = shop.signed_in("93")
    assert problem(one.delete("/api/session", headers=other_csrf)) == (403, "csrf")
    assert one.delete("/api/session", headers=one_csrf).status_code == 204
    assert [shop.who(each) for each in (one, other, again)] == [None, "94", "93"]


def test_signing_out_ends_the_session_and_clears_the_cookie(shop: Shop) -> None:
    browser, csrf = shop.signed_in()
    digest, _ = shop.stored(browser)
    answer = browser.delete("/api/session", headers=csrf)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert browser.get_cookie(shop.services.settings.cookie_name) is None
    with pytest.raises(Unauthenticated):
        shop.services.authenticator.identify(Credential("session", digest))


def test_a_token_cannot_be_signed_out(shop: Shop) -> None:
    secret, _ = shop.services.tokens.create("93")
    token = {"Authorization": f"Bearer {secret}"}
    assert problem(shop.browser().delete("/api/session", headers=token)) == (400, "invalid_request")

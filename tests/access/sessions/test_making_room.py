"""Sessions have a bound: which make room for others, and how fast a token opens them."""

from __future__ import annotations

import pytest

from occupancy.access import sessions as sessions_module
from occupancy.core.entities import Role
from tests.support.tablets import Shop, fields, problem


def test_ended_sessions_are_swept_away_by_the_next_sign_in(shop: Shop) -> None:
    browser, _ = shop.signed_in("93")
    digest, _ = shop.stored(browser)
    client, keys = shop.services.store.client, shop.services.store.keys
    client.zadd(keys.session_ends, {digest: 1})
    shop.signed_in("94")
    assert client.hlen(keys.sessions) == client.zcard(keys.session_ends) == 1


def test_the_session_that_was_not_used_for_longest_makes_room(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 3)
    browsers = [shop.signed_in("93")[0] for _ in range(3)]
    now_s = shop.now_s()
    for browser, ago_s in zip(browsers, (30, 90, 60), strict=True):
        shop.rewrite(browser, used_s=now_s - ago_s)
    shop.rewrite(browsers[0], created_s=now_s - 1000, ends_s=now_s + 10, used_s=now_s - 30)
    browsers.append(shop.signed_in("93")[0])
    shop.services.authenticator.forget()
    assert [shop.who(each) for each in browsers] == ["93", None, "93", "93"]


def test_whoever_has_a_walls_link_cannot_put_the_wall_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall only watches; it was opened first, and its use is noted all the same."""
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 3)
    secret, _ = shop.services.tokens.create("93", role=Role.OBSERVER)
    walls = [shop.browser() for _ in range(3)]
    for each in walls:
        assert each.post("/api/session", json={"token": secret}).status_code == 200
    for each in walls:
        shop.rewrite(each, created_s=shop.now_s() - 300_000, used_s=shop.now_s() - 200_000)
    assert walls[0].head("/api/boards/main/events").status_code == 200
    assert shop.browser().post("/api/session", json={"token": secret}).status_code == 200
    shop.services.authenticator.forget()
    assert shop.who(walls[0]) == "93"
    assert sorted(shop.who(each) or "" for each in walls) == ["", "93", "93"]


def test_whoever_has_a_walls_link_cannot_put_the_wall_out_by_patience(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They keep as many sessions as there may be in use, more often than the wall's is noted."""
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 3)
    secret, _ = shop.services.tokens.create("93", role=Role.OBSERVER)
    wall, *others = [shop.browser() for _ in range(3)]
    for each in (wall, *others):
        assert each.post("/api/session", json={"token": secret}).status_code == 200
    shop.rewrite(wall, used_s=shop.now_s() - 12 * 3600)  # it was off for the night
    refused = shop.browser().post("/api/session", json={"token": secret})
    assert problem(refused) == (429, "rate_limited")
    assert 11 * 3600 < int(refused.headers["Retry-After"]) <= 12 * 3600
    # Nothing has come of it, and who only changes places needs none.
    assert [shop.who(each) for each in (wall, *others)] == ["93"] * 3
    assert others[0].post("/api/session", json={"token": secret}).status_code == 200
    assert shop.who(wall) == "93"
    # A session that was signed out, or has ended, is in nobody's way.
    csrf = {"X-CSRF-Token": fields(others[0].get("/api/session"))["csrf_token"]}
    assert others[0].delete("/api/session", headers=csrf).status_code == 204
    assert shop.browser().post("/api/session", json={"token": secret}).status_code == 200
    assert shop.who(wall) == "93"


def test_a_token_opens_sessions_slowly_from_one_address_and_from_all(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "_TOKEN_AT_ONCE", 5)
    monkeypatch.setattr(sessions_module, "_TOKEN_ADDRESS_AT_ONCE", 3)
    secret, _ = shop.services.tokens.create("93", role=Role.OBSERVER)
    other, _ = shop.services.tokens.create("93", role=Role.OBSERVER)

    def opened(address: str, token: str = secret) -> int:
        for number in range(10):
            answer = shop.browser(address).post("/api/session", json={"token": token})
            if answer.status_code != 200:
                assert problem(answer) == (429, "rate_limited")
                assert 1 <= int(answer.headers["Retry-After"]) <= 10
                return number
        return 10

    assert [opened("10.0.0.1"), opened("10.0.0.2"), opened("10.0.0.3")] == [3, 2, 0]
    assert opened("10.0.0.1", other) == 3
    assert shop.sign_in(shop.browser()).status_code == 200


def test_sessions_that_were_signed_out_make_room_before_those_that_are_used(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 3)
    used, _ = shop.signed_in("93")
    for _ in range(4):
        browser, csrf = shop.signed_in("93")
        assert browser.delete("/api/session", headers=csrf).status_code == 204
    assert shop.who(used) == "93"


def test_who_has_a_wallboards_token_ends_no_session_of_its_worker(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 2)
    tablet, _ = shop.signed_in("93")
    secret, _ = shop.services.tokens.create("93", role=Role.OBSERVER)
    for _ in range(4):
        wall = shop.browser()
        assert wall.post("/api/session", json={"token": secret}).status_code == 200
        shop.rewrite(wall, used_s=shop.now_s() - 2 * 86400)
    assert [shop.who(each) for each in (tablet, wall)] == ["93", "93"]
    keys, client = shop.services.store.keys, shop.services.store.client
    assert client.hlen(keys.sessions) == 3

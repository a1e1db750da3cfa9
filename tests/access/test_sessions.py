"""Sessions: signing in at a browser, switching, and every way in which it ends."""

from __future__ import annotations

import dataclasses
import logging
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from werkzeug.security import check_password_hash
from werkzeug.test import TestResponse

from occupancy.access import authenticator as access_module
from occupancy.access import pin_queue as pin_queue_module
from occupancy.access import pins as pins_module
from occupancy.access import sessions as sessions_module
from occupancy.access import tickets as tickets_module
from occupancy.access.login_throttle import FREE_OF_PAIR
from occupancy.access.tickets import COMEBACK_S
from occupancy.boards.commands import Command
from occupancy.core.entities import Role
from occupancy.core.errors import Unauthenticated
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.tablets import HASH, PIN, Shop, audit_lines_of, fields, problem
from tests.support.waiting import wait_until


@pytest.fixture
def shop(services: Services) -> Shop:
    return Shop(services)


@pytest.fixture
def valkey_shop(valkey_services: Services) -> Shop:
    return Shop(valkey_services)


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
    client: Any = shop.services.store.client
    stored = ""
    for key in client.scan_iter(f"{shop.services.settings.prefix}:*"):
        kind = client.type(key)
        if kind == b"hash":
            stored += str(client.hgetall(key))
        elif kind == b"string":
            stored += str(client.get(key))
        stored += str(key)
    assert len(cookie.value) >= 43  # 256 bits
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
    from occupancy.cli.command import COMMAND_LINE
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


# Switching and signing out


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


# Ends


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
    assert remembered_until - time.monotonic() <= 30


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


# The CSRF token and where a request comes from


@pytest.mark.parametrize("sent", [None, "", "x", "é"])
def test_what_changes_something_needs_the_sessions_csrf_token(
    valkey_shop: Shop, sent: str | None
) -> None:
    browser, csrf = valkey_shop.signed_in("1")
    headers = {} if sent is None else {"X-CSRF-Token": sent}
    for method, path in (
        ("PUT", "/api/boards/main/items/T-1"), ("DELETE", "/api/session"), ("POST", "/api/tickets"),
    ):  # fmt: skip
        assert problem(browser.open(path, method=method, headers=headers)) == (403, "csrf")
    assert browser.get("/api/boards", headers=headers).status_code == 200
    assert browser.put("/api/boards/main/items/T-1", json={}, headers=csrf).status_code == 201


def test_where_a_token_and_a_cookie_come_together_the_token_counts(valkey_shop: Shop) -> None:
    browser, _ = valkey_shop.signed_in("93")
    secret, _ = valkey_shop.services.tokens.create("1")
    token = {"Authorization": f"Bearer {secret}"}
    assert browser.put("/api/boards/main/items/T-1", json={}, headers=token).status_code == 201
    garbage = {"Authorization": "Bearer garbage"}
    assert problem(browser.get("/api/boards", headers=garbage)) == (401, "unauthenticated")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:81"])
def test_a_foreign_page_can_neither_sign_in_nor_act(valkey_shop: Shop, origin: str) -> None:
    foreign = {"Origin": origin}
    answer = valkey_shop.browser().post(
        "/api/session", json={"worker": "93", "pin": PIN}, headers=foreign
    )
    assert problem(answer) == (403, "csrf")
    browser, csrf = valkey_shop.signed_in("1")
    answer = browser.put("/api/boards/main/items/T-1", json={}, headers={**csrf, **foreign})
    assert problem(answer) == (403, "csrf")


# Tokens as sessions, links and tickets


def test_a_wallboards_session_lives_as_long_as_its_token(shop: Shop) -> None:
    shop.services.store.boards.create("hall")
    secret, token = shop.services.tokens.create("1", role=Role.OBSERVER, board="hall")
    wall = shop.browser()
    answer = fields(wall.post("/api/session", json={"token": secret}))
    assert (answer["worker"]["role"], answer["board"], answer["idle_s"]) == (
        "observer",
        "hall",
        None,
    )
    assert wall.get("/api/boards/hall/items").status_code == 200
    assert wall.head("/api/boards/hall/events").status_code == 200
    assert problem(wall.get("/api/boards/main/items")) == (403, "forbidden")
    csrf = {"X-CSRF-Token": answer["csrf_token"]}
    taken = wall.post("/api/boards/hall/items/T-1/take", headers=csrf)
    assert problem(taken) == (403, "forbidden")
    shop.services.tokens.revoke(token.id)
    assert shop.who(wall) is None


def test_a_ticket_opens_a_stream_and_nothing_else(shop: Shop) -> None:
    secret, token = shop.services.tokens.create("93", board="main")
    bearer = {"Authorization": f"Bearer {secret}"}
    anybody = shop.browser()

    def ticket() -> str:
        answer = anybody.post("/api/tickets", headers=bearer)
        assert answer.status_code == 201
        return str(fields(answer)["ticket"])

    def status(path: str, browser: FlaskClient = anybody) -> int:
        with browser.get(path, buffered=False) as answer:
            return int(answer.status_code)

    one = ticket()
    assert status(f"/api/boards/main/items?ticket={one}") == 401
    for _ in range(3):  # an EventSource comes back with the same address
        assert status(f"/api/boards/main/events?ticket={one}") == 200
    shop.services.store.boards.create("other")
    assert status(f"/api/boards/other/events?ticket={one}") == 401
    assert status(f"/api/boards/main/events?ticket={one}", shop.browser("10.9.9.9")) == 401
    assert status(f"/api/boards/main/events?ticket={one}") == 200
    assert status(f"/api/boards/other/events?ticket={ticket()}") == 403
    key = shop.services.store.keys.ticket(digest_of(late := ticket()))
    left_s: Any = shop.services.store.client.ttl(key)
    assert 0 < left_s <= 60
    shop.services.tokens.revoke(token.id)
    for each in (one, late):
        assert status(f"/api/boards/main/events?ticket={each}") == 401


def test_tickets_are_given_out_no_faster_than_streams_and_take_little_room(
    valkey_services: Services,
) -> None:
    valkey_services.settings = dataclasses.replace(valkey_services.settings, streams_per_caller=1)
    shop = Shop(Services(valkey_services.settings, valkey_services.topology))  # fmt: skip
    secret, _ = shop.services.tokens.create("93")
    other, _ = shop.services.tokens.create("94")
    anybody = shop.browser()
    given: list[str] = []

    def ask(token: str = secret) -> TestResponse:
        return anybody.post("/api/tickets", headers={"Authorization": f"Bearer {token}"})

    while (answer := ask()).status_code == 201 and len(given) < 100:
        given.append(fields(answer)["ticket"])
    assert 20 <= len(given) < 40
    assert problem(answer) == (429, "rate_limited")
    assert ask(other).status_code == 201
    long = anybody.get(f"/api/boards/{'x' * 3000}/events?ticket={given[0]}")
    assert problem(long) == (400, "invalid_request")
    keys, client = shop.services.store.keys, shop.services.store.client
    assert client.strlen(keys.ticket(digest_of(given[0]))) < 200
    assert anybody.head(f"/api/boards/main/events?ticket={given[0]}").status_code == 200


def test_a_ticket_goes_with_the_session_that_it_was_made_in(shop: Shop) -> None:
    browser, csrf = shop.signed_in()
    ticket = fields(browser.post("/api/tickets", headers=csrf))["ticket"]
    anybody, path = shop.browser(), f"/api/boards/main/events?ticket={ticket}"
    assert anybody.head(path).status_code == 200
    assert browser.delete("/api/session", headers=csrf).status_code == 204
    assert anybody.head(path).status_code == 401


def test_a_ticket_that_many_show_at_once_lets_one_of_them_in(shop: Shop) -> None:
    secret, _ = shop.services.tokens.create("93")
    known = shop.services.authenticator.identify(Credential("token", digest_of(secret)))
    ticket = shop.services.tickets.create(known)

    def is_let_in(number: int) -> bool:
        try:
            found = shop.services.tickets.use(ticket, address=f"10.0.0.{number}", board="main")
        except Unauthenticated:
            return False
        return found == known.credential

    showing = [gevent.spawn(is_let_in, number) for number in range(50)]
    gevent.joinall(showing, raise_error=True)
    assert [each.value for each in showing].count(True) == 1


def test_a_ticket_stays_good_while_its_stream_is_open_and_some_minutes_more(
    valkey_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = valkey_shop.services
    client: Any = services.store.client
    secret, _ = services.tokens.create("93")
    known = services.authenticator.identify(Credential("token", digest_of(secret)))
    ticket = services.tickets.create(known)
    key = services.store.keys.ticket(digest_of(ticket))
    browser = valkey_shop.browser()
    monkeypatch.setattr(tickets_module, "_RENEWAL_S", 0.01)
    with browser.get(f"/api/boards/main/events?ticket={ticket}", buffered=False) as stream:
        wait_until(lambda: b"ready" in next(stream.iter_encoded()), what="the stream")
        client.expire(key, 5)
        wait_until(lambda: client.ttl(key) > COMEBACK_S - 60, what="the renewal")
    wait_until(lambda: not services.tickets._open, what="the end of the stream")


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

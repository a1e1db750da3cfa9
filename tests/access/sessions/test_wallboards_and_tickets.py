"""Tokens as sessions of wallboards, and tickets for streams."""

from __future__ import annotations

import dataclasses
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy.access import tickets as tickets_module
from occupancy.access.tickets import COMEBACK_S
from occupancy.core.entities import Role
from occupancy.core.errors import Unauthenticated
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.tablets import Shop, fields, problem
from tests.support.waiting import wait_until


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
    assert 30 < left_s <= 60
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

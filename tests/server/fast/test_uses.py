"""What counts as a use of a session on the fast path: an operation does, a stream does not.

A page opens its stream by itself, again and again, perhaps with nobody in front of it.
"""

from __future__ import annotations

import json
import re

import pytest
from flask.testing import FlaskClient

from occupancy.core.principal import digest_of
from occupancy.server.fast.operations import FastOperations
from occupancy.server.fast.request import FastRequest, parse
from occupancy.services import Services
from tests.support.raw_http import request
from tests.support.stream_caller import Principal, fast_streams
from tests.support.tablets import Shop
from tests.support.waiting import wait_until

IDLE_FOR_S = 100


class Tablet:
    """A browser with a session, and its requests as the fast path reads them."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.browser: FlaskClient
        self.browser, csrf = shop.signed_in()
        cookie = self.browser.get_cookie(shop.services.settings.cookie_name)
        assert cookie is not None
        self._headers = [f"Cookie: {cookie.key}={cookie.value}"]
        self._headers += [f"{name}: {text}" for name, text in csrf.items()]
        self.digest = digest_of(cookie.value)

    def request(self, line: str, *headers: str) -> FastRequest:
        read = parse(request(line, *self._headers, *headers))
        assert read is not None
        return read

    def rest(self) -> int:
        """Nobody touches it for a while; the time of its last use."""
        used_s = self.shop.now_s() - IDLE_FOR_S
        self.shop.rewrite(self.browser, used_s=used_s)
        return used_s

    def used_s(self) -> int:
        keys = self.shop.services.store.keys
        found = self.shop.services.store.client.hget(keys.uses, self.digest)
        assert isinstance(found, bytes)
        return int(found)


@pytest.fixture
def tablet(valkey_services: Services) -> Tablet:
    return Tablet(Shop(valkey_services))


@pytest.fixture
def fast(tablet: Tablet) -> FastOperations:
    return FastOperations(tablet.shop.services, {}, tablet.shop.app.view_functions)


def status(answer: bytes | None) -> int:
    found = re.match(rb"HTTP/1\.1 ([0-9]+) ", answer or b"")
    assert found is not None, answer
    return int(found[1])


def test_an_operation_is_a_use(tablet: Tablet, fast: FastOperations) -> None:
    rested_s = tablet.rest()
    assert status(fast.answer(tablet.request("POST /api/boards/main/items/T-1/take"))) == 404
    assert tablet.used_s() >= rested_s + IDLE_FOR_S


def test_an_operation_is_a_use_right_after_the_page_has_asked_by_itself(
    tablet: Tablet, fast: FastOperations
) -> None:
    rested_s = tablet.rest()
    assert tablet.shop.who(tablet.browser) == "93"
    assert tablet.used_s() == rested_s
    fast.answer(tablet.request("POST /api/boards/main/items/T-1/take"))
    assert tablet.used_s() >= rested_s + IDLE_FOR_S


def test_an_operation_without_the_csrf_token_has_no_effect(
    tablet: Tablet, fast: FastOperations
) -> None:
    take = tablet.request("POST /api/boards/main/items/T-1/take")
    for sent in (None, "", "another"):
        take.headers.pop("x-csrf-token", None)
        if sent is not None:
            take.headers["x-csrf-token"] = sent
        answer = fast.answer(take) or b""
        assert status(answer) == 403
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "csrf"


@pytest.mark.parametrize("is_remembered", [False, True])
def test_a_stream_is_no_use(tablet: Tablet, *, is_remembered: bool) -> None:
    services = tablet.shop.services
    services.store.boards.create("hall")
    caller, rested_s = Principal(services, "none"), tablet.rest()
    if is_remembered:
        assert tablet.shop.who(tablet.browser) == "93"
    asked = tablet.request("GET /api/boards/hall/events")
    assert fast_streams(services).begin(asked, caller.served)
    wait_until(lambda: b"event: ready" in caller.received, what="the stream")
    assert tablet.used_s() == rested_s
    caller.close()
    wait_until(lambda: services.hub.open_streams == 0, what="the stream's end")


def test_a_refused_look_at_a_board_is_left_to_flask_and_counted_there_only(
    tablet: Tablet, fast: FastOperations
) -> None:
    asked = parse(request("GET /api/boards/main/items", "Cookie: x=y", 'If-None-Match: "1.x"'))
    assert asked is not None
    assert fast.answer(asked) is None
    assert b"occupancy_denials_total{" not in tablet.shop.services.metrics.exposition()

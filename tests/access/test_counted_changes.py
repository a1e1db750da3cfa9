"""Changes of access: each is counted once and announced with its number.

A process that missed the announcement sees by the number alone that something has changed. A test
that acts right after a stream has opened does not notice a missing number: the first check of a
new stream finds the change anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from occupancy.access import sessions as sessions_module
from occupancy.core.principal import Credential
from occupancy.services import Services
from tests.support.tablets import Shop
from tests.support.waiting import wait_until


class Ear:
    """Hears what is announced to every process."""

    def __init__(self, services: Services) -> None:
        self._client = redis.Redis.from_url(services.settings.redis_url, protocol=2)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        self._channel = services.store.keys.access_channel
        self._pubsub.subscribe(self._channel)
        self.heard: list[str] = []
        wait_until(lambda: self._pubsub.subscribed, what="the subscription")
        self._pubsub.get_message(timeout=1)

    def hears(self) -> list[str]:
        """All announcements until now: up to a last one of its own, which is left out."""
        self._client.publish(self._channel, "the last one")

        def listen() -> bool:
            while (message := self._pubsub.get_message(timeout=0.01)) is not None:
                self.heard.append(message["data"].decode())
            return self.heard[-1:] == ["the last one"]

        wait_until(listen, what="the announcements")
        self.heard.pop()
        return self.heard

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


@pytest.fixture
def shop(valkey_services: Services) -> Shop:
    return Shop(valkey_services)


@pytest.fixture
def ear(shop: Shop) -> Iterator[Ear]:
    made = Ear(shop.services)
    yield made
    made.close()


def revoke_token(shop: Shop) -> Callable[[], object]:
    _, token = shop.services.tokens.create("93")
    return lambda: shop.services.tokens.revoke(token.id)


def sign_out(shop: Shop) -> Callable[[], object]:
    browser, csrf = shop.signed_in()
    return lambda: browser.delete("/api/session", headers=csrf)


def sign_in_again(shop: Shop) -> Callable[[], object]:
    browser, _ = shop.signed_in()
    return lambda: shop.sign_in(browser)


def sign_in_once_too_often(shop: Shop) -> Callable[[], object]:
    for _ in range(sessions_module.MAX_SESSIONS):
        shop.signed_in()
    return shop.signed_in


def disable(shop: Shop) -> Callable[[], object]:
    return lambda: shop.services.workers.edit("93", disabled=True)


def lower(shop: Shop) -> Callable[[], object]:
    return lambda: shop.services.workers.edit("93", role="observer")


def sign_out_everywhere(shop: Shop) -> Callable[[], object]:
    return lambda: shop.services.workers.sign_out("93")


def remove_badge(shop: Shop) -> Callable[[], object]:
    badge, _ = shop.services.badges.add("93", "0012345678", by="1")
    return lambda: shop.services.badges.remove("93", badge.id)


@pytest.mark.parametrize(
    "prepare",
    [
        revoke_token, sign_out, sign_in_again, sign_in_once_too_often, disable, lower,
        sign_out_everywhere, remove_badge,
    ],
)  # fmt: skip
def test_each_change_is_counted_once_and_announced_with_its_number(
    shop: Shop,
    ear: Ear,
    prepare: Callable[[Shop], Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 2)
    change = prepare(shop)
    before, authenticator = shop.services.authenticator.changes(), shop.services.authenticator
    change()
    assert authenticator.changes() == before + 1
    assert ear.hears() == [f"{before + 1} 93"]


def test_a_sign_in_in_place_of_anothers_announces_whose_session_has_ended(
    shop: Shop, ear: Ear
) -> None:
    browser, _ = shop.signed_in("93")
    before = shop.services.authenticator.changes()
    shop.sign_in(browser, "94")
    assert shop.services.authenticator.changes() == before + 1
    assert ear.hears() == [f"{before + 1} 93"]


def test_a_revoked_station_is_announced_as_if_one_change_was_missed(shop: Shop, ear: Ear) -> None:
    """Then each process checks everybody: sessions of any worker may have ended with it."""
    _, station = shop.services.stations.create("Hall 2", by="1")
    before = shop.services.authenticator.changes()
    shop.services.stations.revoke(station.id)
    assert shop.services.authenticator.changes() == before + 2
    assert ear.hears() == [f"{before + 2} station:{station.id}"]


@pytest.mark.parametrize("change", ["link", "token", "sign-in", "refused"])
def test_what_ends_nothing_is_not_counted(shop: Shop, change: str) -> None:
    before = shop.services.authenticator.changes()
    if change == "link":
        shop.services.links.create("93")
    elif change == "token":
        shop.services.tokens.create("93")
    elif change == "sign-in":
        shop.signed_in()
    else:
        assert shop.sign_in(shop.browser(), pin="2580").status_code == 401
    assert shop.services.authenticator.changes() == before


@pytest.mark.parametrize("change", [sign_out, sign_in_again])
def test_the_process_that_ends_a_session_lets_it_in_no_more(
    shop: Shop, change: Callable[[Shop], Callable[[], object]]
) -> None:
    end = change(shop)
    stored: Any = shop.services.store.client.hkeys(shop.services.store.keys.sessions)
    (digest,) = stored
    credential = Credential("session", digest.decode())
    shop.services.authenticator.identify(credential)
    end()
    assert shop.services.authenticator.remembered(credential) is None

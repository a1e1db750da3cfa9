"""A session that was opened with a token: whatever ends or narrows the token does so to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from occupancy.access.tokens import Token
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.tablets import Shop


@pytest.fixture
def wall(valkey_services: Services) -> tuple[Shop, FlaskClient, str]:
    """A browser that has signed in with a token of some days, which has gone on being used."""
    shop = Shop(valkey_services)
    secret, _ = valkey_services.tokens.create("93", days=3)
    browser = shop.browser()
    assert browser.post("/api/session", json={"token": secret}).status_code == 200
    assert shop.who(browser) == "93"
    return shop, browser, digest_of(secret)


def rewrite(shop: Shop, digest: str, **changes: Any) -> None:
    """Change the stored token, as if time had passed."""
    client, keys = shop.services.store.client, shop.services.store.keys
    stored: Any = client.hget(keys.tokens, digest)
    token = msgspec.structs.replace(msgspec.json.decode(stored, type=Token), **changes)
    client.hset(keys.tokens, digest, msgspec.json.encode(token))
    shop.services.authenticator.forget()


def ends_in_s(shop: Shop, browser: FlaskClient) -> float:
    """In how many seconds the browser's streams are looked at because its session ends."""
    (answer,) = shop.services.authenticator.revalidate(
        [Credential("session", shop.stored(browser)[0])]
    )
    assert answer is not None
    return answer[1]


def test_it_ends_when_the_token_expires(wall: tuple[Shop, FlaskClient, str]) -> None:
    shop, browser, digest = wall
    assert 2 * 86400 < ends_in_s(shop, browser) <= 3 * 86400
    rewrite(shop, digest, expires_s=shop.now_s() + 30)
    assert shop.who(browser) == "93"
    assert 0 < ends_in_s(shop, browser) <= 30
    rewrite(shop, digest, expires_s=shop.now_s())
    assert shop.who(browser) is None


def test_it_ends_when_the_token_is_revoked(wall: tuple[Shop, FlaskClient, str]) -> None:
    shop, browser, _ = wall
    ((token, _),) = [(each.token, each.used_s) for each in shop.services.tokens.all()]
    shop.services.tokens.revoke(token.id)
    assert shop.who(browser) is None


def test_it_may_do_no_more_than_the_token_may_now(wall: tuple[Shop, FlaskClient, str]) -> None:
    shop, browser, digest = wall
    rewrite(shop, digest, role="observer", board="hall")
    credential = Credential("session", shop.stored(browser)[0])
    principal = shop.services.authenticator.identify(credential)
    assert (principal.role.label, principal.board) == ("observer", "hall")

"""A change of access that is not confirmed may have been made: the process forgets all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from occupancy.core.errors import Unconfirmed
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.tablets import Shop


@pytest.fixture
def shop(valkey_services: Services) -> Shop:
    return Shop(valkey_services)


def unconfirmed(script: Any) -> Callable[..., Any]:
    """``script.run`` with an answer that does not come in time."""
    run = script.run

    def call(*args: Any) -> Any:
        run(*args)
        raise Unconfirmed("Too few replicas have it.")

    return call


@pytest.mark.parametrize("change", ["sign-out", "token", "disabled"])
def test_what_is_not_confirmed_is_forgotten(
    shop: Shop, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = shop.services
    if change == "sign-out":
        credential = Credential("session", shop.stored(shop.signed_in()[0])[0])
    else:
        secret, token = services.tokens.create("93")
        credential = Credential("token", digest_of(secret))
    principal = services.authenticator.identify(credential)
    for script in (
        services.sessions._revoke, services.tokens._revoke, services.workers._replace_worker,
    ):  # fmt: skip
        monkeypatch.setattr(script, "run", unconfirmed(script))
    # The announcement, which follows in a moment, must not be what makes it forget.
    monkeypatch.setattr(services.revocation, "on_announcement", lambda _payload: None)
    assert services.authenticator.remembered(credential) is not None
    with pytest.raises(Unconfirmed):
        if change == "sign-out":
            services.sessions.end(principal, address="10.0.0.1")
        elif change == "token":
            services.tokens.revoke(token.id)
        else:
            services.workers.edit("93", disabled=True)
    assert services.authenticator.remembered(credential) is None

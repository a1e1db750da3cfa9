"""A change of access that is not confirmed may have been made: the process forgets all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from occupancy.core.errors import Unauthenticated, Unconfirmed
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.tablets import PIN, Shop, audit_lines_of


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


@pytest.mark.parametrize(
    ("method", "path", "body", "event", "again"),
    [
        ("DELETE", "/api/tokens/{token}", None, "token_revoked", 404),
        ("PUT", "/api/workers/94", {"disabled": True}, "worker_edited", 200),
        ("DELETE", "/api/workers/94/sessions", None, "signed_out_everywhere", 204),
    ],
)
def test_a_change_that_is_not_confirmed_is_in_the_audit_log(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    *, method: str, path: str, body: Any, event: str, again: int,
) -> None:  # fmt: skip
    services = shop.services
    secret, _ = services.tokens.create("1")
    _, token = services.tokens.create("94")
    request: dict[str, Any] = {
        "method": method, "path": path.format(token=token.id), "json": body,
        "headers": {"Authorization": f"Bearer {secret}"},
    }  # fmt: skip
    with (
        monkeypatch.context() as patched,
        caplog.at_level(logging.INFO, "occupancy.observability.audit_log"),
    ):
        for script in (services.tokens._revoke, services.workers._replace_worker):
            patched.setattr(script, "run", unconfirmed(script))
        assert shop.app.test_client().open(**request).status_code == 503
        (line,) = audit_lines_of(caplog)
    assert (line["event"], line["worker"], line["by"]) == (event, "94", "1")
    assert shop.app.test_client().open(**request).status_code == again


def test_a_token_that_is_not_there_is_no_revocation(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret, _ = shop.services.tokens.create("1")

    def refuse(*_args: Any) -> None:
        raise Unconfirmed("Too few replicas have it.")

    monkeypatch.setattr(shop.services.tokens._writes, "exists", refuse)
    headers = {"Authorization": f"Bearer {secret}"}
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        answer = shop.app.test_client().delete("/api/tokens/none", headers=headers)
    assert answer.status_code == 503
    assert audit_lines_of(caplog) == []


def test_an_own_pin_that_is_not_confirmed_is_in_the_audit_log_and_counts(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser, headers = shop.signed_in()
    script = shop.services.workers._replace_worker
    with (
        monkeypatch.context() as patched,
        caplog.at_level(logging.INFO, "occupancy.observability.audit_log"),
    ):
        patched.setattr(script, "run", unconfirmed(script))
        answer = browser.put(
            "/api/session/pin", json={"pin": PIN, "new_pin": "8305"}, headers=headers
        )
        assert answer.status_code == 503
        assert [each["event"] for each in audit_lines_of(caplog)] == ["pin_changed"]
    assert shop.who(browser) is None
    assert shop.sign_in(browser, pin="8305").status_code == 200


def test_a_link_that_is_used_up_and_not_confirmed_says_what_to_do(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = shop.services.links.create("93")
    script, sign_in = shop.services.links._redeem, shop.services.sign_in.with_link
    with (
        monkeypatch.context() as patched,
        caplog.at_level(logging.INFO, "occupancy.observability.audit_log"),
    ):
        patched.setattr(script, "run", unconfirmed(script))
        with pytest.raises(Unconfirmed, match="ask for a new one"):
            sign_in(secret, address="10.0.0.1")
        (line,) = audit_lines_of(caplog)
    assert (line["event"], line["code"]) == ("sign_in_refused", "unconfirmed")
    with pytest.raises(Unauthenticated):
        sign_in(secret, address="10.0.0.1")

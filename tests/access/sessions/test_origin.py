"""Sessions: the CSRF token, and where a request comes from."""

from __future__ import annotations

import pytest

from tests.support.tablets import PIN, Shop, problem


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

"""Workers with PINs, and browsers in which they sign in."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from occupancy.access.login_throttle import LoginThrottle
from occupancy.access.sessions import Session
from occupancy.core.entities import Role
from occupancy.core.principal import digest_of
from occupancy.services import Services
from tests.support.applications import application

PIN = "4711"


def cheap_hash(pin: str) -> str:
    """A hash with less than a hundredth of a real one's work, which takes 50 ms per check."""
    return generate_password_hash(pin, "scrypt:256:8:1")


HASH = cheap_hash(PIN)


def hold_the_clock(throttle: LoginThrottle, client: Any) -> None:
    """Let time stand still for the login throttle, from now on.

    Its scripts get the present time in place of the server's. On a busy machine, a wait of two
    seconds may otherwise end before the next attempt.
    """
    now = b"({'%d', '%d'})" % tuple(client.time())
    for script in (throttle._count_attempt, throttle._clear_attempt):
        assert script.source.count(b"redis.call('TIME')") == 1
        script.source = script.source.replace(b"redis.call('TIME')", now)
        script.sha1 = hashlib.sha1(script.source).hexdigest()


class Shop:
    """Workers with PINs, and browsers to sign them in with. No wait for the next PIN ends."""

    def __init__(self, services: Services) -> None:
        self.services = services
        hold_the_clock(services.sign_in._login_throttle, services.store.client)
        self.app = application(services)
        for worker, role in (("93", Role.WORKER), ("94", Role.WORKER), ("1", Role.ADMIN)):
            services.workers.add(worker, name=f"Worker {worker}", role=role, pin_hash=HASH)

    def browser(self, address: str = "10.0.0.1") -> FlaskClient:
        """A browser of its own, with no cookie yet."""
        browser = self.app.test_client()
        browser.environ_base["REMOTE_ADDR"] = address
        return browser

    def sign_in(self, browser: FlaskClient, worker: str = "93", pin: str = PIN) -> TestResponse:
        return browser.post("/api/session", json={"worker": worker, "pin": pin})

    def signed_in(self, worker: str = "93") -> tuple[FlaskClient, dict[str, str]]:
        """A browser, and the header that its unsafe requests need."""
        browser = self.browser()
        answer = self.sign_in(browser, worker)
        assert answer.status_code == 200, answer.text
        return browser, {"X-CSRF-Token": fields(answer)["csrf_token"]}

    def who(self, browser: FlaskClient) -> str | None:
        """The signed-in worker, by the server's response."""
        answer = browser.get("/api/session")
        return fields(answer)["worker"]["id"] if answer.status_code == 200 else None

    def stored(self, browser: FlaskClient) -> tuple[str, Session]:
        """The stored session of a browser, and its hash."""
        cookie = browser.get_cookie(self.services.settings.cookie_name)
        assert cookie is not None
        digest = digest_of(cookie.value)
        found: Any = self.services.store.client.hget(self.services.store.keys.sessions, digest)
        return digest, msgspec.json.decode(found, type=Session)

    def rewrite(self, browser: FlaskClient, *, used_s: int | None = None, **changes: Any) -> None:
        """Change the stored session, as if time had passed."""
        digest, session = self.stored(browser)
        client, keys = self.services.store.client, self.services.store.keys
        changed = msgspec.structs.replace(session, **changes)
        client.hset(keys.sessions, digest, msgspec.json.encode(changed))
        client.hdel(keys.uses, digest)
        if used_s is not None:
            client.hset(keys.uses, digest, used_s)
        self.services.authenticator.forget()

    def now_s(self) -> int:
        """The server's clock."""
        moment: Any = self.services.store.client.time()
        return int(moment[0])


def fields(response: TestResponse) -> Any:
    return response.get_json(force=True)


def problem(response: TestResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    return response.status_code, fields(response)["code"]


def audit_lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The lines of the audit log, read."""
    return [
        json.loads(each.getMessage()) for each in caplog.records if each.name.endswith(".audit_log")
    ]

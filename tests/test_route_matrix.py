"""Who may do what: every route, every method, every kind of caller, held to docs/access.md."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from occupancy import create_app
from occupancy.auth import caller
from occupancy.callers import digest_of
from occupancy.model import TRANSITIONS, Role
from occupancy.services import Services
from tests.deployment import ROOT

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
PLACEHOLDERS = {
    "board": "B",
    "tag": "T",
    "worker_id": "W",
    "token_id": "K",
    "name": "F",
    "version": "V",
}
FILLED = {"B": "main", "T": "T-1", "W": "nobody-there", "K": "0000", "F": "nothing.css", "V": "0"}
ROLES = ("observer", "worker", "supervisor", "admin")
COLUMNS = ("nobody", *ROLES, "of no board")
NOBODIES = ("none", "disabled", "expired", "revoked", "idle", "signed out", "forged")

Send = Callable[[str, str], int]


def documented() -> dict[str, dict[str, str]]:
    """The table of docs/access.md: "GET /path" → column → what it says."""
    text = (ROOT / "docs/access.md").read_text()
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.match(r"(GET|POST|PUT|DELETE) /", cells[0]):
            rows[cells[0]] = dict(zip(COLUMNS, cells[1:], strict=True))
    return rows


TABLE = documented()


def routed(app: Flask) -> set[str]:
    """Every method and path, as the table writes them."""
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(
            r"<(?:\w+:)?(\w+)>", lambda name: PLACEHOLDERS.get(name[1], name[1]), rule.rule
        )
        names = list(TRANSITIONS) if path.endswith("/operation") else [""]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            found |= {f"{method} {path.replace('/operation', f'/{n}' if n else '')}" for n in names}
    return found


def address(path: str) -> str:
    """A path of the table with something in place of its letters."""
    return "/".join(FILLED.get(part, part) for part in path.split("/"))


CASES = sorted(set(itertools.product(METHODS, {each.partition(" ")[2] for each in TABLE})))


@pytest.fixture
def app(valkey_services: Services) -> Flask:
    app = create_app(valkey_services)
    app.testing = False
    return app


class Callers:
    """Callers of every kind, each by token and by session."""

    def __init__(self, app: Flask, services: Services) -> None:
        self.app = app
        self.services = services
        for role in Role:
            services.workers.add(role.label, name=role.label.title(), role=role)

    def token(self, worker: str, **narrowed: Any) -> Send:
        secret, _ = self.services.tokens.create(worker, **narrowed)
        return self.bearer(secret)

    def bearer(self, secret: str) -> Send:
        return self._sender({"Authorization": f"Bearer {secret}"})

    def session(self, worker: str, **narrowed: Any) -> Send:
        """A session of its own for every request: some of them end it."""

        def send(method: str, path: str) -> int:
            secret, _ = self.services.tokens.create(worker, **narrowed)
            browser = self.app.test_client()
            csrf = browser.post("/api/session", json={"token": secret}).json["csrf_token"]  # type: ignore[index] # it is JSON
            return status(browser, method, path, {"X-CSRF-Token": csrf})

        return send

    def nobody(self, kind: str) -> list[Send]:
        """Those who are let in no more, or never were."""
        if kind == "none":
            return [self._sender({})]
        if kind == "forged":
            return [
                self.bearer("occ_" + "x" * 43),
                self._sender({"Cookie": f"occupancy={'x' * 43}"}),
                self._sender({"Cookie": "occupancy=admin", "X-CSRF-Token": "x"}),
            ]
        services = self.services
        worker = services.workers.add(f"x-{kind.replace(' ', '-')}", name="X", role=Role.ADMIN)
        secret, token = services.tokens.create(worker.id)
        known = services.access.identify(_token(secret))
        cookie, session = services.sessions.with_token(known, address="test")
        senders = [self.bearer(secret), self._cookie(cookie, session.csrf_token)]
        keys, client = services.store.keys, services.store.client
        if kind == "disabled":
            services.workers.edit(worker.id, disabled=True)
        elif kind == "revoked":
            services.tokens.revoke(token.id)
        elif kind == "expired":
            ended = msgspec.structs.replace(token, expires_s=1)
            client.hset(keys.tokens, digest_of(secret), msgspec.json.encode(ended))
        elif kind == "idle":
            idle = msgspec.structs.replace(session, token=None, idle_s=1, created_s=1)
            client.hset(keys.sessions, digest_of(cookie), msgspec.json.encode(idle))
            client.hdel(keys.uses, digest_of(cookie))
            senders = senders[1:]
        elif kind == "signed out":
            services.workers.sign_out(worker.id)
            senders = senders[1:]
        services.access.forget()
        return senders

    def _cookie(self, secret: str, csrf: str) -> Send:
        return self._sender({"Cookie": f"occupancy={secret}", "X-CSRF-Token": csrf})

    def _sender(self, headers: dict[str, str]) -> Send:
        return lambda method, path: status(self.app.test_client(), method, path, headers)


def _token(secret: str) -> Any:
    from occupancy.callers import Credential

    return Credential("token", digest_of(secret))


def status(browser: FlaskClient, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of a request; a stream is closed at once."""
    with browser.open(path, method=method, headers=headers, buffered=False) as response:
        return int(response.status_code)


def expected(method: str, path: str, column: str) -> str:
    """What the table says: in, 401, 403, own, or 405 where the method is not routed."""
    if method == "OPTIONS":
        return "in"
    if (method, path) == ("POST", "/api/boards/B/items/T/history"):
        path = "/api/boards/B/items/T/take"  # an operation that there is not
    row = TABLE.get(f"{'GET' if method == 'HEAD' else method} {path}")
    return row[column] if row is not None else "405"


def told(found: int, method: str, path: str) -> str:
    """A status as the table writes it."""
    if found in (403, 405) or (found == 401 and (method, path) != ("POST", "/api/session")):
        return str(found)
    assert found < 500 or path == "/readyz", found
    return "in"


def test_the_table_has_every_route_and_no_other(app: Flask) -> None:
    assert set(TABLE) == routed(app)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("means", ["token", "session"])
def test_a_role_is_let_in_where_the_table_says(
    app: Flask, valkey_services: Services, role: str, means: str
) -> None:
    send = getattr(Callers(app, valkey_services), means)(role)
    for method, path in CASES:
        found = told(send(method, address(path)), method, path)
        assert found == expected(method, path, role), f"{method} {path}"


@pytest.mark.parametrize("role", ROLES[:-1])
def test_a_narrowed_token_may_do_no_more_than_its_role(
    app: Flask, valkey_services: Services, role: str
) -> None:
    send = Callers(app, valkey_services).token("admin", role=Role.of(role))
    for method, path in CASES:
        found = told(send(method, address(path)), method, path)
        assert found == expected(method, path, role), f"{method} {path}"


@pytest.mark.parametrize("kind", NOBODIES)
def test_nobody_is_let_in_where_the_table_says(
    app: Flask, valkey_services: Services, kind: str
) -> None:
    for send in Callers(app, valkey_services).nobody(kind):
        for method, path in CASES:
            found = told(send(method, address(path)), method, path)
            assert found == expected(method, path, "nobody"), f"{method} {path}"


@pytest.mark.parametrize("means", ["token", "session"])
def test_a_token_of_another_board_is_let_in_nowhere_but_where_the_table_says(
    app: Flask, valkey_services: Services, means: str
) -> None:
    valkey_services.store.boards.create("other")
    send = getattr(Callers(app, valkey_services), means)("admin", board="other")
    for method, path in CASES:
        found = told(send(method, address(path)), method, path)
        says = expected(method, path, "admin")
        if says == "in" and method != "OPTIONS":
            is_of_a_board = path.startswith("/api/boards/B")
            column = expected(method, path, "of no board")
            says = "403" if is_of_a_board else "in" if column == "own" else column
        assert found == says, f"{method} {path}"


def test_a_token_of_one_board_is_shown_that_board_only(
    app: Flask, valkey_services: Services
) -> None:
    valkey_services.store.boards.create("other")
    Callers(app, valkey_services)
    secret, _ = valkey_services.tokens.create("admin", board="other")
    answer = app.test_client().get("/api/boards", headers={"Authorization": f"Bearer {secret}"})
    assert [each["board"] for each in answer.json["boards"]] == ["other"]  # type: ignore[index] # it is JSON
    one = app.test_client().get("/api/boards/other", headers={"Authorization": f"Bearer {secret}"})
    assert one.status_code == 200


@pytest.mark.parametrize("row", TRANSITIONS.values(), ids=list(TRANSITIONS))
@pytest.mark.parametrize("role", ROLES)
def test_a_batch_needs_the_role_of_its_operation(
    app: Flask, valkey_services: Services, row: Any, role: str
) -> None:
    Callers(app, valkey_services)
    secret, _ = valkey_services.tokens.create(role)
    body = {"operation": row.operation, "tags": ["T-1"]}
    if row.reason == "required":
        body["reason"] = "because"
    if row.holder == "to":
        body["to"] = "worker"
    headers = {"Authorization": f"Bearer {secret}"}
    answer = app.test_client().post("/api/boards/main/batch", json=body, headers=headers)
    assert answer.status_code == (200 if Role.of(role) >= row.role else 403)


def test_options_tells_the_methods_and_nothing_else(app: Flask) -> None:
    answer = app.test_client().options("/api/workers")
    assert answer.status_code == 200
    assert answer.data == b""
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_a_route_that_declares_nothing_is_refused_to_everybody_and_is_in_no_table(
    app: Flask, valkey_services: Services
) -> None:
    reached = []

    def forgotten() -> str:
        reached.append(caller())
        return "here"

    app.add_url_rule("/api/forgotten", view_func=forgotten)
    assert set(TABLE) != routed(app)
    callers = Callers(app, valkey_services)
    assert callers.nobody("none")[0]("GET", "/api/forgotten") == 401
    for role in ROLES:
        assert callers.token(role)("GET", "/api/forgotten") == 403
    assert reached == []

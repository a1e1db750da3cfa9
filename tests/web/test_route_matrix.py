"""Who may do what: every route, every method, every kind of caller, held to docs/access.md."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from occupancy import create_app
from occupancy.access import sessions as sessions_module
from occupancy.core.entities import Role
from occupancy.core.principal import Credential, digest_of
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from occupancy.web.auth import principal, requires
from tests.support.deployment import ROOT

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
PLACEHOLDERS = {
    "board": "B",
    "tag": "T",
    "worker_id": "W",
    "token_id": "K",
    "badge_id": "G",
    "station_id": "S",
    "import_id": "I",
    "name": "F",
    "version": "V",
}
FILLED = {
    "B": "main",
    "T": "T-1",
    "W": "nobody-there",
    "K": "0000",
    "I": "0" * 16,
    "G": "0000",
    "S": "0000",
    "F": "nothing.css",
    "V": "0",
}
ROLES = ("observer", "worker", "supervisor", "admin")
COLUMNS = ("nobody", *ROLES, "of no board")
# Their view is reached before the role that the operation needs is known.
BY_OPERATION = ("api.operate_on_item", "api.batch")

Send = Callable[[str, str], str]


def documented() -> dict[str, dict[str, str]]:
    """The table of docs/access.md: "GET /path" → column → what it says."""
    text = (ROOT / "docs/access.md").read_text()
    rows: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.match(r"[A-Z]+ /", cells[0]):
            assert cells[0] not in rows, f"{cells[0]} stands there twice"
            rows[cells[0]] = dict(zip(COLUMNS, cells[1:], strict=True))
    return rows


TABLE = documented()
CASES = sorted(set(itertools.product(METHODS, {each.partition(" ")[2] for each in TABLE})))
# Without those of which the caller does not matter: 405, and OPTIONS.
ROUTED = [
    (method, path) for method, path in CASES
    if f"{'GET' if method == 'HEAD' else method} {path}" in TABLE
]  # fmt: skip


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


def expected(method: str, path: str, column: str) -> str:
    """What the table says: in, 401, 403, own, or 405 where the method is not routed."""
    if method == "OPTIONS":
        return "in"
    if (method, path) == ("POST", "/api/boards/B/items/T/history"):
        path = "/api/boards/B/items/T/take"  # an operation that there is not
    if (method, path) == ("PUT", "/api/workers/import"):
        path = "/api/workers/W"  # a worker of that id
    row = TABLE.get(f"{'GET' if method == 'HEAD' else method} {path}")
    return row[column] if row is not None else "405"


class Site:
    """The application, its people, and which of its views each request has reached."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.app = create_app(services)
        self.app.testing = False
        self._reached: list[str] = []
        for endpoint, view in self.app.view_functions.items():
            self.app.view_functions[endpoint] = self._watched(endpoint, view)
        for role in Role:
            services.workers.add(role.label, name=role.label.title(), role=role)

    def _watched(self, endpoint: str, view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def watched(*args: Any, **fields: Any) -> Any:
            self._reached.append(endpoint)
            return view(*args, **fields)

        return watched

    def became(self, browser: FlaskClient, method: str, path: str, headers: dict[str, str]) -> str:
        """What became of a request, as the table writes it; a stream is closed at once."""
        self._reached.clear()
        with browser.open(path, method=method, headers=headers, buffered=False) as response:
            status = response.status_code
        assert status < 500 or path.startswith("/readyz"), status
        if status in (401, 403):
            assert self._reached == [] or self._reached[0] in BY_OPERATION, "refused by its view"
        elif status not in (404, 405) and method != "OPTIONS":
            assert len(self._reached) == 1
        elif status == 404:
            return "in" if self._reached else "404"
        return str(status) if status in (401, 403, 405) else "in"

    def walk(
        self, send: Send, column: str, cases: Sequence[tuple[str, str]] = tuple(ROUTED)
    ) -> None:
        """Hold routes and methods to a column of the table."""
        for method, path in cases:
            found = send(method, address(path))
            assert found == expected(method, path, column), f"{method} {path}"

    # Callers that are let in. Each request of a session has one of its own: some end it.

    def by(self, auth_method: str, worker: str, **narrowed: Any) -> Send:
        """``worker``, by a token, by a session, or by one that was opened with a token."""
        if auth_method == "token":
            return self.bearer(self.services.tokens.create(worker, **narrowed)[0])
        # More than one: a token opens no more than a hundred sessions at once from one address.
        tokens = itertools.cycle(
            [self.services.tokens.create(worker, **narrowed)[0] for _ in range(10)]
        )

        def send(method: str, path: str) -> str:
            secret = next(tokens) if auth_method == "wall" else self.services.links.create(worker)
            browser, csrf = self.signed_in(secret)
            return self.became(browser, method, path, csrf)

        return send

    def signed_in(self, secret: str) -> tuple[FlaskClient, dict[str, str]]:
        browser = self.app.test_client()
        answer: Any = browser.post("/api/session", json={"token": secret}).json
        return browser, {"X-CSRF-Token": answer["csrf_token"]}

    def bearer(self, secret: str) -> Send:
        return self.sender({"Authorization": f"Bearer {secret}"})

    def cookie(self, secret: str, csrf: str, name: str = "occupancy") -> Send:
        return self.sender({"Cookie": f"{name}={secret}", "X-CSRF-Token": csrf})

    def sender(self, headers: dict[str, str]) -> Send:
        # With cookies of its own the client would drop the header.
        browser = self.app.test_client(use_cookies=False)
        return lambda method, path: self.became(browser, method, path, headers)


class Gone:
    """An administrator who is let in by every means, until something ends that."""

    def __init__(self, site: Site) -> None:
        services = site.services
        self.site = site
        self.services = services
        services.workers.add("x", name="X", role=Role.ADMIN)
        self.secret, self.token = services.tokens.create("x")
        self.by_token = services.authenticator.identify(Credential("token", digest_of(self.secret)))
        wall, wall_session = services.sign_in.with_token(self.by_token, address="test")
        link = services.links.create("x")
        self.own, self.session = services.sign_in.with_link(link, address="test")
        self.csrf = self.session.csrf_token
        self.senders = {
            "token": site.bearer(self.secret),
            "wall": site.cookie(wall, wall_session.csrf_token),
            "session": site.cookie(self.own, self.csrf),
        }
        for send in self.senders.values():
            for method in ("GET", "POST"):  # the latter with the CSRF token
                assert send(method, "/api/tokens") == "in"

    def ended_by(self, kind: str) -> list[Send]:
        """What was good until ``kind`` happened."""
        ended = getattr(self, f"_{kind.replace(' ', '_')}")()
        self.services.authenticator.forget()
        return [self.senders[each] for each in ended]

    def _disabled(self) -> list[str]:
        self.services.workers.edit("x", disabled=True)
        return ["token", "wall", "session"]

    def _removed(self) -> list[str]:  # by hand: there is no such command
        self.services.store.client.hdel(self.services.store.keys.workers, "x")
        return ["token", "wall", "session"]

    def _revoked(self) -> list[str]:
        self.services.tokens.revoke(self.token.id)
        return ["token", "wall"]

    def _expired(self) -> list[str]:
        self._store(self.services.store.keys.tokens, self.secret, self.token, expires_s=1)
        return ["token", "wall"]

    def _idle(self) -> list[str]:
        self._store(self.services.store.keys.sessions, self.own, self.session, created_s=1)
        return ["session"]

    def _over(self) -> list[str]:
        self._store(self.services.store.keys.sessions, self.own, self.session, ends_s=1)
        return ["session"]

    def _signed_out(self) -> list[str]:
        assert self.senders["session"]("DELETE", "/api/session") == "in"
        return ["session"]

    def _signed_out_everywhere(self) -> list[str]:
        self.services.workers.sign_out("x")
        return ["wall", "session"]

    def _given_another_pin(self) -> list[str]:
        self.services.workers.edit("x", pin_hash="another")
        return ["wall", "session"]

    def _replaced(self) -> list[str]:
        link = self.services.links.create("worker")
        self.services.sign_in.with_link(link, address="test", instead_of=self.own)
        return ["session"]

    def _store(self, key: str, secret: str, stored: msgspec.Struct, **changes: int) -> None:
        digest, client = digest_of(secret), self.services.store.client
        client.hset(key, digest, msgspec.json.encode(msgspec.structs.replace(stored, **changes)))
        client.hdel(self.services.store.keys.uses, digest)

    def forged(self) -> list[Send]:
        """What was never given out, or not for this use."""
        site = self.site
        return [
            site.bearer("occ_" + "x" * 43),
            site.bearer(self.own),
            site.bearer(digest_of(self.secret)),  # who has read Redis cannot get in with it
            site.bearer(self.services.links.create("x")),
            site.bearer(site.services.tickets.create(self.by_token)),
            site.sender({"Authorization": f"Basic {self.secret}"}),
            site.sender({"Authorization": self.secret}),
            site.sender({"X-Api-Key": self.secret}),
            site.cookie("x" * 43, self.csrf),
            site.cookie(self.secret, self.csrf),
            site.cookie(digest_of(self.own), self.csrf),
            site.cookie(self.session.id, self.csrf),
            site.cookie(self.csrf, self.csrf),
            site.cookie("admin", "x"),
            site.cookie(self.own, self.csrf, "__Host-occupancy"),  # that of HTTPS
            # A token counts before the cookie, a bad one too.
            site.sender(
                {"Cookie": f"occupancy={self.own}", "X-CSRF-Token": self.csrf,
                 "Authorization": "Bearer x"}
            ),
        ]  # fmt: skip


ENDS = (
    "disabled", "removed", "expired", "revoked", "idle", "over", "signed out",
    "signed out everywhere", "given another pin", "replaced",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _many_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    """One token opens a session for each route here, more than it may at once."""
    monkeypatch.setattr(sessions_module, "_TOKEN_AT_ONCE", 10_000)
    monkeypatch.setattr(sessions_module, "_TOKEN_ADDRESS_AT_ONCE", 10_000)


@pytest.fixture
def site(valkey_services: Services) -> Site:
    return Site(valkey_services)


def test_the_table_has_every_route_and_no_other(site: Site) -> None:
    assert set(TABLE) == routed(site.app)


# Roles


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("auth_method", ["token", "session", "wall"])
def test_a_role_is_allowed_where_the_table_says(site: Site, role: str, auth_method: str) -> None:
    site.walk(site.by(auth_method, role), role, CASES)


@pytest.mark.parametrize("auth_method", ["token", "wall"])
@pytest.mark.parametrize(("role", "least"), list(itertools.combinations(reversed(ROLES), 2)))
def test_a_narrowed_token_may_do_what_its_role_may_and_no_more(
    site: Site, role: str, least: str, auth_method: str
) -> None:
    site.walk(site.by(auth_method, role, role=Role.of(least)), least)


@pytest.mark.parametrize("auth_method", ["token", "session", "wall"])
def test_a_lower_role_applies_to_all_earlier_credentials(site: Site, auth_method: str) -> None:
    send = site.by(auth_method, "admin")
    narrowed = site.by("token", "admin", role=Role.SUPERVISOR)
    assert send("GET", "/api/workers") == "in"
    site.services.workers.add("another", name="Another", role=Role.ADMIN)
    site.services.workers.edit("admin", role="observer")
    site.walk(send, "observer")
    site.walk(narrowed, "observer")


@pytest.mark.parametrize("row", TRANSITIONS.values(), ids=list(TRANSITIONS))
@pytest.mark.parametrize("role", ROLES)
def test_an_operation_needs_its_role_alone_and_in_a_batch(site: Site, row: Any, role: str) -> None:
    site.services.workers.add("receiver", name="Receiver", role=Role.WORKER)
    secret, _ = site.services.tokens.create(role)
    headers = {"Authorization": f"Bearer {secret}"}
    body: dict[str, Any] = {"reason": "because"} if row.reason == "required" else {}
    body |= {"to": "receiver"} if row.holder == "to" else {}
    body |= {"step": "work"} if row.step == "required" else {}
    may = Role.of(role) >= row.role
    path, browser = f"/api/boards/main/items/T-1/{row.operation}", site.app.test_client()
    assert browser.post(path, json=body, headers=headers).status_code == (404 if may else 403)
    body |= {"operation": row.operation, "tags": ["T-1"]}
    answer = browser.post("/api/boards/main/batch", json=body, headers=headers)
    assert answer.status_code == (200 if may else 403)


# Nobody


def test_requests_without_a_credential_are_allowed_where_the_table_says(site: Site) -> None:
    site.walk(site.sender({}), "nobody", CASES)


@pytest.mark.parametrize("kind", ENDS)
def test_ended_access_is_unauthenticated(site: Site, kind: str) -> None:
    for send in Gone(site).ended_by(kind):
        site.walk(send, "nobody")


def test_a_credential_of_another_kind_is_unauthenticated(site: Site) -> None:
    for send in Gone(site).forged():
        site.walk(send, "nobody")


def test_a_cookie_without_its_csrf_token_changes_nothing(site: Site) -> None:
    gone = Gone(site)
    _, other = site.signed_in(site.services.links.create("admin"))
    for csrf in ("", "x", other["X-CSRF-Token"]):
        send = site.cookie(gone.own, csrf)
        for method, path in ROUTED:
            says = expected(method, path, "admin")
            if method not in ("GET", "HEAD") and path != "/api/session":
                says = "403"
            if (method, path) != ("DELETE", "/api/session"):
                assert send(method, address(path)) == says, f"{method} {path}"
        assert send("DELETE", "/api/session") == "403"
    assert gone.senders["session"]("GET", "/api/session") == "in"


def test_no_other_spelling_of_an_address_lets_anybody_in(site: Site) -> None:
    open_to_all = {path for path in TABLE if TABLE[path]["nobody"] == "in"}
    send = site.sender({})
    for route in sorted(set(TABLE) - open_to_all):
        method, _, path = route.partition(" ")
        path = address(path)
        last = path.rpartition("/")[2]
        for spelled in (
            f"{path}/", path.upper(), f"/.{path}", f"/x/..{path}", f"{path};x",
            f"{path}%00", path.replace(last, f"%{ord(last[0]):02x}{last[1:]}"), f"http://elsewhere{path}",
            f"{path}?ticket=x", f"{path}?access_token=x&_method=GET",
        ):  # fmt: skip
            assert send(method, spelled) in ("401", "404", "405"), spelled


def test_a_ticket_opens_a_stream_and_nothing_else(site: Site) -> None:
    secret, _ = site.services.tokens.create("admin")
    admin = site.services.authenticator.identify(Credential("token", digest_of(secret)))
    for method, path in ROUTED:
        ticket = site.services.tickets.create(admin)
        found = site.sender({})(method, f"{address(path)}?ticket={ticket}")
        is_stream = path.endswith("/events") and method in ("GET", "HEAD")
        assert found == ("in" if is_stream else expected(method, path, "nobody"))


# One board


@pytest.mark.parametrize("auth_method", ["token", "wall"])
def test_a_token_of_another_board_is_allowed_only_where_the_table_says(
    site: Site, auth_method: str
) -> None:
    site.services.store.boards.create("other")
    send = site.by(auth_method, "admin", board="other")
    for method, path in ROUTED:
        says = expected(method, path, "admin")
        if says == "in":
            column = expected(method, path, "of no board")
            assert (column == "") == path.startswith("/api/boards/B")
            says = {"": "403", "own": "in"}.get(column, column)
        assert send(method, address(path)) == says, f"{method} {path}"


def test_a_token_of_a_board_does_there_what_its_role_may(site: Site) -> None:
    send = site.by("token", "supervisor", board="main")
    for method, path in ROUTED:
        if path.startswith("/api/boards/B"):
            says = expected(method, path, "supervisor")
            assert send(method, address(path)) == says, f"{method} {path}"


def test_no_other_spelling_of_a_board_is_another_board(site: Site) -> None:
    send = site.by("token", "admin", board="main")
    for board in ("Main", "MAIN", "main%20", "%20main", "main%00", "main%0a", "mai%6e%2f", "*"):
        assert send("GET", f"/api/boards/{board}/items") in ("403", "404")


def test_a_token_of_one_board_is_shown_that_board_only(site: Site) -> None:
    site.services.store.boards.create("other")
    secret, _ = site.services.tokens.create("admin", board="other")
    headers = {"Authorization": f"Bearer {secret}"}
    answer: Any = site.app.test_client().get("/api/boards", headers=headers).json
    assert [each["board"] for each in answer["boards"]] == ["other"]
    assert site.bearer(secret)("GET", "/api/boards/other") == "in"


def test_a_ticket_has_the_board_of_its_token(site: Site) -> None:
    site.services.store.boards.create("other")
    secret, _ = site.services.tokens.create("observer", board="other")
    wall = site.services.authenticator.identify(Credential("token", digest_of(secret)))
    for board, became in (("main", "403"), ("other", "in")):
        ticket = site.services.tickets.create(wall)
        assert site.sender({})("GET", f"/api/boards/{board}/events?ticket={ticket}") == became


# What no table has


def test_options_tells_the_methods_and_nothing_else(site: Site) -> None:
    answer = site.app.test_client().options("/api/workers")
    assert answer.status_code == 200
    assert answer.data == b""
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_route_that_declares_nothing_is_in_no_table_and_refused_to_everybody(
    site: Site, method: str
) -> None:
    reached = []

    def forgotten() -> str:
        reached.append(principal())
        return "here"

    site.app.add_url_rule("/api/forgotten", view_func=forgotten, methods=[method])
    assert method == "OPTIONS" or set(TABLE) != routed(site.app)
    assert site.sender({})(method, "/api/forgotten") == "401"
    for role in ROLES:
        for auth_method in ("token", "session", "wall"):
            assert site.by(auth_method, role)(method, "/api/forgotten") == "403"
    assert reached == []


def test_a_route_that_answers_options_itself_is_asked_for_its_role(site: Site) -> None:
    @requires(Role.ADMIN)
    def explain() -> str:
        return "here"

    site.app.add_url_rule("/api/explained", view_func=explain, methods=["OPTIONS"])
    assert site.sender({})("OPTIONS", "/api/explained") == "401"
    assert site.by("token", "worker")("OPTIONS", "/api/explained") == "403"
    assert site.by("token", "admin")("OPTIONS", "/api/explained") == "in"

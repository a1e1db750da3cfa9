"""Who may do what: every route, every method, every kind of caller, held to docs/access.md."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from occupancy import create_app
from occupancy.auth import caller, requires
from occupancy.callers import Credential, digest_of
from occupancy.model import TRANSITIONS, Role
from occupancy.services import Services
from tests.deployment import ROOT

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
PLACEHOLDERS = {"board": "B", "tag": "T", "worker_id": "W", "token_id": "K", "filename": "F"}
FILLED = {"B": "main", "T": "T-1", "W": "nobody-there", "K": "0000", "F": "nothing.css"}
ROLES = ("observer", "worker", "supervisor", "admin")
COLUMNS = ("nobody", *ROLES, "of no board")
# Their view is reached before the role that the operation needs is known.
BY_OPERATION = ("api.operate", "api.batch")

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

    def walk(self, send: Send, column: str) -> None:
        """Hold all routes and methods to a column of the table."""
        for method, path in CASES:
            found = send(method, address(path))
            assert found == expected(method, path, column), f"{method} {path}"

    # Callers that are let in. Each request of a session has one of its own: some end it.

    def by(self, means: str, worker: str, **narrowed: Any) -> Send:
        """``worker``, by a token, by a session, or by one that was opened with a token."""
        if means == "token":
            return self.bearer(self.services.tokens.create(worker, **narrowed)[0])
        shown = self.services.tokens.create(worker, **narrowed)[0]

        def send(method: str, path: str) -> str:
            secret = shown if means == "wall" else self.services.sessions.create_link(worker)
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

    # Callers that are let in no more, or never were

    def nobodies(self, kind: str) -> list[Send]:
        services = self.services
        if kind == "none":
            return [self.sender({})]
        worker = services.workers.add("x", name="X", role=Role.ADMIN)
        secret, token = services.tokens.create("x")
        by_token = services.access.identify(Credential("token", digest_of(secret)))
        wall, wall_session = services.sessions.with_token(by_token, address="test")
        link = services.sessions.create_link("x")
        own, own_session = services.sessions.with_link(link, address="test")
        own_csrf = own_session.csrf_token
        if kind == "forged":
            return [
                self.bearer("occ_" + "x" * 43),
                self.bearer(own),
                self.bearer(digest_of(secret)),  # who has read Redis cannot get in with it
                self.bearer(services.sessions.create_link("x")),
                self.bearer(services.sessions.create_ticket(by_token)),
                self.sender({"Authorization": f"Basic {secret}"}),
                self.sender({"Authorization": secret}),
                self.sender({"X-Api-Key": secret}),
                self.cookie("x" * 43, own_csrf),
                self.cookie(secret, own_csrf),
                self.cookie(digest_of(own), own_csrf),
                self.cookie(own_session.id, own_csrf),
                self.cookie("admin", "x"),
                self.cookie(own, own_csrf, "__Host-occupancy"),  # not by HTTPS
                # A token counts before the cookie, a bad one too.
                self.sender(
                    {"Cookie": f"occupancy={own}", "X-CSRF-Token": own_csrf,
                     "Authorization": "Bearer x"}
                ),
            ]  # fmt: skip
        token_and_wall = [self.bearer(secret), self.cookie(wall, wall_session.csrf_token)]
        session = self.cookie(own, own_csrf)
        keys, client = services.store.keys, services.store.client
        senders = [session]
        if kind == "disabled":
            services.workers.edit(worker.id, disabled=True)
            senders = [*token_and_wall, session]
        elif kind == "removed":  # by hand: there is no such command
            client.hdel(keys.workers, worker.id)
            senders = [*token_and_wall, session]
        elif kind == "revoked":
            services.tokens.revoke(token.id)
            senders = token_and_wall
        elif kind == "expired":
            ended = msgspec.structs.replace(token, expires_s=1)
            client.hset(keys.tokens, digest_of(secret), msgspec.json.encode(ended))
            senders = token_and_wall
        elif kind in ("idle", "over"):
            changes = {"created_s": 1} if kind == "idle" else {"ends_s": 1}
            over = msgspec.structs.replace(own_session, **changes)
            client.hset(keys.sessions, digest_of(own), msgspec.json.encode(over))
            client.hdel(keys.uses, digest_of(own))
        elif kind == "signed out":
            assert session("DELETE", "/api/session") == "in"
        elif kind == "signed out everywhere":
            services.workers.sign_out(worker.id)
        elif kind == "replaced":
            again = services.sessions.create_link("worker")
            services.sessions.with_link(again, address="test", instead_of=own)
        services.access.forget()
        return senders


NOBODIES = (
    "none", "disabled", "removed", "expired", "revoked", "idle", "over", "signed out",
    "signed out everywhere", "replaced", "forged",
)  # fmt: skip


@pytest.fixture
def site(valkey_services: Services) -> Site:
    return Site(valkey_services)


def test_the_table_has_every_route_and_no_other(site: Site) -> None:
    assert set(TABLE) == routed(site.app)


# Roles


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("means", ["token", "session", "wall"])
def test_a_role_is_let_in_where_the_table_says(site: Site, role: str, means: str) -> None:
    site.walk(site.by(means, role), role)


@pytest.mark.parametrize("means", ["token", "wall"])
@pytest.mark.parametrize(("role", "least"), list(itertools.combinations(reversed(ROLES), 2)))
def test_a_narrowed_token_may_do_what_its_role_may_and_no_more(
    site: Site, role: str, least: str, means: str
) -> None:
    site.walk(site.by(means, role, role=Role.of(least)), least)


@pytest.mark.parametrize("means", ["token", "session", "wall"])
def test_whoever_gets_a_lower_role_has_it_with_all_that_was_given_out_before(
    site: Site, means: str
) -> None:
    send = site.by(means, "admin")
    narrowed = site.by("token", "admin", role=Role.SUPERVISOR)
    assert send("GET", "/api/workers") == "in"
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
    may = Role.of(role) >= row.role
    path, browser = f"/api/boards/main/items/T-1/{row.operation}", site.app.test_client()
    assert browser.post(path, json=body, headers=headers).status_code == (404 if may else 403)
    body |= {"operation": row.operation, "tags": ["T-1"]}
    answer = browser.post("/api/boards/main/batch", json=body, headers=headers)
    assert answer.status_code == (200 if may else 403)


# Nobody


@pytest.mark.parametrize("kind", NOBODIES)
def test_nobody_is_let_in_where_the_table_says(site: Site, kind: str) -> None:
    for send in site.nobodies(kind):
        site.walk(send, "nobody")


def test_no_other_spelling_of_an_address_lets_anybody_in(site: Site) -> None:
    open_to_all = {path for path in TABLE if TABLE[path]["nobody"] == "in"}
    send = site.sender({})
    for route in sorted(set(TABLE) - open_to_all):
        method, _, path = route.partition(" ")
        path = address(path)
        last = path.rpartition("/")[2]
        for spelled in (
            f"{path}/", f"/{path}", path.upper(), f"/.{path}", f"/x/..{path}", f"{path};x",
            f"{path}%00", path.replace(last, f"%{ord(last[0]):02x}{last[1:]}"), f"http://elsewhere{path}",
            f"{path}?ticket=x", f"{path}?access_token=x&_method=GET",
        ):  # fmt: skip
            assert send(method, spelled) in ("401", "404", "405"), spelled


def test_a_ticket_opens_a_stream_and_nothing_else(site: Site) -> None:
    secret, _ = site.services.tokens.create("admin")
    admin = site.services.access.identify(Credential("token", digest_of(secret)))
    for method, path in CASES:
        ticket = site.services.sessions.create_ticket(admin)
        found = site.sender({})(method, f"{address(path)}?ticket={ticket}")
        is_stream = path.endswith("/events") and method in ("GET", "HEAD")
        assert found == ("in" if is_stream else expected(method, path, "nobody"))


# One board


@pytest.mark.parametrize("means", ["token", "wall"])
def test_a_token_of_another_board_is_let_in_nowhere_but_where_the_table_says(
    site: Site, means: str
) -> None:
    site.services.store.boards.create("other")
    send = site.by(means, "admin", board="other")
    for method, path in CASES:
        says = expected(method, path, "admin")
        if says == "in" and method != "OPTIONS":
            column = expected(method, path, "of no board")
            assert (column == "") == ("/B" in path)
            says = {"": "403", "own": "in"}.get(column, column)
        assert send(method, address(path)) == says, f"{method} {path}"


def test_a_token_of_a_board_does_there_what_its_role_may(site: Site) -> None:
    send = site.by("token", "supervisor", board="main")
    for method, path in CASES:
        if "/B" in path:
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


def test_a_ticket_is_for_the_board_of_who_asked_for_it(site: Site) -> None:
    site.services.store.boards.create("other")
    secret, _ = site.services.tokens.create("observer", board="other")
    wall = site.services.access.identify(Credential("token", digest_of(secret)))
    for board, became in (("main", "403"), ("other", "in")):
        ticket = site.services.sessions.create_ticket(wall)
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
        reached.append(caller())
        return "here"

    site.app.add_url_rule("/api/forgotten", view_func=forgotten, methods=[method])
    assert method == "OPTIONS" or set(TABLE) != routed(site.app)
    assert site.nobodies("none")[0](method, "/api/forgotten") == "401"
    for role in ROLES:
        for means in ("token", "session"):
            assert site.by(means, role)(method, "/api/forgotten") == "403"
    assert reached == []


def test_a_route_that_answers_options_itself_is_asked_for_its_role(site: Site) -> None:
    @requires(Role.ADMIN)
    def explain() -> str:
        return "here"

    site.app.add_url_rule("/api/explained", view_func=explain, methods=["OPTIONS"])
    assert site.sender({})("OPTIONS", "/api/explained") == "401"
    assert site.by("token", "worker")("OPTIONS", "/api/explained") == "403"
    assert site.by("token", "admin")("OPTIONS", "/api/explained") == "in"

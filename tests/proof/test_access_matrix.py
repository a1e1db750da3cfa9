"""Every route with every method, role and state of a credential, on a real deployment.

What must become of each request stands in a table of the proof's own.
"""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from occupancy.services import Services
from proof.access import routes
from proof.access.calls import Sender
from proof.access.expected import ROUTES, Holds, right_outcomes
from proof.access.matrix import Matrix
from proof.access.site import Site
from proof.access.states import STATES
from proof.deployment.running import running
from tests.conftest import require_binary

SEED = 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require_binary("valkey")
    with running(Site(tmp_path_factory.mktemp("access"))) as started:
        yield started


def test_the_table_has_every_route_of_the_document(valkey_services: Services) -> None:
    assert routes.documented(routes.application(valkey_services)) == set(ROUTES)


def test_the_table_has_every_rule_of_the_application(valkey_services: Services) -> None:
    found = routes.mapped(routes.application(valkey_services))
    operations = {each for each in found if each.endswith("/{operation}")}
    prefixes = [each.removesuffix("{operation}") for each in operations]
    others = {each for each in ROUTES if not any(each.startswith(start) for start in prefixes)}
    assert len(operations) == 1
    assert found - operations == others


_PUBLIC = {row for row, (role, status) in ROUTES.items() if not role and status != 404}
_OF_PEOPLE = {"DELETE /api/session", "PUT /api/session/pin"}
_OF_BADGES = {"POST /api/session/confirm"}
_OF_OBSERVERS = {row for row, (role, _) in ROUTES.items() if role == "observer"}
_FOUND = {row for row, (_, status) in ROUTES.items() if status != 404}
# Each kind of credential, and what somebody with a good one is let in to.
LET_IN = {
    "token": _FOUND - _OF_PEOPLE - _OF_BADGES,
    "malformed": _PUBLIC,
    "session": _FOUND,
    "station": _PUBLIC | _OF_OBSERVERS - _OF_PEOPLE - _OF_BADGES,
    "ticket": _PUBLIC | {"GET /api/boards/{board}/events"},
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", LET_IN)
def test_each_credential_is_let_in_and_refused_where_the_table_says(site: Site, kind: str) -> None:
    states = [each for each in STATES if each.startswith(kind)]
    matrix = Matrix(site, seed=SEED, is_full=False)

    matrix.run(states)

    assert not matrix.violations, matrix.violations[:20]
    # A check that refuses everything, or lets in everything, is none.
    assert set(matrix.let_in) == LET_IN[kind]
    assert set(matrix.refused) == set(states)


def test_each_state_of_a_credential_is_of_one_kind() -> None:
    assert all(sum(state.startswith(kind) for kind in LET_IN) == 1 for state in STATES)


def test_where_the_pin_and_the_right_board_are_missing_the_board_is_named() -> None:
    holds = Holds(
        "worker", board="other", is_cookie=True, role_with_pin="supervisor", is_badge=True
    )
    block = "/api/boards/{board}/items/{tag}/block"
    assert right_outcomes("POST", block, "other", holds) == [(403, "pin_required")]
    assert right_outcomes("POST", block, "main", holds) == [(403, "forbidden")]
    take = block.replace("block", "take")
    assert right_outcomes("POST", take, "main", holds) == [(403, "forbidden")]


def test_requests_from_other_addresses_do_not_make_a_kept_connection_look_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callers: list[str] = []  # of each connection

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            callers.append(self.client_address[0])

        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing on stderr."""

    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sender = Sender(server.server_port)
        for source in (None, "127.0.0.2", None):
            assert sender.send("GET", "/", {}, source=source, connection=0).status == 204
            now_s += 0.9
        sender.close()
        server.shutdown()
    assert callers == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]

"""Which turn a request waits for: an operation of a known worker for none, others for a share's."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.access.read_turns import Share
from occupancy.core.entities import Role
from occupancy.core.principal import Credential, digest_of
from occupancy.server.fast.request import parse
from occupancy.services import Services
from occupancy.web.auth import take_turn
from tests.support.raw_http import request

ADDRESS = "192.0.2.1"
TAKE = "POST /api/boards/main/items/T-1/take"
READ = "GET /api/boards"
SIGN_IN = "POST /api/session"


class Turns:
    """The turns that requests have waited for."""

    def __init__(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        self.services = services
        self.waited: list[tuple[Share, bool]] = []
        monkeypatch.setattr(services.read_turns, "wait", self._wait)
        self.tokens = {}
        for name, role in (("worker", Role.WORKER), ("observer", Role.OBSERVER)):
            services.workers.add(name, name=name, role=role)
            self.tokens[name], _ = services.tokens.create(name)
            services.authenticator.identify(Credential("token", digest_of(self.tokens[name])))

    def _wait(self, share: Share, *, is_neighbour: bool = False) -> None:
        self.waited.append((share, is_neighbour))

    def of(self, line: str, who: str | None = None, address: str = ADDRESS) -> list[Any]:
        """The turns that a request waits for."""
        self.waited.clear()
        token = self.tokens.get(who or "", who)
        headers = [f"Authorization: Bearer {token}"] if token else []
        read = parse(request(line, *headers), address)
        assert read is not None
        take_turn(read, self.services)
        return self.waited


@pytest.fixture
def turns(services: Services, monkeypatch: pytest.MonkeyPatch) -> Turns:
    return Turns(services, monkeypatch)


def test_an_operation_of_a_known_worker_waits_for_no_turn(turns: Turns) -> None:
    assert turns.of(TAKE, "worker") == []


def test_reads_wait_for_a_turn_of_their_worker_from_any_address(turns: Turns) -> None:
    for address in (ADDRESS, "192.0.2.2"):
        assert turns.of(READ, "worker", address) == [(Share("worker", is_known=True), False)]
    assert turns.of(TAKE, "observer") == [(Share("observer", is_known=True), False)]


@pytest.mark.parametrize("token", [None, "occ_invented"])
@pytest.mark.parametrize(("line", "is_read"), [(READ, True), (TAKE, False), (SIGN_IN, False)])
def test_who_is_not_known_waits_for_a_turn_of_the_address_whatever_is_asked(
    turns: Turns, line: str, token: str | None, *, is_read: bool
) -> None:
    assert turns.of(line, token) == [(Share((ADDRESS, is_read), is_known=False), False)]


def test_at_a_known_address_a_sign_in_has_a_known_senders_turn(turns: Turns) -> None:
    turns.of(READ, "worker")
    assert turns.of(SIGN_IN) == [(Share((ADDRESS, False), is_known=True), True)]
    assert turns.of(TAKE) == [(Share((ADDRESS, False), is_known=False), True)]
    assert turns.of(SIGN_IN, address="192.0.2.2") == [
        (Share(("192.0.2.2", False), is_known=False), False)
    ]


def test_all_probes_have_one_share(turns: Turns) -> None:
    probes = [
        turns.of(f"GET {path}", who)[0]
        for path in ("/livez", "/metrics")
        for who in (None, "worker")
    ]
    assert probes == [(Share("|probes", is_known=True), False)] * 4

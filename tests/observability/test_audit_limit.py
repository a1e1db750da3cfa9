"""Denials in the trail: each has its line, and a flood of them is a count."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from occupancy.core.entities import Role
from occupancy.observability import audit_limit, repeated_warnings
from occupancy.observability.audit_limit import AuditLimit
from occupancy.services import Services
from tests.support.applications import application
from tests.support.tablets import audit_lines_of

HOME, AWAY = "10.0.0.1", "203.0.113.9"


class Denials:
    """Denials, and their lines in the audit log."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.audit = AuditLimit()
        self._caplog = caplog

    def refuse(self, times: int, code: str, worker: str = "93", address: str = AWAY) -> None:
        for _ in range(times):
            self.audit.record("denied", code=code, worker=worker, address=address, path="/x")

    def told(self) -> list[tuple[Any, ...]]:
        """Code, worker, address, and how many more; forgotten after it was asked for."""
        lines = audit_lines_of(self._caplog)
        self._caplog.clear()
        return [(each["code"], each["worker"], each["address"], each.get("more")) for each in lines]


@pytest.fixture
def denials(caplog: pytest.LogCaptureFixture) -> Iterator[Denials]:
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        made = Denials(caplog)
        yield made
        made.audit.flush()


def test_of_a_flood_of_429_one_line_and_then_a_count_is_written(denials: Denials) -> None:
    denials.refuse(1000, "rate_limited")
    assert denials.told() == [("rate_limited", "93", AWAY, None)]
    denials.audit.flush()
    assert denials.told() == [("rate_limited", "93", AWAY, 999)]
    denials.audit.flush()
    assert denials.told() == []
    denials.refuse(1, "rate_limited")
    assert denials.told() == [("rate_limited", "93", AWAY, None)], "the next minute"


@pytest.mark.parametrize("code", ["unauthenticated", "forbidden", "csrf"])
def test_other_denials_each_have_their_line_until_they_are_a_flood(
    denials: Denials, code: str
) -> None:
    denials.refuse(20, code)
    assert denials.told() == [(code, "93", AWAY, None)] * 20
    denials.refuse(300, code)
    assert denials.told() == []
    denials.audit.flush()
    assert denials.told() == [(code, "93", AWAY, 300)]


def test_a_flood_of_one_kind_hides_no_other(denials: Denials) -> None:
    denials.refuse(50, "rate_limited")
    denials.told()
    denials.refuse(1, "rate_limited", worker="94")
    denials.refuse(1, "rate_limited", address=HOME)
    denials.refuse(1, "forbidden")
    assert denials.told() == [
        ("rate_limited", "94", AWAY, None),
        ("rate_limited", "93", HOME, None),
        ("forbidden", "93", AWAY, None),
    ]


def test_who_has_a_whole_network_is_one_address(denials: Denials) -> None:
    for number in range(50):
        denials.refuse(1, "rate_limited", address=f"2001:db8::{number:x}")
    denials.audit.flush()
    assert [each[3] for each in denials.told()] == [None, 49]


def test_a_flood_from_very_many_addresses_is_bounded_too(
    denials: Denials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_limit, "_MAX_KINDS", 5)
    for number in range(200):
        denials.refuse(1, "unauthenticated", address=f"10.0.0.{number}")
    denials.audit.flush()
    told = denials.told()
    assert len(told) == 5 + 20 + 1
    assert told[-1] == ("others", None, None, 200 - 5 - 20)


def test_the_count_is_told_when_the_minute_is_over(
    denials: Denials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeated_warnings, "MINUTE_S", 0.01)
    denials.refuse(3, "rate_limited")
    assert denials.audit._minute is not None
    denials.audit._minute.join(timeout=10)
    assert [each[3] for each in denials.told()] == [None, 2]


def test_a_program_that_runs_wild_without_a_token_leaves_a_count(
    valkey_services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    valkey_services.workers.add("1", name="One", role=Role.ADMIN)
    browser = application(valkey_services).test_client()
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        for _ in range(30):
            assert browser.get("/api/boards").status_code == 401
            assert browser.post("/api/session", json={"token": "occ_x"}).status_code == 401
            assert browser.post("/api/session", json={"token": "occlink_x"}).status_code == 401
        valkey_services.drain()
    lines = [(each["event"], each.get("by"), each.get("more")) for each in audit_lines_of(caplog)]
    assert lines.count(("denied", None, None)) == 20
    assert lines.count(("denied", None, 10)) == 1
    refused = [each for each in lines if each[0] == "sign_in_refused"]
    assert len(refused) == 20 + 1
    assert refused[-1] == ("sign_in_refused", None, 40)
    assert {by for _, by, _ in refused[:20]} == {"token", "link"}
    exposed = valkey_services.metrics.exposition().decode()
    assert 'occupancy_denials_total{code="unauthenticated"} 90.0' in exposed

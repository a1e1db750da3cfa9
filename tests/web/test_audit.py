"""The audit trail over HTTP: pages, the export, and what the export leaves behind."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from occupancy.core.entities import Role
from occupancy.services import Services
from tests.support.applications import application


@pytest.fixture
def audit(valkey_services: Services) -> FlaskClient:
    """A client of an administrator, and two entries."""
    services = valkey_services
    services.workers.add("boss", name="Boss", role=Role.ADMIN)
    secret, _ = services.tokens.create("boss")
    services.audit_trail.add("board_added", by="boss", means="token", board="hall")
    services.audit_trail.add(
        "denied", code="forbidden", worker="94", method="GET", path="=HYPERLINK(1)", address="@x"
    )
    browser = application(services).test_client()
    browser.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return browser


def entries(audit: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    answer = audit.get(f"/api/audit{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["entries"])


def test_the_newest_come_first_and_pages_lead_on(audit: FlaskClient) -> None:
    assert [each["event"] for each in entries(audit)] == ["denied", "board_added"]
    first = audit.get("/api/audit?limit=1").get_json()
    assert [each["event"] for each in first["entries"]] == ["denied"]
    second = audit.get(f"/api/audit?limit=1&page={first['next']}").get_json()
    assert [each["event"] for each in second["entries"]] == ["board_added"]
    assert second["next"] is None
    assert audit.get(f"/api/audit?by=boss&page={first['next']}").status_code == 400


@pytest.mark.parametrize(
    "query", ["event=none", "since=x", "limit=0", "limit=501", "page=x", "colour=red", "format=csv"]
)
def test_a_wrong_query_is_refused_and_says_why(audit: FlaskClient, query: str) -> None:
    answer = audit.get(f"/api/audit?{query}")
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_request")


def test_the_csv_export_is_safe_to_open_and_has_every_entry(audit: FlaskClient) -> None:
    answer = audit.get("/api/audit/export?format=csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head == ["at", "event", "by", "means", "worker", "board", "address", "details"]
    assert [row[1] for row in rows] == ["audit_exported", "denied", "board_added"]
    assert rows[1][6] == "'@x"
    assert json.loads(rows[1][7])["path"] == "=HYPERLINK(1)"
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r")]


def test_the_export_as_json_lines_has_what_the_api_shows(audit: FlaskClient) -> None:
    answer = audit.get("/api/audit/export?format=jsonl&board=hall")
    assert answer.headers["Content-Type"] == "application/jsonl"
    listed = [json.loads(line) for line in answer.text.splitlines()]
    assert listed == entries(audit, "?event=board_added&board=hall")


def test_each_export_is_itself_recorded_with_its_filters(audit: FlaskClient) -> None:
    assert audit.head("/api/audit/export").status_code == 200
    assert audit.get("/api/audit/export?format=x").status_code == 400
    assert entries(audit, "?event=audit_exported") == []
    audit.get("/api/audit/export?format=jsonl&worker=94&q=take")
    [exported] = entries(audit, "?event=audit_exported")
    assert (exported["by"], exported["means"]) == ("boss", "token")
    assert exported["details"] == {"format": "jsonl", "filter_worker": "94", "filter_q": "take"}


def test_a_long_export_comes_in_pieces(audit: FlaskClient, valkey_services: Services) -> None:
    for number in range(450):
        valkey_services.audit_trail.record_soon("denied", code="csrf", worker=str(number))
        if number % 150 == 0:
            valkey_services.audit_trail.flush()
    valkey_services.audit_trail.flush()
    with audit.get("/api/audit/export?format=jsonl&event=denied", buffered=False) as answer:
        pieces: list[Any] = list(answer.response)
    assert len(pieces) == 3
    assert b"".join(pieces).count(b"\n") == 451

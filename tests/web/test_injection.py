"""Whatever somebody sends: refused as a problem, or stored and read back exactly as it was."""

from __future__ import annotations

import json
import logging
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from occupancy.core.entities import Role
from occupancy.observability.log_lines import LineFormatter
from occupancy.services import Services
from tests.support.applications import application
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

PAYLOADS = {
    "cr": "a\rb",
    "lf": "a\nb",
    "crlf": "a\r\nb",
    "nul": "a\0b",
    "escape": "a\x1b[2Jb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "byte order mark": "\ufeffa",
    "right to left": "a\u202eb",
    "emoji": "a🔩b",
    "html": "<b>a</b>&amp;\"'`",
    "script": "<script>alert(1)</script>",
    "event": "x\n\nevent: item\ndata: {}\n\n",
    "header": "x\r\nSet-Cookie: a=b",
    "json": '","holder":null,"x":"',
    "backslash": "\\u000a\\",
    "log line": "x\n[2026-01-01] [1] [INFO] forged",
    "format": "%s %n {0} ${x}",
}
# What may stand in a text: no control character may (model.control_character), and nothing that
# turns what is read (visible.bidi_control).
CONTROL = {
    "cr", "lf", "crlf", "nul", "escape", "next line", "right to left", "event", "header",
    "log line",
}  # fmt: skip
KEPT = {name: text for name, text in PAYLOADS.items() if name not in CONTROL}

payload = pytest.mark.parametrize("name", PAYLOADS)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("state"), module_server.url)
    made.start()
    made.sign_in("admin", Role.ADMIN)
    yield made
    made.stop()


@pytest.fixture
def browser(valkey_services: Services) -> FlaskClient:
    app = application(valkey_services)
    valkey_services.workers.add("admin", name="Admin", role=Role.ADMIN)
    secret, _ = valkey_services.tokens.create("admin")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def refused(response: Any) -> bool:
    """Whether it was refused, as a problem; anything but an answer or a refusal fails."""
    assert response.status_code < 500, response.text
    if response.status_code < 400:
        return False
    assert response.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= set(json.loads(response.text))
    return True


# Read back exactly


@payload
def test_a_title_comes_back_as_it_was_or_is_refused(running: Deployment, name: str) -> None:
    text = PAYLOADS[name]
    tag = f"I-{secrets.token_hex(4)}"
    item = f"/api/boards/main/items/{tag}"
    stream = running.stream()
    stream.wait_for("ready")
    put = running.request("PUT", item, json={"title": text, "attributes": {text: text}})
    assert refused(put) == (name in CONTROL)
    plain = running.request("PUT", f"{item}-end", json={"title": "the end"})
    assert not refused(plain)
    if name in CONTROL:
        stream.wait_for("item")
        assert [each.data["item"]["title"] for each in stream.of_kind("item")] == ["the end"]
        stream.close()
        return
    for operation, body in (("take", {}), ("force-release", {"reason": text})):
        assert not refused(running.request("POST", f"{item}/{operation}", json=body))
    wait_until(lambda: stream.has(4), what="the events")
    events = stream.of_kind("item")
    stream.close()
    assert [each.data["type"] for each in events] == [
        "item.added", "item.added", "item.taken", "item.force_released",
    ]  # fmt: skip
    assert events[0].data["item"]["title"] == text
    assert events[0].data["item"]["attributes"] == {text: text}
    assert events[3].data["item"]["reason"] == text
    shown = running.request("GET", item).json()["item"]
    listed = running.request("GET", "/api/boards/main/items").json()["items"]
    history = running.request("GET", f"{item}/history").json()["history"]
    assert shown == events[3].data["item"] == history[0]["item"]
    assert shown in listed
    assert (shown["title"], shown["reason"], shown["attributes"]) == (text, text, {text: text})


@pytest.mark.parametrize("name", KEPT)
def test_a_workers_name_comes_back_as_it_was(browser: FlaskClient, name: str) -> None:
    text = KEPT[name]
    answer = browser.put("/api/workers/93", json={"name": text, "role": "worker"})
    assert not refused(answer)
    listed = browser.get("/api/workers").get_json(force=True)["workers"]
    assert text in [each["name"] for each in listed]


# Refused as a problem, wherever it stands


@payload
def test_whatever_stands_in_a_body_is_an_answer_or_a_problem(
    browser: FlaskClient, name: str
) -> None:
    text = PAYLOADS[name]
    item = "/api/boards/main/items/T-1"
    browser.put(item, json={})
    for method, path, body in (
        ("POST", f"{item}/take", {"reason": text}),
        ("POST", f"{item}/block", {"reason": text}),
        ("POST", f"{item}/reassign", {"to": text}),
        ("POST", f"{item}/reopen", {"step": text}),
        ("POST", f"{item}/send-back", {"step": text, "reason": text}),
        ("POST", "/api/boards/main/batch", {"operation": text, "tags": ["T-1"]}),
        ("POST", "/api/boards/main/batch", {"operation": "take", "tags": [text]}),
        ("POST", "/api/boards", {"board": text}),
        ("POST", "/api/boards", {"board": "b-2", "title": text, "steps": [text]}),
        ("PUT", "/api/workers/94", {"name": text, "role": text}),
        ("PUT", "/api/workers/94", {"name": "x", "role": "worker", "pin": text}),
        ("POST", "/api/tokens", {"worker": text}),
        ("POST", "/api/tokens", {"worker": "admin", "role": text, "board": text}),
        ("POST", "/api/session", {"worker": text, "pin": "4711"}),
        ("POST", "/api/session", {"worker": "admin", "pin": text}),
        ("POST", "/api/session", {"token": text}),
        ("POST", "/api/session", {text: text}),
    ):
        refused(browser.open(path, method=method, json=body))
    for encoded in (b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"'):
        broken = browser.put(
            item, data=b'{"title":' + encoded + b"}", content_type="application/json"
        )
        assert refused(broken)


@payload
def test_whatever_stands_in_an_address_is_an_answer_or_a_problem(
    browser: FlaskClient, name: str
) -> None:
    text = PAYLOADS[name]
    quoted = quote(text, safe="")
    for method, path in (
        ("GET", f"/api/boards/{quoted}"),
        ("GET", f"/api/boards/main/items/{quoted}"),
        ("POST", f"/api/boards/main/items/T-1/{quoted}"),
        ("PUT", f"/api/workers/{quoted}"),
        ("DELETE", f"/api/tokens/{quoted}"),
        ("HEAD", f"/api/boards/main/events?after={quoted}"),
        ("HEAD", f"/api/boards/main/events?ticket={quoted}"),
        *(("GET", f"/api/boards/main/items?{each}={quoted}")
          for each in ("q", "state", "holder", "limit", "page", "unknown")),
        ("GET", f"/{quoted}"),
    ):  # fmt: skip
        response = browser.open(path, method=method)
        assert response.status_code < 500


@payload
def test_whatever_stands_in_a_header_is_an_answer_or_a_problem(
    running: Deployment, name: str
) -> None:
    """As bytes on the wire: what a client's library would refuse to send."""
    value = PAYLOADS[name].encode()
    for header in (
        b"Authorization", b"Cookie", b"X-CSRF-Token", b"Idempotency-Key", b"If-Match",
        b"If-None-Match", b"Last-Event-ID", b"Origin", b"User-Agent", b"X-Forwarded-For",
        b"Accept-Language", b"Content-Type",
    ):  # fmt: skip
        known = running.headers["Authorization"].encode()
        prefix = {b"Cookie": b"occupancy=", b"Authorization": b"Bearer "}.get(header, b"")
        lines = [
            b"POST /api/boards/main/items/T-9/take HTTP/1.1", b"Host: 127.0.0.1",
            b"Content-Length: 0", b"Connection: close", header + b": " + prefix + value,
        ]  # fmt: skip
        if header not in (b"Authorization", b"Cookie"):
            lines.append(b"Authorization: " + known)
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
            connection.sendall(b"\r\n".join([*lines, b"", b""]))
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        head = answer.partition(b"\r\n\r\n")[0]
        status = int(head.split()[1])
        assert 400 <= status < 500, head
        # No header that somebody else has written.
        assert b"Set-Cookie: a=b" not in head
        names = re.findall(rb"(?m)^([A-Za-z-]+): ", head)
        assert len(set(names)) == len(names), head


def test_nothing_of_all_that_has_begun_a_line_of_the_log(running: Deployment) -> None:
    # Denials of a worker who has had none: the log has twenty of a kind in a minute.
    admin = running.headers
    reader = running.sign_in("reader", Role.OBSERVER)
    running.headers = admin
    for text in PAYLOADS.values():
        quoted = quote(text, safe="")
        running.request("GET", f"/api/boards/{quoted}/items", headers={"Authorization": "x"})
        running.request("POST", f"/api/boards/{quoted}/items/T/take", json={}, headers=reader)
    assert "forged" in running.log
    for line in running.log.split("\n"):
        begins = (
            r"\[20|\{\"at\": |  \| |occupancy: |    http|It makes you the|    \.venv/bin/flask|$"
        )
        assert re.match(begins, line), line
        assert "forged" not in line or line.startswith("{") or "\\n" in line
        if line.startswith("{"):
            assert json.loads(line)["event"]
    assert not Path("forged").exists()


@payload
def test_a_record_with_it_is_one_visible_line(name: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (PAYLOADS[name],), None)
    shown = LineFormatter("%(message)s").format(record)
    assert shown.isascii()
    assert shown.isprintable()

"""Requests that cannot be read: neither the log nor the answer repeats them; gunicorn is real."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from occupancy.core.entities import Role
from occupancy.server.malformed_requests import encode_problem
from tests.support.deployment import Deployment
from tests.support.raw_http import Answer, Wire, request
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

SECRET = "s3cr3t-74913"  # as a PIN, a token or a ticket
HOST = b"Host: x\r\n"
BODY = b'{"worker":"93","pin":"%b"}' % SECRET.encode()
FORMAT = 'access "%(r)s" "%(q)s" "%(f)s" "%({authorization}i)s" "%({cookie}i)s" "%({raw_uri}e)s"'

# What is sent, and the status of the last answer.
BROKEN: dict[str, tuple[bytes, int]] = {
    "a body without its length": (
        b"POST /api/session HTTP/1.1\r\n" + HOST + b"\r\n" + BODY + b"\r\n\r\n", 400,
    ),
    "a line break in a token": (
        b"GET /api/boards HTTP/1.1\r\n" + HOST + b"Authorization: Bearer occ_\r\n"
        + SECRET.encode() + b"\r\n\r\n", 400,
    ),
    "a line feed in a token": (
        b"GET /api/boards HTTP/1.1\r\n" + HOST + b"Authorization: Bearer x\n"
        + SECRET.encode() + b"\r\n\r\n", 400,
    ),
    "a folded token": (
        b"GET /api/boards HTTP/1.1\r\n" + HOST + b"Authorization: Bearer\r\n "
        + SECRET.encode() + b"\r\n\r\n", 400,
    ),
    "a ticket in a broken line": (
        b"GET /api/boards/main/events?ticket=" + SECRET.encode() + b" oops HTTP/1.1\r\n\r\n", 400,
    ),
    "a ticket in a long line": (
        b"GET /?ticket=" + SECRET.encode() + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414,
    ),
    "a strange method": (b"G(" + SECRET.encode() + b" / HTTP/1.1\r\n\r\n", 400),
    "a strange version": (b"GET / HTTP/" + SECRET.encode() + b"\r\n\r\n", 400),
    "a strange coding": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + SECRET.encode() + b"\r\n\r\n", 501,
    ),
    "a strange expectation": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Expect: " + SECRET.encode() + b"\r\n\r\n", 417,
    ),
    "a strange name": (
        b"GET / HTTP/1.1\r\n" + HOST + b"(" + SECRET.encode() + b": x\r\n\r\n", 400,
    ),
    "a large header": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + SECRET.encode() * 1000 + b"\r\n\r\n", 431,
    ),
    "a chunk of no size": (
        b"POST /livez HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        + SECRET.encode() + b"\r\n", 400,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=["info", "debug"])
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    module_server: RealServer,
) -> Iterator[Deployment]:
    arguments = ("--access-logfile", "-", "--access-logformat", FORMAT)
    made = Deployment(
        tmp_path_factory.mktemp("state"), module_server.url, *arguments,
        WEB_CONCURRENCY="1", OCCUPANCY_LOG_LEVEL=request.param, OCCUPANCY_PREFIX=request.param,
    ).start()  # fmt: skip
    made.sign_in("admin", Role.ADMIN)
    yield made
    made.stop()


def answers_to(running: Deployment, raw: bytes) -> list[Answer]:
    with Wire(running.port) as wire:
        wire.send(raw)
        wire.end()
        return wire.answers()


def wait_for_the_log(running: Deployment) -> None:
    """All earlier requests have been recorded by then."""
    running.request("GET", "/api/boards", headers={"Referer": "the-last"})
    wait_until(lambda: "the-last" in running.log, what="the last line")


@pytest.mark.parametrize("name", BROKEN)
def test_neither_log_nor_answer_repeats_a_broken_request(running: Deployment, name: str) -> None:
    raw, status = BROKEN[name]
    answers = answers_to(running, raw)
    last = answers[-1]
    assert last.status == status
    assert last.get("Content-Type") == "application/problem+json"
    assert last.json["code"] == "invalid_request"
    assert last.json["status"] == status
    assert last.json["detail"]
    assert last.get("X-Content-Type-Options") == "nosniff"
    assert "default-src 'none'" in (last.get("Content-Security-Policy") or "")
    assert last.get("Cache-Control") == "no-store"
    assert last.get("Connection") == "close"
    assert all(SECRET.encode() not in each.body for each in answers)
    wait_for_the_log(running)
    assert SECRET not in running.log


def test_a_request_that_breaks_off_is_not_repeated(running: Deployment) -> None:
    assert answers_to(running, b"GET / HTTP/1.1\r\nAuthorization: Bearer " + SECRET.encode()) == []
    wait_for_the_log(running)
    assert SECRET not in running.log


def test_the_access_log_has_no_ticket_token_or_cookie(running: Deployment) -> None:
    for query in ("ticket", "a=b&ticket", "%74icke%74"):
        answers_to(running, request(
            f"GET /api/boards/main/events?{query}={SECRET}&after=x",
            f"Referer: http://x/?ticket={SECRET}", f"Cookie: occupancy={SECRET}",
        ))  # fmt: skip
    answers_to(running, request("GET /api/boards", f"Authorization: Bearer {SECRET}"))
    wait_for_the_log(running)
    assert "after=x" in running.log
    assert SECRET not in running.log


def test_a_flood_of_broken_requests_is_some_lines_and_a_count(
    tmp_path: Path, own_server: RealServer
) -> None:
    running = Deployment(tmp_path, own_server.url, WEB_CONCURRENCY="1").start()
    try:
        before = len(running.log)

        def flood() -> None:
            for _ in range(50):
                with contextlib.suppress(OSError):
                    answers_to(running, b"GET / HTTP/1.1\r\nX" + b"\x01" * 900 + b"\r\n\r\n")

        threads = [threading.Thread(target=flood) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        running.stop()
    written = running.log[before:]
    lines = [json.loads(line) for line in written.splitlines() if '"malformed"' in line]
    assert {each["code"] for each in lines} == {"InvalidHeader"}
    assert sum(each.get("more", 1) for each in lines) == 200
    assert {each["address"] for each in lines} == {"127.0.0.1"}
    assert len(lines) < 10
    assert len(written) < 5000


def test_a_failure_outside_the_application_is_logged_without_its_text() -> None:
    from occupancy.observability import log_lines

    try:
        raise ValueError(SECRET)
    except ValueError as error:
        told = log_lines.without_texts(error)
    assert SECRET not in told
    assert "test_malformed_requests.py" in told
    assert told.endswith("ValueError")


def test_the_answer_to_a_failure_is_a_problem() -> None:
    from occupancy.core.errors import OccupancyError

    head, _, body = encode_problem(OccupancyError("Something went wrong here.")).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["code"] == "internal_error"

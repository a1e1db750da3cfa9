"""Floods of reads from outside: other requests continue, and no legitimate client is refused."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from occupancy.core.entities import Person, Role
from tests.support.deployment import Deployment
from tests.support.raw_http import Wire, request
from tests.support.servers import RealServer

ITEMS = 2_000
CONNECTIONS = 40


@pytest.fixture
def running(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    made = Deployment(
        tmp_path / "state", own_server.url, WEB_CONCURRENCY="1", OCCUPANCY_PREFIX="t",
    ).start()  # fmt: skip
    made.sign_in("boss", Role.ADMIN)
    rows = ((f"S-{number:05d}", {"title": f'"T {number}"'}) for number in range(ITEMS))
    for outcome in made.services().store.commands.put_many("main", rows, actor=Person("x", "X")):
        assert outcome.is_done
    yield made
    made.stop()


@contextlib.contextmanager
def flood(running: Deployment, line: str, *headers: str) -> Iterator[list[int]]:
    """Send requests on many connections repeatedly; the statuses received."""
    statuses: list[int] = []
    is_over = threading.Event()

    def ask() -> None:
        with Wire(running.port) as wire:
            while not is_over.is_set():
                statuses.append(wire.ask(request(line, *headers)).status)

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for each in threads:
        each.start()
    try:
        yield statuses
    finally:
        is_over.set()
        for each in threads:
            each.join()


@pytest.mark.parametrize(
    ("line", "who", "status"),
    [
        ("GET /api/boards/main/items?q=zz", "observer", 200),
        ("GET /api/boards/main/items?state=available", "observer", 200),
        ("GET /docs", "nobody", 200),
        ("GET /nothing", "nobody", 404),
        ("GET /api/boards", "somebody", 401),
        ("POST /api/boards/main/items/S-00002/take", "somebody", 401),
        ("POST /api/boards/main/items/S-00002/take", "observer", 403),
    ],
)
def test_under_a_flood_operations_go_on_and_it_is_answered_in_turn(
    running: Deployment, line: str, who: str, status: int
) -> None:
    services = running.services()
    services.workers.add("observer", name="Observer", role=Role.OBSERVER)
    secret, _ = services.tokens.create("observer")
    shown = {"observer": secret, "somebody": secrets.token_hex(8)}.get(who)
    headers = [f"Authorization: Bearer {shown}"] if shown else []
    stood_behind = []
    with flood(running, line, *headers) as statuses, Wire(running.port) as wire:
        for number in range(20):
            before = len(statuses)
            operation = "release" if number % 2 else "take"
            path = f"/api/boards/main/items/S-00001/{operation}"
            answer = wire.ask(
                request(f"POST {path}", f"Authorization: {running.headers['Authorization']}")
            )
            stood_behind.append(len(statuses) - before)
            assert answer.code == "changed"
    # Without a queue, each of its steps would wait behind all the others.
    assert sorted(stood_behind)[10] < CONNECTIONS, stood_behind
    assert len(statuses) >= CONNECTIONS  # reads have had their turns too
    assert set(statuses) == {status}
    assert "Traceback" not in running.log


@pytest.mark.alone  # it counts what both processes do at the same time
@pytest.mark.parametrize(
    "probe", ["/livez", "/readyz", "/metrics", "/api/redis-health", "/api/redis-connection-stats"]
)
def test_probes_do_not_stand_behind_a_flood_from_the_same_address(
    running: Deployment, probe: str
) -> None:
    """A supervisor that restarts unresponsive processes must not do so during a flood."""
    stood_behind = []
    with flood(running, "GET /nothing") as statuses, Wire(running.port) as wire:
        while len(statuses) < CONNECTIONS:
            time.sleep(0.01)
        for _ in range(11):
            before = len(statuses)
            assert wire.ask(request(f"GET {probe}")).status == 200
            stood_behind.append(len(statuses) - before)
    assert sorted(stood_behind)[5] < CONNECTIONS / 2, stood_behind


def test_documents_are_sent_compressed_and_not_again(
    running: Deployment,
) -> None:
    for path in ("/docs", "/api/openapi.json"):
        first = running.request("GET", path, headers={"Accept-Encoding": "gzip"})
        plain = running.request("GET", path, headers={"Accept-Encoding": "identity"})
        assert first.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert first.content == plain.content
        assert int(first.headers["Content-Length"]) < len(plain.content) / 3
        for etag in (first.headers["ETag"], plain.headers["ETag"]):
            known = running.request("GET", path, headers={"If-None-Match": etag})
            assert known.status_code == 304

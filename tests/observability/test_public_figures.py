"""Figures that anybody may ask for cost the server and the log no more than once a second."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy import create_app
from occupancy.core.entities import Role
from occupancy.core.errors import StoreUnavailable
from occupancy.observability import public_figures, repeated_warnings
from occupancy.observability.public_figures import AtMostOnceASecond
from occupancy.services import Services
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.shop import change
from tests.support.waiting import wait_until

ASKED = 40


@pytest.fixture
def deployment(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    running = Deployment(
        tmp_path / "state", own_server.url, WEB_CONCURRENCY="1", OCCUPANCY_REDIS_TIMEOUT_S="1"
    ).start()
    yield running
    running.stop()


def calls(server: RealServer, command: str) -> int:
    """How many times the server has run it."""
    with server.client() as client:
        found: Any = client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})
    return int(found["calls"])


@pytest.mark.parametrize(
    ("path", "command", "own"),
    [("/api/redis-health", "info", 1), ("/api/redis-connection-stats", "client|list", 0)],
)
def test_a_crowd_that_asks_for_figures_is_one_for_the_server(
    deployment: Deployment, own_server: RealServer, path: str, command: str, own: int
) -> None:
    """Those who come while it is made get the same: the server has just been made to wait."""
    before = calls(own_server, command)
    with own_server.client() as client:
        client.execute_command("CLIENT", "PAUSE", 300, "ALL")
    asking = [gevent.spawn(deployment.request, "GET", path) for _ in range(ASKED)]
    gevent.joinall(asking, raise_error=True)
    assert {each.value.status_code for each in asking} == {200}
    # Within two seconds, at most: one for each, and what this test has asked by itself.
    assert 1 <= calls(own_server, command) - before - own <= 3


def test_figures_say_how_long_they_may_be_kept(deployment: Deployment) -> None:
    for path in ("/metrics", "/api/redis-health", "/api/redis-connection-stats", "/readyz"):
        assert deployment.request("GET", path).headers["Cache-Control"] == "no-store"


def test_metrics_are_made_once_a_second_whoever_asks(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = create_app(valkey_services).test_client()
    monkeypatch.setattr(public_figures, "KEPT_S", 3600.0)
    kept = client.get("/metrics").data
    valkey_services.metrics.operation("take", "ok").inc()
    assert client.get("/metrics").data == kept
    monkeypatch.setattr(public_figures, "KEPT_S", 0.0)
    taken = b'occupancy_operations_total{operation="take",result="ok"} 1.0'
    assert taken not in kept
    assert taken in client.get("/metrics").data


def test_metrics_are_of_the_last_second(deployment: Deployment) -> None:
    deployment.sign_in("admin", Role.ADMIN)
    shop = deployment.services()
    board = shop.store.boards.create("b").board
    change(shop, board, 0)
    deployment.request("GET", "/metrics")
    deployment.request("POST", f"/api/boards/{board}/items/T-1/take")
    counted = re.compile(r'(?m)^occupancy_operations_total\{operation="take",result="ok"\} 1\.0$')
    wait_until(lambda: counted.search(deployment.request("GET", "/metrics").text), what="it")


class Made:
    """Counts how often it is made; each waits until it is let go."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None

    def __call__(self) -> int:
        self.count += 1
        number = self.count
        gevent.sleep(0)
        if self.error is not None:
            raise self.error
        return number


def test_all_who_ask_at_once_get_what_is_made_once() -> None:
    made = Made()
    kept = AtMostOnceASecond(made)
    asking = [gevent.spawn(kept) for _ in range(ASKED)]
    gevent.joinall(asking, raise_error=True)
    assert ({each.value for each in asking}, kept(), made.count) == ({1}, 1, 1)


def test_what_is_a_second_old_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_figures, "KEPT_S", 0.0)
    kept = AtMostOnceASecond(Made())
    assert [kept(), kept()] == [1, 2]


def test_a_failure_is_kept_as_well_and_told_to_each() -> None:
    made = Made()
    made.error = StoreUnavailable("away")
    kept = AtMostOnceASecond(made)
    for _ in range(ASKED):
        with pytest.raises(StoreUnavailable, match="away"):
            kept()
    assert made.count == 1


def test_who_is_killed_while_it_is_made_takes_it_from_nobody() -> None:
    made = Made()
    kept = AtMostOnceASecond(made)
    first, second = gevent.spawn(kept), gevent.spawn(kept)
    first.start()
    wait_until(lambda: made.count == 1)
    first.kill()
    assert second.get(timeout=5) == 1


def test_a_flood_of_503_is_some_lines_and_a_count(
    deployment: Deployment, own_server: RealServer
) -> None:
    own_server.stop()
    headers = {"Authorization": "Bearer occ_" + secrets.token_hex(8)}

    def refused() -> int:
        return deployment.request("GET", "/api/boards", headers=headers).status_code

    asking = [gevent.spawn(refused) for _ in range(ASKED)]
    gevent.joinall(asking, raise_error=True)
    assert {each.value for each in asking} == {503}
    deployment.stop()  # a minute is over as well when the process ends
    lines = [each for each in deployment.log.splitlines() if "GET /api/boards" in each]
    assert 0 < len(lines) <= repeated_warnings.MAX_WARNINGS
    counts = re.findall(r"503 store_unavailable \(\w+\): (\d+) more within 60 s", deployment.log)
    assert sum(int(each) for each in counts) + len(lines) == ASKED


def test_each_kind_has_its_lines_and_its_count(caplog: pytest.LogCaptureFixture) -> None:
    counted = repeated_warnings.RepeatedWarnings()
    for number in range(repeated_warnings.MAX_WARNINGS + 5):
        counted.warn("one", "one %d", number)
    counted.warn("other", "other")
    counted.flush()
    assert caplog.messages == [
        *(f"one {number}" for number in range(repeated_warnings.MAX_WARNINGS)),
        "other", "one: 5 more within 60 s",
    ]  # fmt: skip

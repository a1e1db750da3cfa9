"""A server that withholds facts about itself, as managed ones do: those facts are unknown.

The user may do everything but what is dangerous: no INFO, no CONFIG, no CLIENT LIST.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent.server import StreamServer

from occupancy.cli.doctor import examine
from occupancy.core.entities import Role
from occupancy.core.settings import Settings
from occupancy.observability.servers import CLIENT_NAMES
from occupancy.services import Services
from tests.conftest import require_binary
from tests.support.deployment import ROOT, Deployment
from tests.support.servers import BINARIES, RealServer
from tests.support.shop import change
from tests.support.waiting import wait_until

RULES = ("on", ">pw", "~*", "&*", "+@all", "-@dangerous")
TOLD_BY_SERVER = ("maxclients", "connected", *CLIENT_NAMES, "other")


@pytest.fixture(params=BINARIES)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealServer]:
    running = RealServer(require_binary(request.param), tmp_path / "server")
    running.start()
    allow(running)
    yield running
    running.stop()


def allow(server: RealServer, *more: str) -> None:
    """Change the user's rights by these rules from now on."""
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "occ", "reset", *RULES, *more)


def url_of(server: RealServer) -> str:
    return server.url.replace("redis://", "redis://occ:pw@")


@pytest.fixture
def deployment(tmp_path: Path, server: RealServer) -> Iterator[Deployment]:
    running = Deployment(tmp_path / "state", url_of(server)).start()
    yield running
    running.stop()


@pytest.fixture
def services(tmp_path: Path, server: RealServer) -> Iterator[Services]:
    made = Services.for_command_line(
        Settings(redis_url=url_of(server), state_dir=str(tmp_path / "state"))
    )
    yield made
    made.close()


def test_health_is_healthy_and_the_figures_are_unknown(deployment: Deployment) -> None:
    answer = deployment.request("GET", "/api/redis-health")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told.pop("status") == "healthy"
    assert told.pop("latency_ms") >= 0
    assert set(told) == {
        "server", "version", "role", "uptime_s", "used_memory_bytes", "maxmemory_bytes",
        "connected_clients",
    }  # fmt: skip
    assert set(told.values()) == {None}


def test_connection_statistics_have_the_figures_of_this_process(deployment: Deployment) -> None:
    def stats() -> Any:
        answer = deployment.request("GET", "/api/redis-connection-stats")
        assert answer.status_code == 200, answer.text
        return answer.json()

    wait_until(lambda: len(stats()["workers"]) == 2, what="both processes to report")
    found = stats()
    assert found["server"] == dict.fromkeys(TOLD_BY_SERVER)
    assert found["budget"]["limit"] == 50
    assert all(each["ops"]["max"] > 0 for each in found["workers"])


def test_operations_streams_and_metrics_are_not_concerned(deployment: Deployment) -> None:
    deployment.sign_in("admin", Role.ADMIN)
    shop = deployment.services()
    board = shop.store.boards.create("b").board
    stream = deployment.stream(board)
    stream.wait_for("ready")
    change(shop, board, 1)
    wait_until(lambda: stream.seqs() == [1, 2], what="the events")
    metrics = deployment.request("GET", "/metrics")
    assert metrics.status_code == 200
    assert "occupancy_pool_connections" in metrics.text
    assert "None" not in metrics.text
    assert " [ERROR] " not in deployment.log
    assert "Traceback" not in deployment.log


def test_the_doctor_names_the_unknown_facts(services: Services) -> None:
    found = {check.name: check for check in examine(services)}
    unknown = {name for name, check in found.items() if check.level == "unknown"}
    assert unknown == {
        "server", "role", "persistence", "writing to disk", "eviction", "memory", "room",
        "connections",
    }  # fmt: skip
    # The bound of the data is computed from the settings; only maxmemory is unknown.
    assert {found[name].finding for name in unknown - {"room"}} == {"withheld"}
    assert not [name for name, check in found.items() if check.level == "error"]


def test_the_facts_of_one_command_are_shown_if_another_is_forbidden(
    services: Services, server: RealServer
) -> None:
    allow(server, "+info")
    counted = services.servers.counts()["server"]
    assert counted["maxclients"] == 1000
    assert counted["connected"] is not None
    assert counted["ops"] is None
    allow(server, "+client|list")
    counted = services.servers.counts()["server"]
    assert counted["maxclients"] is None
    assert counted["cli"] == 1


def test_a_command_that_the_server_does_not_have_tells_nothing(tmp_path: Path) -> None:
    """Older managed servers rename dangerous commands."""

    def serve(connection: Any, _address: Any) -> None:
        while data := connection.recv(65536):
            is_known = b"SETNAME" in data
            reply = b"+OK\r\n" if is_known else b"-ERR unknown command 'INFO', with args\r\n"
            connection.sendall(reply * (1 if is_known else data.count(b"INFO")))
        connection.close()

    fake = StreamServer(("127.0.0.1", 0), serve)
    fake.start()
    url = f"redis://127.0.0.1:{fake.server_port}/0"
    services = Services.for_command_line(Settings(redis_url=url, state_dir=str(tmp_path)))
    try:
        told = services.store.client.run_optional(
            lambda pipeline: (pipeline.info("clients"), pipeline.info("memory"))
        )
    finally:
        services.close()
        fake.stop()
    assert told == [None, None]


@pytest.mark.parametrize("command", ["stats", "check"])
def test_the_commands_say_unknown_and_succeed(
    tmp_path: Path, server: RealServer, command: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "redis", command],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "REDIS_URL": url_of(server), "OCCUPANCY_STATE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "unknown" in done.stdout
    assert "None" not in done.stdout

"""A REDIS_URL of another kind than its server: said in the log, in 503s and by the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occupancy.cli.doctor import examine
from occupancy.core.errors import StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.storage.topology.misdirection import log_misdirection, misdirection
from tests.conftest import require_binary
from tests.support.clusters import RealCluster
from tests.support.deployment import ROOT, Deployment
from tests.support.servers import BINARIES, RealServer
from tests.support.waiting import wait_until


@pytest.fixture(scope="module", params=BINARIES)
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    """A cluster of one node."""
    cluster = RealCluster(
        request.param, tmp_path_factory.mktemp("cluster"), primaries=2, replicas=0
    )
    cluster.start()
    yield cluster.nodes[0]
    cluster.stop()


@pytest.fixture(scope="module", params=BINARIES)
def replica(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    made = [
        RealServer(require_binary(request.param), tmp_path_factory.mktemp("server"))
        for _ in range(2)
    ]
    for each in made:
        each.start()
    with made[1].client() as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", made[0].port)
    yield made[1]
    for each in made:
        each.stop(signal.SIGKILL)


def services_of(url: str, directory: Path) -> Services:
    return Services.for_command_line(Settings(redis_url=url, state_dir=str(directory)))


def flask(url: str, directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "REDIS_URL": url, "OCCUPANCY_STATE_DIR": str(directory)}
    return subprocess.run(
        [sys.executable, "-m", "flask", *command], cwd=ROOT, capture_output=True, text=True,
        env=environ, timeout=60, check=False,
    )  # fmt: skip


def test_a_good_server_is_not_misdirected() -> None:
    for engine, info in (
        ("single", {"role": "master", "cluster_enabled": 0}),
        ("sentinel", {"role": "slave", "cluster_enabled": 0}),  # a failover goes on
        ("cluster", {"role": "master", "cluster_enabled": 1}),
        ("cluster", {}), ("single", {}),
    ):  # fmt: skip
        assert misdirection(info, engine) is None  # type: ignore[arg-type] # of the kinds


def test_a_sentinel_is_no_server() -> None:
    found = misdirection({"redis_mode": "sentinel"}, "single")
    assert found is not None
    assert "redis+sentinel://" in found.advice


def test_a_node_of_a_cluster_is_said(
    node: RealServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services = services_of(node.url, tmp_path)
    log_misdirection(services.store.client, lambda _: pytest.fail("it answers"))
    assert "leads to a node of a cluster. Set REDIS_URL=redis+cluster://" in caplog.text
    with pytest.raises(StoreUnavailable, match=r"must be redis\+cluster://"):
        for number in range(20):
            services.store.client.set(f"{{{number}}}", "")
    services.close()


def test_a_replica_is_said(
    replica: RealServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services = services_of(replica.url, tmp_path)
    log_misdirection(services.store.client, lambda _: pytest.fail("it answers"))
    services.close()
    assert "leads to a replica, which takes no operations" in caplog.text
    assert "its primary, which is 127.0.0.1:" in caplog.text


def test_the_check_waits_for_the_server_and_says_it_once(
    replica: RealServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    services = services_of(replica.url, tmp_path)
    client = services.store.client
    client.connection_pool.connection_kwargs["port"] = 1
    pauses: list[float] = []

    def repair(seconds: float) -> None:
        pauses.append(seconds)
        client.connection_pool.reset()
        client.connection_pool.connection_kwargs["port"] = replica.port

    log_misdirection(client, repair)
    services.close()
    assert len(pauses) == 1
    assert caplog.text.count("REDIS_URL leads to") == 1


def test_the_doctor_says_it(node: RealServer, replica: RealServer, tmp_path: Path) -> None:
    for server, advice in ((node, "redis+cluster://"), (replica, "the address of its primary")):
        services = services_of(server.url, tmp_path)
        (check,) = examine(services)
        services.close()
        assert (check.name, check.level) == ("role", "error")
        assert advice in check.advice


def test_a_command_says_it_in_one_line(
    node: RealServer, replica: RealServer, tmp_path: Path
) -> None:
    for server, advice in ((node, "redis+cluster://"), (replica, "the address of its primary")):
        ran = flask(server.url, tmp_path, "boards", "create", "b-1")
        assert ran.returncode == 1
        (line,) = ran.stderr.splitlines()
        assert advice in line
        ran = flask(server.url, tmp_path, "redis", "check")
        assert advice in ran.stdout


def test_a_cluster_url_to_a_single_server_is_said(
    server_of: Callable[[str], RealServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"redis+cluster://127.0.0.1:{server_of('valkey').port}"
    services = services_of(url, tmp_path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="without cluster mode"):
            services.store.client.get("key")
    services.topology.start()
    for _ in range(3):
        services.topology.refresh()
    services.close()
    assert caplog.text.count("without cluster mode") == 1
    ran = flask(url, tmp_path, "boards", "list")
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "without cluster mode" in line


def test_the_web_server_says_it_at_its_start(node: RealServer, tmp_path: Path) -> None:
    running = Deployment(tmp_path / "state", node.url, WEB_CONCURRENCY="1")
    try:
        running.start(until="/livez")
        wait_until(lambda: "leads to a node of a cluster" in running.log, what="the line")
        answer = running.request("GET", "/api/boards")
        assert answer.status_code in (401, 503)
    finally:
        running.stop()

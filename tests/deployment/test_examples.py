"""The example configurations: real servers take them, and they work together.

Each example is used as it is, but for addresses, ports, directories and certificates.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from occupancy.core import server_url
from occupancy.core.settings import Settings
from tests.conftest import require, require_binary
from tests.support.running import Running
from tests.support.servers import BINARIES, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GUIDE = (ROOT / "docs" / "scaling.md").read_text()
README = (ROOT / "README.md").read_text()
PASSWORD, SENTINEL_PASSWORD = "CHANGE-ME", "CHANGE-ME-TOO"
SETTING = re.compile(r"\bOCCUPANCY_[A-Z_]+[A-Z]\b")


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.end()


def start_server(
    running: Running, binary: Path, example: Path, directory: Path, port: int, *arguments: str,
    ports: dict[str, int],
) -> None:  # fmt: skip
    """Start a server with an example; ``ports`` is the loopback port of each address in it."""
    directory.mkdir(parents=True)
    text = example.read_text()
    text = re.sub(r"(?m)^dir .*$", f"dir {directory}", text)
    text = re.sub(r"(?m)^bind .*$", "bind 127.0.0.1", text)
    text = re.sub(r"(?m)(announce-ip) .*$", r"\1 127.0.0.1", text)
    text = re.sub(r"(?m)^port .*$", f"port {port}", text)
    for address, its_port in ports.items():
        text = text.replace(f"{address} 6379", f"127.0.0.1 {its_port}")
    assert "10.0.0." not in re.sub(r"#.*", "", text), "an address is not replaced"
    (directory / example.name).write_text(text)
    running.start([str(binary), example.name, *arguments], directory, port)


def ask(port: int, *command: Any, password: str = PASSWORD) -> Any:
    """A raw reply; None while the server does not answer."""
    with (
        contextlib.suppress(redis.ConnectionError, redis.TimeoutError),
        redis.Redis(port=port, password=password, protocol=2, socket_timeout=2) as client,
    ):
        client.response_callbacks.clear()
        return client.execute_command(*command)
    return None


def settings_of(example: Path) -> dict[str, str]:
    """The directives of a server's configuration, without comments."""
    lines = (line.split(None, 1) for line in example.read_text().splitlines())
    return {each[0]: each[1] for each in lines if len(each) == 2 and not each[0].startswith("#")}


@pytest.mark.parametrize("kind", BINARIES)
def test_the_examples_of_sentinel_form_one_and_replace_a_dead_primary(
    kind: str, tmp_path: Path, running: Running
) -> None:
    binary = require_binary(kind)
    primary, *replicas = ports = [free_port() for _ in range(3)]
    sentinels = [free_port() for _ in range(3)]
    known = {"10.0.0.11": primary}
    for port in ports:
        name = "primary.conf" if port == primary else "replica.conf"
        example = DEPLOY / "sentinel" / name
        start_server(running, binary, example, tmp_path / f"{port}", port, ports=known)
    for port in replicas:
        wait_until(
            lambda port=port: (ask(port, "ROLE") or [b""] * 4)[3] == b"connected",  # type: ignore[misc] # mypy infers no lambda with defaults
            timeout_s=30, what="a replica to follow the primary",
        )  # fmt: skip
    for port in sentinels:
        example = DEPLOY / "sentinel" / "sentinel.conf"
        directory = tmp_path / f"{port}"
        start_server(running, binary, example, directory, port, "--sentinel", ports=known)

    def say(*command: str) -> Any:
        return [ask(each, "SENTINEL", *command, password=SENTINEL_PASSWORD) for each in sentinels]

    def are_complete() -> bool:
        for fields in say("MASTER", "board"):
            named = dict(zip(*[iter(fields or [])] * 2, strict=True))
            if (named.get(b"num-slaves"), named.get(b"num-other-sentinels")) != (b"2", b"2"):
                return False
        return True

    wait_until(are_complete, timeout_s=60, what="the Sentinels to know each other and the replicas")
    running.kill(primary)
    wait_until(
        lambda: all(
            each is not None and int(each[1]) in replicas
            for each in say("GET-MASTER-ADDR-BY-NAME", "board")
        ),
        # A vote that nobody won, as on a busy machine, is repeated after twice failover-timeout.
        timeout_s=120, what="every Sentinel to name a new primary",
    )  # fmt: skip


@pytest.mark.parametrize("kind", BINARIES)
def test_the_examples_of_a_cluster_form_one_of_three_primaries_with_a_replica_each(
    kind: str, tmp_path: Path, running: Running
) -> None:
    binary = require_binary(kind)
    require(shutil.which("redis-cli"), "redis-cli")
    addresses = [f"10.0.0.{number}" for number in range(21, 27)]
    ports = {each: free_port() for each in addresses}
    for port in ports.values():
        example = DEPLOY / "cluster" / "node.conf"
        own = ("--cluster-port", str(free_port()))
        start_server(running, binary, example, tmp_path / f"{port}", port, *own, ports=ports)
    for port in ports.values():
        wait_until(lambda port=port: ask(port, "PING"), timeout_s=30, what="a node to answer")  # type: ignore[misc] # mypy infers no lambda with defaults

    text = (DEPLOY / "cluster" / "create.sh").read_text()
    for address, port in ports.items():
        text = text.replace(f"{address}:6379", f"127.0.0.1:{port}")
    script = tmp_path / "create.sh"
    script.write_text(text)
    made = subprocess.run(
        ["sh", str(script)], env={**os.environ, "REDISCLI_AUTH": PASSWORD},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr

    def nodes() -> list[list[str]]:
        found = ask(ports["10.0.0.21"], "CLUSTER", "NODES") or b""
        return [line.split(" ") for line in found.decode().splitlines()]

    wait_until(
        lambda: (
            sorted(each[2].removeprefix("myself,") for each in nodes())
            == ["master"] * 3 + ["slave"] * 3
        ),
        timeout_s=30, what="three primaries and three replicas",
    )  # fmt: skip
    followed = {each[3] for each in nodes()} - {"-"}
    assert len(followed) == 3, "each primary has a replica"
    for port in ports.values():
        wait_until(
            lambda port=port: b"cluster_state:ok" in (ask(port, "CLUSTER", "INFO") or b""),  # type: ignore[misc] # mypy infers no lambda with defaults
            timeout_s=30, what="all slots to be covered",
        )  # fmt: skip


def test_the_files_of_primary_and_replica_differ_in_address_and_role_only() -> None:
    primary, replica = (
        settings_of(DEPLOY / "sentinel" / name) for name in ("primary.conf", "replica.conf")
    )
    assert replica.pop("replicaof") == "10.0.0.11 6379"
    for address in ("bind", "replica-announce-ip"):
        assert primary.pop(address) != replica.pop(address)
    assert primary == replica


@pytest.mark.parametrize("example", ["sentinel/primary.conf", "cluster/node.conf"])
def test_the_examples_keep_the_data_and_refuse_changes_when_memory_is_full(example: str) -> None:
    found = settings_of(DEPLOY / example)
    assert (found["appendonly"], found["maxmemory-policy"]) == ("yes", "noeviction")
    assert int(found["maxclients"]) > 756, "the largest budget of the guide has room"


def test_both_proxies_lead_to_the_same_nodes_and_wait_longer_than_a_heartbeat() -> None:
    nginx, haproxy = ((DEPLOY / name).read_text() for name in ("nginx.conf", "haproxy.cfg"))
    nodes = re.compile(r"10\.0\.0\.\d+:8000")
    assert set(nodes.findall(nginx)) == set(nodes.findall(haproxy))
    assert len(set(nodes.findall(haproxy))) == 2
    assert "proxy_read_timeout 60s;" in nginx
    assert re.search(r"(?m)^    timeout server 60s$", haproxy)
    for header in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"):
        assert header in nginx
        assert f"http-request set-header {header} " in haproxy


def test_the_settings_named_in_guide_and_examples_exist() -> None:
    known = set(_environment_names())
    paths = [ROOT / "docs" / "scaling.md", *sorted(DEPLOY.rglob("*.*"))]
    named = {path.name: set(SETTING.findall(path.read_text())) for path in paths}
    assert {"nginx.conf", "haproxy.cfg", "sentinel.conf", "node.conf"} <= set(named)
    assert "OCCUPANCY_NODES" in named["scaling.md"]
    assert {name: found - known for name, found in named.items() if not found <= known} == {}


def test_the_addresses_in_the_guide_are_those_of_the_examples() -> None:
    urls = {
        server_url.engine_of(url): server_url.parse(url)
        for url in re.findall(r"^REDIS_URL='(.*)'$", GUIDE, re.MULTILINE)
    }
    sentinel = settings_of(DEPLOY / "sentinel" / "sentinel.conf")
    example = (DEPLOY / "sentinel" / "sentinel.conf").read_text()
    assert f"sentinel monitor {urls['sentinel'].service} 10.0.0.11 6379 2" in example
    assert {each.port for each in urls["sentinel"].addresses} == {int(sentinel["port"])}
    assert urls["sentinel"].sentinel_password == sentinel["requirepass"]
    created = (DEPLOY / "cluster" / "create.sh").read_text()
    assert all(str(each) in created for each in urls["cluster"].addresses)


def test_the_files_that_the_guide_names_exist() -> None:
    for text, base in ((GUIDE, ROOT / "docs"), (README, ROOT)):
        targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
        files = [each for each in targets if not each.startswith("http")]
        assert files
        assert [each for each in files if not (base / each).exists()] == []


def _environment_names() -> list[str]:
    return [str(each.metadata["env"]) for each in Settings.__dataclass_fields__.values()]

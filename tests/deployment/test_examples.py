"""The example configurations: real servers and a real nginx take them, and they work together.

Each example is used as it is, but for addresses, ports, directories and certificates.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from occupancy.core import server_url
from occupancy.core.settings import Settings
from tests.conftest import require, require_binary
from tests.support.nginx import nginx_path
from tests.support.servers import BINARIES, free_port
from tests.support.tls import make_certificate
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GUIDE = (ROOT / "docs" / "scaling.md").read_text()
README = (ROOT / "README.md").read_text()
PASSWORD, SENTINEL_PASSWORD = "CHANGE-ME", "CHANGE-ME-TOO"
SETTING = re.compile(r"\bOCCUPANCY_[A-Z_]+[A-Z]\b")


class Running:
    """Processes that a test has started, by their port."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, command: Sequence[str], directory: Path, port: int) -> None:
        self._processes[port] = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, port: int) -> None:
        process = self._processes.pop(port)
        process.kill()
        process.wait(timeout=30)

    def end(self) -> None:
        for port in list(self._processes):
            self.kill(port)


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


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        pass  # a test has closed the connection


class Node:
    """Answers every request with its number and with what the proxy has sent."""

    def __init__(self, number: int) -> None:
        self.seen: list[dict[str, str]] = []
        self.connections: list[socket.socket] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                node.connections.append(self.connection)

            def do_GET(self) -> None:
                node.seen.append({"version": self.request_version, **dict(self.headers.items())})
                if self.path.startswith("/api/boards/main/events"):
                    self.send_response(200)
                    self.send_header("Content-Type", "text/event-stream")
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"6\r\n: hi\n\n\r\n")
                    self.wfile.flush()
                    node.is_done.wait(20)
                    self.close_connection = True
                    return
                body = str(number).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.is_done = threading.Event()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.is_done.set()
        self._server.shutdown()
        self._server.server_close()
        for each in self.connections:
            with contextlib.suppress(OSError):  # closed already
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    made = [Node(1), Node(2)]
    yield made
    for each in made:
        each.stop()


@pytest.fixture
def nginx(tmp_path: Path, nodes: list[Node], running: Running) -> Iterator[Callable[[], str]]:
    """Checks and starts nginx with the example; returns its address."""
    binary = require(nginx_path(), "nginx")
    require(shutil.which("openssl"), "openssl")
    make_certificate(tmp_path / "privkey.pem", tmp_path / "fullchain.pem")
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in {
        "user www-data;": "user root;" if os.geteuid() == 0 else "",
        "worker_processes auto;": "worker_processes 1; daemon off;",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 256;",
        "/run/nginx.pid": f"{tmp_path}/nginx.pid",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/occupancy/": f"{tmp_path}/",
        "10.0.0.31:8000": f"127.0.0.1:{nodes[0].port}",
        "10.0.0.32:8000": f"127.0.0.1:{nodes[1].port}",
        "access_log off;": "access_log off;"
        + "".join(
            f" {each}_temp_path {tmp_path}/{each};"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
    }.items():
        assert old in text, f"the example has no {old!r}"
        text = text.replace(old, new)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text)
    command = [binary, "-p", f"{tmp_path}/", "-c", str(configuration), "-e", "error.log"]

    def start() -> str:
        tested = subprocess.run(
            [*command, "-t"], capture_output=True, text=True, timeout=30, check=False
        )
        assert tested.returncode == 0, tested.stderr
        assert "warn" not in tested.stderr, tested.stderr
        running.start(command, tmp_path, port)
        url = f"https://localhost:{port}"
        wait_until(lambda: _answers(url, tmp_path), what="nginx to answer")
        return url

    yield start


def _answers(url: str, directory: Path) -> bool:
    try:
        certificate = str(directory / "fullchain.pem")
        return requests.get(f"{url}/livez", verify=certificate, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_nginx_goes_round_the_nodes_and_passes_on_who_asks(
    tmp_path: Path, nodes: list[Node], nginx: Callable[[], str]
) -> None:
    url = nginx()
    certificate = str(tmp_path / "fullchain.pem")
    claimed = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"}
    answers = {
        requests.get(f"{url}/boards", headers=claimed, verify=certificate, timeout=5).text
        for _ in range(4)
    }
    assert answers == {"1", "2"}
    seen = nodes[0].seen[-1]
    assert seen["version"] == "HTTP/1.1"
    assert seen["X-Forwarded-Proto"] == "https"
    assert seen["Host"] == seen["X-Forwarded-Host"] == url.removeprefix("https://")
    assert seen["X-Forwarded-For"].rpartition(", ")[2] == "127.0.0.1", "the last one counts"


def test_nginx_passes_on_an_event_at_once(tmp_path: Path, nginx: Callable[[], str]) -> None:
    certificate = str(tmp_path / "fullchain.pem")
    with requests.get(
        f"{nginx()}/api/boards/main/events", verify=certificate, stream=True, timeout=5
    ) as stream:
        assert next(stream.iter_content(6)) == b": hi\n\n"


def test_nginx_goes_to_the_other_node_when_one_is_away(
    tmp_path: Path, nodes: list[Node], nginx: Callable[[], str]
) -> None:
    url = nginx()
    nodes[0].stop()
    certificate = str(tmp_path / "fullchain.pem")
    answers = [requests.get(f"{url}/boards", verify=certificate, timeout=5) for _ in range(6)]
    assert [(each.status_code, each.text) for each in answers] == [(200, "2")] * 6


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

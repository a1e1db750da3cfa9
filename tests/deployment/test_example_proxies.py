"""The example configurations of proxies: nginx and HAProxy take them, and reach both nodes.

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
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import require
from tests.support.nginx import nginx_path
from tests.support.running import Running
from tests.support.servers import free_port
from tests.support.tls import make_certificate
from tests.support.waiting import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.end()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments: Any) -> None:
        pass  # a test has closed the connection


class Node:
    """Answers every request with its number and with what the proxy has sent."""

    def __init__(self, number: int) -> None:
        self.seen: dict[str, dict[str, str]] = {}  # the last request's, by its path
        self.connections: list[socket.socket] = []
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                node.connections.append(self.connection)

            def do_GET(self) -> None:
                node.seen[self.path] = {
                    "version": self.request_version, **dict(self.headers.items())
                }  # fmt: skip
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
def certificate(tmp_path: Path) -> str:
    require(shutil.which("openssl"), "openssl")
    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    make_certificate(key, certificate)
    (tmp_path / "fullchain-and-key.pem").write_text(certificate.read_text() + key.read_text())
    return str(certificate)


def _nginx(directory: Path) -> tuple[list[str], list[str], dict[str, str]]:
    """The command, the arguments that check, and what differs from the example."""
    binary = require(nginx_path(), "nginx")
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    command = [
        binary,
        "-p",
        f"{directory}/",
        "-c",
        str(directory / "nginx.conf"),
        "-e",
        "error.log",
    ]
    return command, ["-t"], {
        "user www-data;": "user root;" if os.geteuid() == 0 else "",
        "worker_processes auto;": "worker_processes 1; daemon off;",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 256;",
        "/run/nginx.pid": f"{directory}/nginx.pid",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": "listen 127.0.0.1:443 ssl",
        "access_log off;": "access_log off;"
        + "".join(f" {each}_temp_path {directory}/{each};" for each in temporary),
    }  # fmt: skip


def _haproxy(directory: Path) -> tuple[list[str], list[str], dict[str, str]]:
    binary = require(shutil.which("haproxy", path=SYSTEM_PATH), "haproxy")
    return [binary, "-db", "-f", str(directory / "haproxy.cfg")], ["-c"], {
        "maxconn 30000": "maxconn 256",
        "bind :80": f"bind 127.0.0.1:{free_port()}",
        "bind :443": "bind 127.0.0.1:443",
    }  # fmt: skip


EXAMPLES = {"nginx.conf": _nginx, "haproxy.cfg": _haproxy}


@pytest.fixture(params=EXAMPLES)
def start(
    request: pytest.FixtureRequest, tmp_path: Path, nodes: list[Node], running: Running,
    certificate: str,
) -> Callable[[], str]:  # fmt: skip
    """Checks an example and starts the proxy with it; returns its address."""
    command, check, changes = EXAMPLES[request.param](tmp_path)
    port = free_port()
    text = (DEPLOY / request.param).read_text()
    for old, new in {
        **changes,
        "127.0.0.1:443": f"127.0.0.1:{port}",
        "/etc/ssl/occupancy/": f"{tmp_path}/",
        "10.0.0.31:8000": f"127.0.0.1:{nodes[0].port}",
        "10.0.0.32:8000": f"127.0.0.1:{nodes[1].port}",
    }.items():
        assert old in text, f"the example has no {old!r}"
        text = text.replace(old, new)
    (tmp_path / request.param).write_text(text)

    def start() -> str:
        tested = subprocess.run(
            [*command, *check], capture_output=True, text=True, timeout=30, check=False
        )
        assert tested.returncode == 0, tested.stderr
        assert "warn" not in tested.stderr.lower(), tested.stderr
        running.start(command, tmp_path, port)
        url = f"https://localhost:{port}"
        wait_until(lambda: _answers(url, certificate), what="the proxy to answer")
        return url

    return start


def _answers(url: str, certificate: str) -> bool:
    try:
        return requests.get(f"{url}/livez", verify=certificate, timeout=5).ok
    except requests.RequestException:
        return False


def test_a_proxy_goes_round_the_nodes_and_passes_on_who_asks(
    certificate: str, nodes: list[Node], start: Callable[[], str]
) -> None:
    url = start()
    claimed = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"}
    answers = {
        requests.get(f"{url}/boards", headers=claimed, verify=certificate, timeout=5).text
        for _ in range(4)
    }
    assert answers == {"1", "2"}
    seen = nodes[0].seen["/boards"]
    assert seen["version"] == "HTTP/1.1"
    names = {name.lower(): value for name, value in seen.items()}
    assert names["x-forwarded-proto"] == "https"
    assert names["host"] == names["x-forwarded-host"] == url.removeprefix("https://")
    assert names["x-forwarded-for"].rpartition(", ")[2] == "127.0.0.1", "the last one counts"


def test_a_proxy_passes_on_an_event_at_once(certificate: str, start: Callable[[], str]) -> None:
    with requests.get(
        f"{start()}/api/boards/main/events", verify=certificate, stream=True, timeout=5
    ) as stream:
        assert next(stream.iter_content(6)) == b": hi\n\n"


def test_a_proxy_goes_to_the_other_node_when_one_is_away(
    certificate: str, nodes: list[Node], start: Callable[[], str]
) -> None:
    url = start()
    nodes[0].stop()
    answers = [requests.get(f"{url}/boards", verify=certificate, timeout=5) for _ in range(6)]
    assert [(each.status_code, each.text) for each in answers] == [(200, "2")] * 6


def test_a_proxy_leads_from_http_to_https(
    request: pytest.FixtureRequest, tmp_path: Path, start: Callable[[], str]
) -> None:
    start()
    example = next(each for each in EXAMPLES if (tmp_path / each).exists())
    plain = re.search(
        r"(?:listen|bind) 127\.0\.0\.1:(\d+)(?! ssl)\b", (tmp_path / example).read_text()
    )
    assert plain
    answer = requests.get(
        f"http://127.0.0.1:{plain[1]}/boards?q=1", headers={"Host": "plant.example"}, timeout=5,
        allow_redirects=False,
    )  # fmt: skip
    assert (answer.status_code, answer.headers["Location"]) == (
        301, "https://plant.example/boards?q=1",
    )  # fmt: skip

"""nginx in front of the nodes, with the example of this project: round robin, nothing sticky."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from proof.load.wire import Client
from tests.support.servers import free_port
from tests.support.waiting import wait_until

_EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx.conf"


def nginx_path() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Proxy:
    """The example, without TLS, for the nodes at ``upstreams``, ports of this machine."""

    def __init__(self, directory: Path, upstreams: Sequence[int]) -> None:
        self.port = free_port()
        directory.mkdir(parents=True)
        (directory / "nginx.conf").write_text(_configuration(directory, self.port, upstreams))
        binary = nginx_path()
        assert binary is not None, "nginx is not installed"
        self._command = [binary, "-p", f"{directory}/", "-c", "nginx.conf", "-e", "error.log"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        client = Client(self.port, "")
        wait_until(
            lambda: client.send("GET", "/livez").status == 200, timeout_s=60, what="the proxy"
        )
        client.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)


def _configuration(directory: Path, port: int, upstreams: Sequence[int]) -> str:
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    text = _EXAMPLE.read_text()
    text = re.sub(r"    server \{\n +listen 80;.*?\n    \}\n", "", text, flags=re.DOTALL)
    text = re.sub(r"\n +ssl_certificate\w* [^\n]*", "", text)
    for old, new in {
        "user www-data;": "user root;" if os.geteuid() == 0 else "",
        "worker_processes auto;": "worker_processes 1; daemon off;",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 1024;",
        "/run/nginx.pid": f"{directory}/nginx.pid",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port};",
        "access_log off;": "access_log off;"
        + "".join(f" {each}_temp_path {directory}/{each};" for each in temporary),
        **{
            f"10.0.0.{31 + number}:8000": f"127.0.0.1:{each}"
            for number, each in enumerate(upstreams)
        },
    }.items():
        assert old in text, f"the example has no {old!r}"
        text = text.replace(old, new)
    return text

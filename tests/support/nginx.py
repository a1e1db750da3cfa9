"""A real nginx in front of a deployment, with compression."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import requests

from tests.support.servers import free_port
from tests.support.waiting import wait_until

# The README's configuration, plus compression of JSON.
_CONFIGURATION = """
{user}
daemon off;
pid nginx.pid;
error_log error.log warn;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    gzip on;
    gzip_min_length 1;
    gzip_types application/json;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


def nginx_path() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Nginx:
    """In front of the port ``upstream``, until the end of the block."""

    def __init__(self, binary: str, directory: Path, upstream: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        directory.mkdir()
        # Started by root, its worker would be nobody and could not write in here.
        user = "" if os.geteuid() else "user root;"
        text = _CONFIGURATION.format(user=user, port=self.port, upstream=upstream)
        (directory / "nginx.conf").write_text(text)
        self._command = [binary, "-p", f"{directory}/", "-c", "nginx.conf", "-e", "error.log"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Nginx:
        self._process = subprocess.Popen(self._command)
        wait_until(self._answers, what="nginx to answer")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=10)

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/livez", timeout=5).status_code == 200
        except requests.RequestException:
            return False

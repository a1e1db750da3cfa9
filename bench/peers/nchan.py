"""nginx with Nchan, a module in C that does nothing but deliver events.

Debian has both (``apt-get install nginx libnginx-mod-nchan``). Messages are kept in memory, one
process serves all streams, and events are published as its users do it: by a POST.
"""

from __future__ import annotations

import os
from pathlib import Path
from string import Template

from bench import wire
from bench.cpu import children, raise_file_limit
from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.peers.process import Server
from bench.server import free_port

_NGINX = "/usr/sbin/nginx"
_CONF = Path(__file__).with_name("nchan.conf")


class Nchan:
    """See :class:`bench.peers.Peer`."""

    name = "nchan"
    live_line = b": hi"

    def __init__(self, directory: Path, *, quota: CpuQuota = UNLIMITED) -> None:
        self.port = free_port()
        conf = directory / "nginx.conf"
        conf.write_text(
            Template(_CONF.read_text()).substitute(
                # Started by root, its process would run as nobody and could not write in here.
                user="" if os.geteuid() else "user root;",
                files=raise_file_limit(),
                port=self.port,
            )
        )
        command = [_NGINX, "-p", str(directory), "-c", str(conf), "-e", "error.log"]
        self._server = Server(self.name, command, self.port, directory, quota=quota)
        self.server_pids = children(self._server.process.pid)
        self._publisher = wire.connect(self.port)
        head = f"POST /pub HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        self._head = f"{head}Content-Type: application/json\r\nContent-Length: ".encode()

    @property
    def pids(self) -> list[int]:
        return self.server_pids

    @property
    def events_request(self) -> bytes:
        head = f"GET /sub HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        return f"{head}Accept: text/event-stream\r\n\r\n".encode()

    def publish(self, data: bytes) -> None:
        request = b"%b%d\r\n\r\n%b" % (self._head, len(data), data)
        answer = wire.exchange(self._publisher, request)
        if not answer.startswith(b"HTTP/1.1 20"):  # 201, or 202 while nobody listens
            raise RuntimeError(f"not published: {answer[:200]!r}")

    def stop(self) -> None:
        self._publisher.close()
        self._server.stop()

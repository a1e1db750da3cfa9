"""The baseline: a server that delivers events and does nothing else; see baseline.c."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.peers.process import Server
from bench.server import free_port

_SOURCE = Path(__file__).with_name("baseline.c")


class Baseline:
    """See :class:`bench.peers.Peer`. Compiles the program; publishes over its stdin."""

    name = "baseline"
    live_line = b"event: ready"

    def __init__(self, directory: Path, *, quota: CpuQuota = UNLIMITED) -> None:
        self.port = free_port()
        program = directory / "baseline"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, _SOURCE], check=True)
        self._server = Server(
            self.name, [str(program), str(self.port)], self.port, directory,
            reads_stdin=True, quota=quota,
        )  # fmt: skip

    @property
    def server_pids(self) -> list[int]:
        return [self._server.process.pid]

    @property
    def pids(self) -> list[int]:
        return self.server_pids

    @property
    def events_request(self) -> bytes:
        head = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        return f"{head}Accept: text/event-stream\r\n\r\n".encode()

    def publish(self, data: bytes) -> None:
        events = self._server.process.stdin
        assert events is not None
        events.write(data + b"\n")
        events.flush()

    def stop(self) -> None:
        self._server.stop()
        assert self._server.process.stdin is not None
        self._server.process.stdin.close()

"""The floor: what it costs to deliver events if the server does nothing else; see floor.c."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.peers.process import Server
from bench.server import free_port

_SOURCE = Path(__file__).with_name("floor.c")


class Floor:
    """See :class:`bench.peers.Peer`. Compiles the program; publishes over its stdin."""

    name = "floor"
    live_line = b"event: ready"

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        program = directory / "floor"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", program, _SOURCE], check=True)
        self._server = Server(
            self.name, [str(program), str(self.port)], self.port, directory, reads_stdin=True
        )

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

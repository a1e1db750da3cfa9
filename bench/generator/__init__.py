"""The load generators: programs in C, compiled as a run begins, and the interface to them.

``streams`` reads event streams, ``requests`` sends operations, ``latency`` does both, one event at
a time; the comment at the head of each ``.c`` file has the details. Each is a process of its own
with non-blocking sockets and one epoll loop, and reports its own share of a core. ``send_cost`` is
no generator: it measures the machine.
"""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SOURCES = Path(__file__).parent
_PROGRAMS = ("streams", "requests", "latency", "send_cost")
DONE = '"changed":true'  # begins the answer to an operation that was carried out


class Streams:
    """Open streams; ``live`` of them became live, within ``connect_s``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        opened = _read(process)
        self.live: int = opened["live"]
        self.connect_s: float = opened["connect_s"]
        self.trouble: str = opened["trouble"]  # the first one

    def finish(self, first: int, last: int, within_s: float) -> dict[str, Any]:
        """The figures of the events ``first`` to ``last``, once all have arrived or time is up."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{first} {last} {within_s}\n")
        self._process.stdin.flush()
        return {**_read(self._process), "live": self.live, "connect_s": self.connect_s}


class Generator:
    """The compiled programs, in ``directory``. Raises RuntimeError where there is no compiler."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for name in _PROGRAMS:
            command = ["cc", "-O2", "-o", f"{directory / name}", f"{_SOURCES / name}.c"]
            try:
                subprocess.run([*command, "-lm", "-lz"], check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise RuntimeError(f"the load generator cannot be compiled: {error}") from error

    @contextmanager
    def streams(
        self, port: int, count: int, request: bytes, live_line: bytes, *, at_once: int = 100
    ) -> Iterator[Streams]:
        """``count`` streams, open until the block ends; ``at_once`` connect at a time."""
        arguments = port, count, at_once, live_line.decode(), self._file(request)
        process = self._start("streams", *arguments)
        with process:
            try:
                yield Streams(process)
            except BaseException:
                process.kill()
                raise

    def requests(
        self, port: int, connections: Sequence[Sequence[bytes]], *,
        duration_s: float, warm_up_s: float = 0, rate_per_s: float = 0,
        status: int = 200, mark: str = DONE,
    ) -> dict[str, Any]:  # fmt: skip
        """The figures of the requests of each connection, sent in turn again and again.

        At ``rate_per_s`` requests are due whatever the server does; at 0 each connection sends its
        next one when it has its answer.
        """
        records = self._file(_records(connections))
        return self._run("requests", port, rate_per_s, warm_up_s, duration_s, status, mark, records)

    def latency(
        self, port: int, requests: Sequence[bytes], *,
        streams: int, operations: int, gap_ms: int, live_line: bytes, events_request: bytes,
    ) -> dict[str, Any]:  # fmt: skip
        """The times until each stream has the event of each operation, one at a time."""
        return self._run(
            "latency", port, streams, operations, gap_ms, live_line.decode(),
            self._file(events_request), self._file(_records([requests])),
        )  # fmt: skip

    def _run(self, name: str, *arguments: object) -> dict[str, Any]:
        process = self._start(name, *arguments)
        with process:
            try:
                return _read(process)
            except BaseException:
                process.kill()
                raise

    def _start(self, name: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._directory / name, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def _file(self, content: bytes) -> str:
        """A new file; the program reads it as it starts."""
        with tempfile.NamedTemporaryFile(dir=self._directory, delete=False) as file:
            file.write(content)
        return file.name


def _records(connections: Sequence[Sequence[bytes]]) -> bytes:
    return b"".join(
        struct.pack("=II", number, len(request)) + request
        for number, requests in enumerate(connections)
        for request in requests
    )


def _read(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the load generator has failed; see its output above")
    answer: dict[str, Any] = json.loads(line)
    return answer

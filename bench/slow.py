"""``python -m bench.slow``: what slow clients cost the others.

Operations at a few connections, first alone, then while a thousand connections send a byte a
second (half of them in the head, half in the body) and a thousand others ask for the whole board
or for its events and never read. Those that are closed come back. Prints the p99 of both, and how
they compare.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import runs
from bench.cpu import raise_file_limit
from bench.server import BOARD, ROOT, Gunicorn, Valkey, make_settings, set_up_data

_CONNECTIONS = 8
_WINDOW_BYTES = 4096  # of a reader that never reads
_BYTE_S = 1.0


class Slow:
    """The slow clients; they live in a process of their own."""

    def __init__(self, port: int, token: str, senders: int, readers: int) -> None:
        who = f"Host: x\r\nAuthorization: Bearer {token}\r\n"
        body = f"PUT /api/boards/{BOARD}/items/X HTTP/1.1\r\n{who}Content-Length: 60000\r\n\r\n"
        self._begins = [b"GET /livez HTTP/1.1\r\nX: ", body.encode()]
        paths = ["items", "events"]
        self._asks = [f"GET /api/boards/{BOARD}/{each} HTTP/1.1\r\n{who}\r\n" for each in paths]
        self._port = port
        self._senders: list[socket.socket | None] = [None] * senders
        self._readers: list[socket.socket | None] = [None] * readers
        self.opened = 0

    def run(self, duration_s: float) -> dict[str, int]:
        """Be slow for that long; returns how many connections were opened in all."""
        until = time.monotonic() + duration_s
        while time.monotonic() < until:
            turn_ends = time.monotonic() + _BYTE_S
            for number, each in enumerate(self._senders):
                self._senders[number] = self._send_a_byte(number, each)
            for number, each in enumerate(self._readers):
                if each is None or _is_closed(each):
                    ask = self._asks[number % len(self._asks)].encode()
                    self._readers[number] = self._open(ask, _WINDOW_BYTES)
            time.sleep(max(0.0, turn_ends - time.monotonic()))
        return {"opened": self.opened}

    def _send_a_byte(self, number: int, connection: socket.socket | None) -> socket.socket | None:
        with contextlib.suppress(OSError):
            if connection is not None and not _is_closed(connection):
                connection.send(b"x")
                return connection
        return self._open(self._begins[number % len(self._begins)])

    def _open(self, begin: bytes, window_bytes: int = 0) -> socket.socket | None:
        made = socket.socket()
        try:
            if window_bytes:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
            made.settimeout(5)
            made.connect(("127.0.0.1", self._port))
            made.send(begin)
            made.setblocking(False)
        except OSError:
            made.close()
            return None
        self.opened += 1
        return made


def _is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it. What it has sent is looked at and not taken."""
    try:
        connection.send(b"")
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def measure(seconds: float, senders: int, readers: int, items: int) -> dict[str, Any]:
    """Both runs against one real server."""
    raise_file_limit()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="occ-slow-")))
        valkey = Valkey(directory)
        stack.callback(valkey.stop)
        settings = make_settings(valkey, directory)
        token, tags = set_up_data(settings, items)
        gunicorn = Gunicorn(settings, 2, directory / "gunicorn.log")
        stack.callback(gunicorn.stop)

        def operations() -> dict[str, Any]:
            return runs.operations(
                gunicorn, valkey, token, tags,
                connections=_CONNECTIONS, warm_up_s=seconds / 4, duration_s=seconds,
            )  # fmt: skip

        quiet = operations()
        with _attack(gunicorn.port, token, senders, readers) as slow:
            time.sleep(min(5.0, seconds))  # until they are all there
            beside = operations()
        return {"quiet": quiet, "beside": beside, **slow, "senders": senders, "readers": readers}


@contextlib.contextmanager
def _attack(port: int, token: str, senders: int, readers: int) -> Iterator[dict[str, int]]:
    result: dict[str, int] = {}
    job = json.dumps({"port": port, "token": token, "senders": senders, "readers": readers})
    with subprocess.Popen(
        [sys.executable, "-m", "bench.slow", "--be", job], cwd=ROOT, stdout=subprocess.PIPE,
        stdin=subprocess.PIPE, env=os.environ,
    ) as process:  # fmt: skip
        try:
            yield result
        finally:
            process.terminate()
            process.wait(10)


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [
        f"Slow clients: {result['senders']} that send a byte a second, {result['readers']} that "
        f"never read; operations at {_CONNECTIONS} connections"
    ]
    for name, run in (("alone", result["quiet"]), ("beside them", result["beside"])):
        lines.append(
            f"  {name:<12} {run['per_s']:6.0f} op/s  p50 {run['p50_ms']:6.1f} ms  "
            f"p99 {run['p99_ms']:6.1f} ms  failures {run['failures']}"
        )
    ratio = result["beside"]["p99_ms"] / max(0.001, result["quiet"]["p99_ms"])
    return "\n".join([*lines, f"  p99 beside them: {ratio:.1f} x of alone"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.slow", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few seconds: proves that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw results there")
    parser.add_argument("--be", metavar="JOB", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be:
        raise_file_limit()
        job = json.loads(options.be)
        Slow(**job).run(120)
        return
    scale = 20 if options.short else 1
    result = measure(10 / scale, 1000 // scale, 1000 // scale, 2000 // scale)
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if result["quiet"]["failures"] or result["beside"]["failures"]:
        sys.exit("bench: an operation failed; the figures do not count.")


if __name__ == "__main__":
    main()

"""The start: from the execution of gunicorn to its first answer, beside a hello-world application.

The same gunicorn with the same worker class runs both, in turn.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import PRODUCT, Rows
from bench.product import Product
from bench.runner import Runner
from bench.scenario import Column, Ratio, Scenario, Target
from bench.server import ROOT, clean_environ, end, free_port, product_environ, python_of

HELLO = "hello"
_PROCESSES = (1, 2)
_POLL_S = 0.002
_WITHIN_S = 20.0
_ASK = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def _measure(runner: Runner) -> Rows:
    times_s: dict[str, list[float]] = {}

    def alternate(peer: Product, directory: Path) -> dict[str, dict[str, Any]]:
        conf = directory / "hello.conf.py"  # else gunicorn reads the project's
        conf.touch()
        for turn in range(runner.pick(4, 1)):
            for processes in _PROCESSES:
                port = free_port()
                environ = product_environ(peer.settings, processes, port)
                ours = _start_s(peer, ("wsgi:app",), port, environ, root=peer.root)
                hello = (
                    "-c", str(conf), "-k", "gevent", "-w", str(processes),
                    "-b", f"127.0.0.1:{port}",
                    "--no-control-socket", "bench.peers.hello:app",
                )  # fmt: skip
                theirs = _start_s(peer, hello, port, clean_environ())
                if turn or runner.is_short:  # the first one reads files from the disk
                    times_s.setdefault(_name(PRODUCT, processes), []).append(ours)
                    times_s.setdefault(_name(HELLO, processes), []).append(theirs)
        return {
            name: {"start_ms": median(each) * 1000, "starts_ms": [1000 * s for s in each]}
            for name, each in times_s.items()
        }

    start = runner.start(PRODUCT, items=100, is_served=False)
    return runner.rows(PRODUCT, start, lambda peer: alternate(peer, runner.directory))


def _start_s(
    peer: Product, arguments: Sequence[str], port: int, environ: Mapping[str, str], *,
    root: Path = ROOT,
) -> float:  # fmt: skip
    """Seconds from the start of gunicorn until it answers. Raises RuntimeError if it does not."""
    command = peer.quota.command([python_of(root), "-m", "gunicorn", *arguments])
    began = time.monotonic()
    ends = began + _WITHIN_S * peer.quota.slowdown
    process = subprocess.Popen(
        command, cwd=root, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"{arguments[-1]} does not start")
            time.sleep(_POLL_S)
        return time.monotonic() - began
    finally:
        end(process)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(_ASK)
            return connection.recv(12).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _name(system: str, processes: int) -> str:
    return f"{system}, {processes} process{'es' if processes > 1 else ''}"


START = Scenario(
    "start",
    "from the execution of gunicorn to the first answer",
    _measure,
    (Column("ms", "start_ms", "{:.0f}"),),
    tuple(
        Target(
            f"to an application that says hello, {processes} process{'es' * (processes > 1)}",
            Ratio("start_ms", _name(HELLO, processes), of=_name(PRODUCT, processes)), 1.5,
        )
        for processes in _PROCESSES
    ),
    plotted=("start_ms",),
)  # fmt: skip

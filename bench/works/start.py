"""The start: from the execution of gunicorn to its first answer, beside a hello-world application.

Both are run by the same gunicorn with the same worker class, in turn.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.product import Product
from bench.server import ROOT, clean_environ, end, free_port, product_environ
from bench.stage import Stage
from bench.work import PRODUCT, Column, Ratio, Rows, Target, Work

HELLO = "hello"
_WORKERS = (1, 2)
_POLL_S = 0.002
_WITHIN_S = 20.0
_ASK = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def _measure(stage: Stage) -> Rows:
    times_s: dict[str, list[float]] = {}

    def alternate(peer: Product, directory: Path) -> dict[str, dict[str, Any]]:
        conf = directory / "hello.conf.py"  # else gunicorn reads the project's
        conf.touch()
        for turn in range(stage.pick(4, 1)):
            for workers in _WORKERS:
                port = free_port()
                ours = _start_s(("wsgi:app",), port, product_environ(peer.settings, workers, port))
                hello = (
                    "-c", str(conf), "-k", "gevent", "-w", str(workers), "-b", f"127.0.0.1:{port}",
                    "--no-control-socket", "bench.peers.hello:app",
                )  # fmt: skip
                theirs = _start_s(hello, port, clean_environ())
                if turn or stage.is_short:  # the first one reads files that are not in memory yet
                    times_s.setdefault(_name(PRODUCT, workers), []).append(ours)
                    times_s.setdefault(_name(HELLO, workers), []).append(theirs)
        return {
            name: {"start_ms": median(each) * 1000, "starts_ms": [1000 * s for s in each]}
            for name, each in times_s.items()
        }

    start = stage.product(items=100, is_served=False)
    return stage.rows(PRODUCT, start, lambda peer: alternate(peer, stage.directory))


def _start_s(arguments: Sequence[str], port: int, environ: Mapping[str, str]) -> float:
    """Seconds from the start of gunicorn until it answers. Raises RuntimeError if it does not."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *arguments],
        cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port):
            if process.poll() is not None or time.monotonic() - began > _WITHIN_S:
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


def _name(who: str, workers: int) -> str:
    return f"{who}, {workers} worker{'s' if workers > 1 else ''}"


START = Work(
    "start",
    "from the execution of gunicorn to the first answer",
    _measure,
    (Column("ms", "start_ms", "{:.0f}"),),
    tuple(
        Target(
            f"to an application that says hello, {workers} worker process{'es' * (workers > 1)}",
            Ratio("start_ms", _name(HELLO, workers), of=_name(PRODUCT, workers)), 1.5,
        )
        for workers in _WORKERS
    ),
    pictured=("start_ms",),
)  # fmt: skip

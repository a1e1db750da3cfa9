"""The caller's side of the proxy: starts its process, sets its modes, reads its counts."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proof.network.mode import Mode
from tests.support.servers import free_port

_ROOT = Path(__file__).parents[2]
_ANSWER_S = 30.0


class FaultProxy:
    """Passes on from ``port`` to ``upstream``, ports of this machine, in a process of its own.

    A load that keeps this process busy does not slow it. Its random choices come from ``seed``.
    """

    def __init__(self, upstream: int, *, seed: int = 0) -> None:
        self.port = free_port()
        self._upstream, self._seed = upstream, seed
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # one question at a time
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._file: Any = None

    def start(self) -> None:
        own, others = socket.socketpair()
        with others:
            command = [sys.executable, "-m", "proof.network", str(others.fileno())]
            self._process = subprocess.Popen(
                [*command, str(self.port), str(self._upstream), str(self._seed)],
                cwd=_ROOT, pass_fds=[others.fileno()],
            )  # fmt: skip
        own.settimeout(_ANSWER_S)
        self._control, self._file = own, own.makefile("rwb")
        self.counts()  # it listens

    def stop(self) -> None:
        """End it; its connections are closed."""
        process, self._process = self._process, None
        if process is None or self._control is None:
            return
        self._file.close()
        self._control.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def during(self, *modes: Mode) -> Iterator[None]:
        """Apply these modes for the time of the block, beside those that others have begun.

        If several modes match a message, the first applies.
        """
        number = self.begin(*modes)
        try:
            yield
        finally:
            self.end(number)

    def begin(self, *modes: Mode) -> int:
        """Apply these modes from now on; returns the number for :meth:`end`."""
        number = next(self._numbers)
        seed = self._seed + number
        self._ask("begin", number=number, modes=[each.as_json() for each in modes], seed=seed)
        return number

    def end(self, number: int) -> None:
        self._ask("end", number=number)

    def strike(self, mode: Mode) -> int:
        """Cut or reset the open connections that match, each within the next message that it gets.

        Returns how many match; the counts have those that were cut.
        """
        struck: int = self._ask("strike", modes=[mode.as_json()])
        return struck

    def counts(self) -> dict[str, int]:
        """How often each mode has had its effect.

        Also ``connections`` and ``exchanges``, and how many connections are ``open`` now.
        """
        counts: dict[str, int] = self._ask("counts")
        return counts

    def count(self, name: str) -> int:
        return self.counts().get(name, 0)

    def _ask(self, do: str, **options: Any) -> Any:
        with self._lock:
            self._file.write(json.dumps({"do": do, **options}).encode() + b"\n")
            self._file.flush()
            line = self._file.readline()
        assert line, "the proxy's process has ended"
        return json.loads(line)

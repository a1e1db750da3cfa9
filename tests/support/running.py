"""Programs that a test starts."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


class Running:
    """Processes that a test has started, by their port."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, command: Sequence[str], directory: Path, port: int) -> None:
        self._processes[port] = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self, port: int) -> None:
        process = self._processes.pop(port)
        process.kill()
        process.wait(timeout=30)

    def end(self) -> None:
        for port in list(self._processes):
            self.kill(port)

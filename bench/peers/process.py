"""The launchers' common parts: a server process with a clean environment, a private Valkey."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from bench.cpu import raise_file_limit
from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.server import BOARD, ROOT, Valkey, clean_environ, end, free_port, wait
from bench.wire import events_request

CHANNEL = f"live:{BOARD}"  # as the peers' applications name it


class Server:
    """A process that answers on ``port``; it logs to ``directory``."""

    def __init__(
        self, name: str, command: list[str], port: int, directory: Path, *,
        environ: Mapping[str, str] | None = None, reads_stdin: bool = False,
        quota: CpuQuota = UNLIMITED,
    ) -> None:  # fmt: skip
        raise_file_limit()
        log_path = directory / f"{name}.log"
        with log_path.open("ab") as log:
            self.process = subprocess.Popen(
                quota.command(command), cwd=ROOT, env={**clean_environ(), **(environ or {})},
                stdout=log, stderr=log,
                stdin=subprocess.PIPE if reads_stdin else subprocess.DEVNULL,
            )  # fmt: skip
        self._url = f"http://127.0.0.1:{port}/livez"
        wait(self._answers, name, self.process, log_path, quota)

    def stop(self) -> None:
        end(self.process)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self._url, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


class ValkeyPeer(ABC):
    """A peer with a private Valkey, whose publications go to its streams."""

    name: str
    live_line = b"event: ready"

    def __init__(self, directory: Path, *, quota: CpuQuota = UNLIMITED) -> None:
        self.port = free_port()
        self.token = ""
        self._directory = directory
        self._valkey = Valkey(directory, quota=quota)
        try:
            self._server = Server(
                self.name, self._command(), self.port, directory,
                environ={"PEER_REDIS_URL": self._valkey.url}, quota=quota,
            )  # fmt: skip
        except BaseException:
            self._valkey.stop()
            raise
        self._client = self._valkey.client()

    @property
    def server_pids(self) -> list[int]:
        return [self._server.process.pid]

    @property
    def pids(self) -> list[int]:
        return [*self.server_pids, self._valkey.pid]

    @property
    def events_request(self) -> bytes:
        return events_request(self.port, self.token, BOARD)

    def publish(self, data: bytes) -> None:
        self._client.publish(CHANNEL, data)

    def stop(self) -> None:
        self._client.close()
        self._server.stop()
        self._valkey.stop()

    @abstractmethod
    def _command(self) -> list[str]:
        """The server's command line."""

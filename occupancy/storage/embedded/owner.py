"""The embedded Valkey: a real server that lives exactly as long as the process that owns it.

The owner (gunicorn's master, or a command that found no server) starts a supervisor
(supervisor.py), which starts valkey-server, and restarts it whenever it dies. Two pipes connect
owner and supervisor. Control: a byte or the end of file means stop, so the server also ends when
its owner is killed by SIGKILL. Status: one line on the result of the start, "stopped" at an orderly
end, the end of file when the supervisor is gone. So the owner neither signals nor waits for a
remembered pid, and any process may reap its children.

gunicorn's master imports this before gevent patches anything: no redis, gevent or flask here.
"""

import contextlib
import fcntl
import os
import select
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar, Self

from occupancy.core.errors import EmbeddedError
from occupancy.core.settings import Settings

LOCK_WAIT_S = 5.0  # for a command that is just finishing, or an orphan's last fsync
_HEADROOM = 16  # connections on top of the budget: an operator's redis-cli, PINGs from here
_START_WAIT_S = 150.0  # longer than all waits of the supervisor, which reports its failures
_STOP_WAIT_S = 10.0  # longer than the supervisor waits for its server


class Embedded:
    """An embedded server that this process owns, from :meth:`start` to :meth:`stop`."""

    _owned: ClassVar[set["Embedded"]] = set()

    def __init__(
        self, data_dir: Path, socket_path: Path, maxclients: int, maxmemory_bytes: int
    ) -> None:
        self._data_dir, self._socket_path = data_dir, socket_path
        python_path = [os.environ.get("PYTHONPATH", ""), str(Path(__file__).parents[3])]
        child_control_fd, self._control_fd = os.pipe()
        self._status_fd, child_status_fd = os.pipe()
        command = [sys.executable, "-P", "-m", "occupancy.storage.embedded.supervisor"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, and no shell
                [*command, str(data_dir), str(socket_path), str(maxclients), str(maxmemory_bytes)],
                stdin=child_control_fd,
                stdout=child_status_fd,
                cwd=data_dir,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, python_path))},
                start_new_session=True,  # Ctrl-C on our terminal must not reach it or valkey
            )
            self._owned.add(self)
        finally:
            os.close(child_control_fd)
            os.close(child_status_fd)

    @classmethod
    def start(cls, settings: Settings) -> Self:
        """Start the server of ``settings`` and return once it answers.

        Waits up to 5 s for an owner that is just finishing and up to 10 s for the server, longer
        only while it loads its data. Raises EmbeddedError with advice, and leaves nothing running.
        """
        data_dir, socket_path = settings.state_path / "valkey", settings.embedded_socket
        try:
            for directory in {data_dir, socket_path.parent}:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not _is_own(directory):  # in /tmp, another user may have made it
                    raise PermissionError(f"{directory} is not a directory of this user")
                directory.chmod(0o700)
            embedded = cls(
                data_dir, socket_path, settings.redis_budget + _HEADROOM,
                settings.embedded_memory_bytes,
            )  # fmt: skip
        except OSError as error:
            raise unusable(data_dir, error) from error
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

        False while it loads its data. A server that is too busy for a PONG counts as running.
        """
        is_trusted = _is_own(settings.embedded_socket.parent)  # it may be in /tmp
        reply = send_command(settings.embedded_socket, "PING") if is_trusted else ""
        return bool(reply) and not reply.startswith("-LOADING")

    def stop(self) -> None:
        """Stop the server and wait for its end, at most about 10 s; a second call does nothing.

        It does nothing in a forked child either, and shuts the server down itself if the supervisor
        is dead already.
        """
        if self._control_fd < 0:
            return
        with contextlib.suppress(BrokenPipeError):  # it is dead; the status pipe shows that
            os.write(self._control_fd, b"s")  # not just a close: a copy of the pipe may be open
        last_status = self._read_status(_STOP_WAIT_S)
        self._close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # gevent, if another waiter reaped it
            self._process.wait(timeout=1.0)
        if last_status is not None and not last_status.endswith("stopped"):
            # It was killed, and its valkey may live. While we hold the lock, the socket is not a
            # new owner's. OSError: a new owner has it, and ends the orphan, or the file is gone.
            with contextlib.suppress(OSError), (self._data_dir / "supervisor.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                send_command(self._socket_path, "SHUTDOWN", timeout_s=LOCK_WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.stop()

    def _read_status(self, wait_s: float, until: str | None = None) -> str | None:
        """Read until ``until`` or the supervisor's exit; None if neither comes in ``wait_s``."""
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


# A forked process must not keep the control pipe open: when the owner is killed, the end of file
# must come at once, not after the last of its children.
os.register_at_fork(after_in_child=Embedded._disown_all)


def _is_own(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        status = directory.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return False


def unusable(data_dir: Path, error: OSError) -> EmbeddedError:
    """The error for a data directory that the operating system refuses."""
    return EmbeddedError(
        f"The embedded server cannot use {data_dir}: {error}. Make it a writable directory of this "
        "user, or set OCCUPANCY_STATE_DIR to one, or REDIS_URL to a server of your own."
    )


def send_command(socket_path: Path, command: str, timeout_s: float = 1.0) -> str:
    """Return the start of the reply to a command of one word; "" without a reply."""
    request = f"*1\r\n${len(command)}\r\n{command}\r\n".encode()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(socket_path))
        with contextlib.suppress(BrokenPipeError):  # a full server says so and closes at once
            connection.sendall(request)
        return connection.recv(64).decode(errors="replace")
    return ""

"""The master process: makes what all processes share, and keeps it over a reload.

gunicorn executes its configuration anew at each reload, but imported modules stay. The master never
imports the application, flask or redis: a process patches the standard library when it starts, and
modules imported before that would keep the unpatched parts.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

from occupancy.core.errors import OccupancyError
from occupancy.core.settings import Settings
from occupancy.core.texts.plurals import counted
from occupancy.observability import log_lines
from occupancy.server.accept_balancing import Loads
from occupancy.storage.budget import plan
from occupancy.storage.embedded.owner import Embedded

_OTHER_FILES = 256  # for listeners, Redis, logs and metrics
_MAX_FILES = 65536


def read_settings() -> Settings:
    """The settings of the environment; ends the start if one is wrong."""
    try:
        return Settings.from_environ(os.environ)
    except OccupancyError as error:
        _end_start(error.detail)


def max_connections() -> int:
    """How many connections the limit of open files leaves to a process."""
    return max(64, min(20_000, _file_limits()[0] - _OTHER_FILES))


class Master:
    """What the master does; gunicorn.conf.py calls ``MASTER``, the only one."""

    def __init__(self) -> None:
        self.loads = Loads.shared()
        self._embedded: Embedded | None = None

    def start(self, arbiter: Any) -> None:
        """Make what all processes share; ``arbiter`` is gunicorn's master."""
        if arbiter.cfg.preload_app:
            _end_start("--preload is not supported: the workers patch first and import then.")
        resource.setrlimit(resource.RLIMIT_NOFILE, _file_limits())
        os.environ["WEB_CONCURRENCY"] = str(arbiter.cfg.workers)  # -w on the command line counts
        settings = read_settings()
        log_lines.install(settings.log_level)
        try:
            budget = plan(settings)
            prepare_metrics(settings.state_path / "metrics")
            self._embedded = Embedded.start(settings) if settings.is_embedded else None
        except OccupancyError as error:
            _end_start(error.detail)
        except OSError as error:
            _end_start(f"{settings.state_path} cannot be used: {error}. Set OCCUPANCY_STATE_DIR.")
        if settings.proxies and not settings.url:
            arbiter.log.warning(
                "OCCUPANCY_PROXIES is %d and OCCUPANCY_URL is empty: links and QR codes would name "
                "%s, which browsers behind the proxy may not reach, and any host name is answered. "
                "Set OCCUPANCY_URL to the address that browsers use.",
                settings.proxies, settings.public_url,
            )  # fmt: skip
        arbiter.log.info(
            "Redis budget %d: %s with %s for operations and %d for streams "
            "each, twice while a reload overlaps them, and %d for the command line",
            budget.limit, counted(budget.processes, "worker"), counted(budget.ops, "connection"),
            budget.pubsub, budget.reserved,
        )  # fmt: skip

    def stop(self) -> None:
        """Stop what was started, also after a failed start."""
        if self._embedded is not None:
            self._embedded.stop()
        shutil.rmtree(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""), ignore_errors=True)

    def before_fork(self, worker: Any) -> None:
        """Count no connections for the new process."""
        Loads(self.loads, worker.age).write(0)

    def after_exit(self, worker: Any) -> None:
        """Forget a process that has ended."""
        # It stays unpatched in the processes to come, which is no harm: it waits for nothing.
        from prometheus_client import multiprocess  # noqa: PLC0415 - only where a process ends

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call] # untyped there
        Loads(self.loads, worker.age).write(None)


MASTER = Master()


def prepare_metrics(directory: Path) -> None:
    """Make a directory of this master's own; remove those of masters that were killed."""
    own = directory / str(os.getpid())
    for each in directory.glob("*"):
        # Our own id may be left over from a killed master: a container's ids repeat at each start.
        if each == own or (each.name.isdigit() and not _is_running(int(each.name))):
            shutil.rmtree(each, ignore_errors=True)
    own.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(own)


def _file_limits() -> tuple[int, int]:
    """Soft and hard limit of open files; the soft one is raised as far as allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (_MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)), hard


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _end_start(detail: str) -> NoReturn:
    """End the start with one clear line instead of a traceback."""
    print(f"occupancy: {detail}", file=sys.stderr, flush=True)  # noqa: T201 - logs begin later
    raise SystemExit(1)

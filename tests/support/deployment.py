"""A real deployment for the tests: gunicorn in a subprocess, on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from occupancy.core.entities import Role
from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.support.raw_http import Wire
from tests.support.servers import free_port
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


class Deployment:
    """gunicorn on the project's own configuration; ``environ`` overrides the settings."""

    def __init__(self, state_dir: Path, redis_url: str, *arguments: str, **environ: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = state_dir / "gunicorn.log"
        self._arguments = arguments
        self.environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("OCCUPANCY_", "REDIS_"))},
            "PORT": str(self.port),
            "OCCUPANCY_HOST": "127.0.0.1",
            "OCCUPANCY_STATE_DIR": str(state_dir),
            "REDIS_URL": redis_url,
            **environ,
        }
        self.headers: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._streams: list[EventStream] = []
        self._services: Services | None = None
        state_dir.mkdir(parents=True, exist_ok=True)

    def start(self, until: str = "/readyz") -> Deployment:
        """Start it and wait until ``until`` answers 200."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *self._arguments, "wsgi:app"],
                cwd=ROOT, env=self.environ, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            wait_until(lambda: self._is_up(until), timeout_s=60, what=f"200 from {until}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from error
        return self

    def _is_up(self, path: str) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "gunicorn has ended"
        return self.status_of(path) == 200

    def stop(self, sig: signal.Signals = signal.SIGTERM, timeout_s: float = 20) -> float:
        """End it and everything that the test has opened; returns the seconds that it took."""
        self.close_streams()
        if self._services is not None:
            self._services.close()
        started = time.monotonic()
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.send_signal(sig)
            try:
                process.wait(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return time.monotonic() - started

    def keep(self, stream: EventStream) -> EventStream:
        """Close a stream that the test has opened itself together with the others."""
        self._streams.append(stream)
        return stream

    def close_streams(self) -> None:
        """Close every stream that the test has opened."""
        while self._streams:
            self._streams.pop().close()

    def signal(self, sig: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sig)

    def send_at_once(self, requests: Sequence[bytes]) -> list[Wire]:
        """Send each on its own connection; all have arrived when the first is accepted."""
        frozen = self.worker_pids()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            wires = []
            for each in requests:
                wires.append(Wire(self.port))
                wires[-1].send(each)
            return wires
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)

    def worker_pids(self) -> set[int]:
        """The pids of the processes, which are the master's children."""
        assert self.process is not None
        found = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        )
        rows = (line.split() for line in found.stdout.splitlines())
        return {
            int(pid)
            for pid, parent, state in rows
            if int(parent) == self.process.pid and not state.startswith("Z")
        }

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def metrics(self) -> str:
        """The present metrics; the response of /metrics may be a second old."""
        registry = CollectorRegistry()
        for directory in (Path(self.environ["OCCUPANCY_STATE_DIR"]) / "metrics").iterdir():
            multiprocess.MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call] # untyped there
        return generate_latest(registry).decode()

    def services(self) -> Services:
        """The same deployment's services, from the test's own process."""
        if self._services is not None:
            return self._services
        settings = Settings(
            redis_url=self.environ["REDIS_URL"],
            prefix=self.environ.get("OCCUPANCY_PREFIX", "occ"),
            state_dir=self.environ["OCCUPANCY_STATE_DIR"],
        )
        self._services = Services.for_command_line(settings)
        return self._services

    def sign_in(self, worker: str, role: Role) -> dict[str, str]:
        """Add a worker and send its token with all further requests; returns the token."""
        services = self.services()
        services.workers.add(worker, name=worker.title(), role=role)
        secret, _ = services.tokens.create(worker)
        self.headers = {"Authorization": f"Bearer {secret}"}
        return self.headers

    def status_of(self, path: str) -> int:
        """The status of a GET; 0 if the server is unreachable."""
        try:
            return requests.get(self.url + path, headers=self.headers, timeout=5).status_code
        except requests.RequestException:
            return 0

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **options)

    def stream(
        self,
        board: str = "main",
        after: str | None = None,
        *,
        receive_bytes: int = 0,
        unread: bool = False,
        keeps_items: bool = True,
        last_event_id: str | None = None,
    ) -> EventStream:
        """Open an event stream and, unless ``unread``, begin to read it."""
        query = f"?after={after}" if after is not None else ""
        url = f"{self.url}/api/boards/{board}/events{query}"
        resumed = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        opened = EventStream(
            url,
            {**self.headers, **resumed},
            receive_bytes=receive_bytes,
            keeps_items=keeps_items,
        )
        self._streams.append(opened)
        return opened if unread else opened.read()

    def resume(self, ended: EventStream, *, keeps_items: bool = True) -> EventStream:
        """Reconnect like a browser: with the last event id, as often as necessary.

        A process on its way out may still accept; it says bye at once.
        """
        ended.wait_for_end()
        while True:
            again = self.stream(last_event_id=ended.last_id, keeps_items=keeps_items)
            wait_until(lambda again=again: again.events, what="an event")  # type: ignore[misc] # bound now
            if not again.of_kind("bye"):
                again.wait_for("ready")
                return again
            again.wait_for_end()

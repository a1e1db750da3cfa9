"""The incident's design (incident_app.py), on gunicorn with gevent as it was."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.cpu import children
from bench.cpu_quota import UNLIMITED, CpuQuota
from bench.peers.process import ValkeyPeer


class Incident(ValkeyPeer):
    """See :class:`bench.peers.Peer`. From the 61st stream on it answers 503."""

    name = "incident"

    def __init__(self, directory: Path, *, quota: CpuQuota = UNLIMITED) -> None:
        super().__init__(directory, quota=quota)
        self._process_pids = children(self._server.process.pid)

    @property
    def server_pids(self) -> list[int]:
        return self._process_pids

    def _command(self) -> list[str]:
        own_conf = self._directory / "gunicorn.conf.py"  # else it would read the project's
        own_conf.touch()
        command = [sys.executable, "-m", "gunicorn", "-c", str(own_conf), "--no-control-socket"]
        command += ["--bind", f"127.0.0.1:{self.port}", "--backlog", "4096"]
        command += ["--worker-class", "gevent", "--workers", "1", "--worker-connections", "10000"]
        return [*command, "--graceful-timeout", "2", "bench.peers.incident_app:app"]

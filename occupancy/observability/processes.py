"""The reports of all processes of the deployment, on whatever machine they run.

Each writes its figures under its own key every two seconds, and the key expires when it stops.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from occupancy.core.errors import OccupancyError
from occupancy.core.keys import Keys
from occupancy.observability.servers import Servers
from occupancy.storage.client import OpsClient

_TTL_S = 10
Connections = tuple[dict[str, Any], list[dict[str, Any]] | None]
"""The servers' counts of connections (see Servers.counts), and the report of every process.

The reports are None where there are several servers and that of access does not answer.
"""


def process_name() -> str:
    """A name for this process, unique in the deployment.

    Containers may share host name and process ids. Without the random part, one process's canaries
    would prove the live delivery of the other, and its report would replace the other's.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def host_of(name: str) -> str:
    """The host name in the name of a process."""
    return name.rsplit("-", 2)[0]


class Processes:
    """The reports in Redis. Methods raise PoolTimeout or StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys, servers: Servers) -> None:
        self._client = client
        self._keys = keys
        self.servers = servers

    def report(self, name: str, figures: Mapping[str, Any]) -> None:
        """Write this process's figures."""
        self._client.run_pipeline(
            lambda pipeline: (
                pipeline.set(self._keys.process(name), msgspec.json.encode(figures), ex=_TTL_S),
                pipeline.sadd(self._keys.processes, name),
            )
        )

    def withdraw(self, name: str) -> None:
        """Remove the report of a process that ends."""
        keys = self._keys
        self._client.run_pipeline(
            lambda pipeline: (
                pipeline.delete(keys.process(name)), pipeline.srem(keys.processes, name),
            )
        )  # fmt: skip

    def all(self) -> list[dict[str, Any]]:
        """The figures of every process with a report, by name. Up to three round trips."""
        members: Any = self._client.smembers(self._keys.processes)
        names = sorted(name.decode() for name in members)
        if not names:
            return []
        reports = self._client.run_pipeline(
            lambda pipeline: [pipeline.get(self._keys.process(name)) for name in names]
        )
        gone = [name for name, report in zip(names, reports, strict=True) if report is None]
        if gone:
            self._client.srem(self._keys.processes, *gone)
        return [msgspec.json.decode(report) for report in reports if report is not None]

    def connections(self) -> Connections:
        """Ask the servers, and read the reports."""
        counts = self.servers.counts()
        try:
            return counts, self.all()
        except OccupancyError:
            if not self.servers.are_several:
                raise
            return counts, None  # the figures of the others are needed all the more

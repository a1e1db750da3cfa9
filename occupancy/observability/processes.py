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

from occupancy.core.keys import Keys
from occupancy.storage.client import OpsClient

_TTL_S = 10
Connections = tuple[dict[str, int | None], list[dict[str, Any]]]
"""The server's count of connections, and the report of every process."""
CLIENT_NAMES = ("ops", "pubsub", "cli")


def process_name() -> str:
    """A name for this process, unique in the deployment.

    Containers may share host name and process ids. Without the random part, one process's canaries
    would prove the live delivery of the other, and its report would replace the other's.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Processes:
    """The reports in Redis. Methods raise PoolTimeout or StoreUnavailable."""

    def __init__(self, client: OpsClient, keys: Keys) -> None:
        self._client = client
        self._keys = keys

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

    def server(self) -> dict[str, int | None]:
        """The server's count of our connections, by pool; None for what it withholds."""
        info, clients = self._client.run_optional(
            lambda pipeline: (pipeline.info("clients"), pipeline.client_list())
        )
        counts: dict[str, int | None] = dict.fromkeys((*CLIENT_NAMES, "other"))
        connected = None if info is None else info.get("connected_clients")
        if clients is not None:
            names = [client.get("name", "") for client in clients]
            ours = {name: names.count(f"occupancy-{name}") for name in CLIENT_NAMES}
            connected = len(clients)
            counts = {**ours, "other": connected - sum(ours.values())}
        maxclients = None if info is None else info.get("maxclients")
        return {"maxclients": maxclients, "connected": connected, **counts}

    def connections(self) -> Connections:
        """Read both from Redis."""
        return self.server(), self.all()

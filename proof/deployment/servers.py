"""The servers of a run: a Cluster of 3 + 3, or a primary, two replicas and three Sentinels."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import redis

from occupancy.storage.topology.shard import slot_of
from tests.support.clusters import SERVICE, RealCluster, RealSentinels
from tests.support.servers import RealServer

_PASSWORD = "run"  # with it, a fault can cut off the Sentinels alone


class Servers(Protocol):
    """What a run needs of either topology."""

    replicas: int  # of each primary

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def all(self) -> Sequence[RealServer]: ...

    def primary_of(self, key: str) -> RealServer: ...

    def is_whole(self) -> bool: ...

    def client(self, server: RealServer, *, timeout_s: float = 5.0) -> redis.Redis: ...


def raw(client: redis.Redis, *command: Any) -> Any:
    """The unparsed reply of a server."""
    client.response_callbacks.clear()
    return client.execute_command(*command)


class ClusterServers:
    """Three primaries, each with a replica; promotions after half a second."""

    replicas = 1

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.directory = directory
        self.cluster = RealCluster(kind, directory)

    @property
    def url(self) -> str:
        return self.cluster.url

    def start(self) -> None:
        self.cluster.start()

    def stop(self) -> None:
        self.cluster.stop()

    def all(self) -> Sequence[RealServer]:
        return self.cluster.nodes

    def primary_of(self, key: str) -> RealServer:
        return self.cluster.primary_of(key)

    def shares(self) -> list[tuple[int, int]]:
        """The first and the last slot of each primary, at the start."""
        share = 16_384 // self.cluster.primary_count
        return [(n * share, (n + 1) * share - 1) for n in range(self.cluster.primary_count)]

    def is_whole(self) -> bool:
        try:
            return self.cluster.is_whole() and self._has_every_replica()
        except redis.RedisError:
            return False

    def _has_every_replica(self) -> bool:
        return all(each.is_running for each in self.cluster.nodes) and all(
            self.cluster.replicas_of(each) for each in self.cluster.primaries()
        )

    def client(self, server: RealServer, *, timeout_s: float = 5.0) -> redis.Redis:
        return redis.Redis(port=server.port, protocol=2, socket_timeout=timeout_s)


class SentinelServers:
    """One primary with two replicas; promotions after half a second and a vote."""

    replicas = 2

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.real = RealSentinels(kind, directory, password=_PASSWORD)
        self._directory = directory

    @property
    def url(self) -> str:
        return self.real.url

    def start(self) -> None:
        self.real.start()

    def stop(self) -> None:
        self.real.stop()

    def all(self) -> Sequence[RealServer]:
        return self.real.servers

    def primary_of(self, key: str) -> RealServer:
        return self.real.primary()

    def is_whole(self) -> bool:
        """Whether all Sentinels run and agree, and every other server follows the primary."""
        if any(each.poll() is not None for each in self.real.processes):
            return False
        try:
            numbers = range(len(self.real.ports))
            named = {self.real.primary_by(each) for each in numbers}
            return (
                len(named) == 1
                and all(map(self._is_content, numbers))
                and all(
                    each.is_running and self._has_its_role(each, *named)
                    for each in self.real.servers
                )
            )
        except (redis.RedisError, StopIteration):
            return False

    def _is_content(self, sentinel: int) -> bool:
        self.real.ask("SENTINEL", "CKQUORUM", SERVICE, sentinel=sentinel)
        fields = self.real.ask("SENTINEL", "MASTER", SERVICE, sentinel=sentinel)
        named = dict(zip(*[iter(fields)] * 2, strict=True))
        return bool(named[b"flags"] == b"master")

    def _has_its_role(self, server: RealServer, primary: RealServer) -> bool:
        with self.client(server) as client:
            role = raw(client, "ROLE")
        if server is primary:
            return role[0] == b"master" and len(role[2]) == len(self.real.servers) - 1
        return bool(role[0] == b"slave" and role[2] == primary.port and role[3] == b"connected")

    def client(self, server: RealServer, *, timeout_s: float = 5.0) -> redis.Redis:
        return redis.Redis(
            port=server.port, protocol=2, socket_timeout=timeout_s, password=_PASSWORD
        )

    def restart_sentinel(self, number: int) -> None:
        """Start a killed Sentinel with the configuration that it had saved."""
        command = [str(self.real._binary), "sentinel.conf", "--sentinel"]
        self.real.processes[number] = subprocess.Popen(
            [*command, "--logfile", "sentinel.log"],
            cwd=self._directory / f"sentinel-{number}", stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def password(self) -> str:
        return _PASSWORD


def kill(server: RealServer) -> None:
    server.stop(signal.SIGKILL)


def slot_of_board(board: str) -> int:
    return slot_of(f"{{{board}}}")

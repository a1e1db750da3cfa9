"""Services behind Sentinels, for tests of how they find the primary."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import gevent

from occupancy.core.errors import StoreUnavailable
from occupancy.services import Services
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

INCARNATION_STEP = 10**9  # versions and epochs begin at the incarnation times this
Make = Callable[..., Services]


def follow(replica: RealServer, primary: RealServer) -> None:
    with replica.client() as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", primary.port)
        wait_until(lambda: admin.info("replication")["master_link_status"] == "up", what="the copy")


def promote(server: RealServer) -> None:
    with server.client() as admin:
        admin.execute_command("REPLICAOF", "NO", "ONE")


def set_(services: Services, name: str = "key") -> bool:
    """Write; False for a 503."""
    try:
        return bool(services.store.client.set(f"{services.settings.prefix}:{name}", name))
    except StoreUnavailable:
        return False


def wait_for_writes(services: Services) -> None:
    wait_until(lambda: set_(services), timeout_s=30, what="a write")


def address_of(services: Services) -> str:
    return services.topology.shards()[0].address


def is_at_port(services: Services, port: int) -> bool:
    return address_of(services) == f"127.0.0.1:{port}"


def is_at(services: Services, server: RealServer) -> bool:
    return is_at_port(services, server.port)


def wait_to_be_at(services: Services, server: RealServer) -> None:
    wait_until(lambda: is_at(services, server), timeout_s=30, what="the move to the primary")


def ours_at(admin: Any) -> list[str]:
    """The connections of ours that a server has."""
    names = [each["name"] for each in admin.client_list()]
    return [each for each in names if each in ("occupancy-ops", "occupancy-pubsub")]


class Writer:
    """Writes all the time; ``acknowledged`` has each name with when its answer came."""

    def __init__(self, services: Services, greenlets: int = 3) -> None:
        self.acknowledged: list[tuple[str, float]] = []
        self._services = services
        self._numbers = itertools.count()
        self._greenlets = [gevent.spawn(self._write) for _ in range(greenlets)]

    def _write(self) -> None:
        while True:
            name = f"n-{next(self._numbers)}"
            if set_(self._services, name):
                self.acknowledged.append((name, time.monotonic()))
                gevent.sleep(0)
            else:
                gevent.sleep(0.01)

    def stop(self) -> None:
        gevent.killall(self._greenlets)

    def lost(self, primary: Any) -> list[tuple[str, float]]:
        """What is acknowledged and not on the primary."""
        prefix = self._services.settings.prefix
        names = [f"{prefix}:{name}" for name, _ in self.acknowledged]
        found = primary.mget(names)
        return [each for each, value in zip(self.acknowledged, found, strict=True) if value is None]


def noticed_at(services: Services) -> list[float]:
    """Filled with when the process notices each change."""
    times: list[float] = []
    services.topology.on_change = lambda: times.append(time.monotonic())
    return times

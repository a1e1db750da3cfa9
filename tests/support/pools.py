"""Clients on small connection pools of the test's own, and checks of a pool."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy.core.settings import Settings
from occupancy.storage.budget import Slots
from occupancy.storage.client import OpsClient
from occupancy.storage.connections import make_pool
from tests.support.servers import RealServer

PASSWORD = "a-password"  # of the server of ``password_url``, as is the database
DATABASE = 3
# A kill in the middle of connect(2) leaves the socket to be closed by its destructor: redis-py
# closes it itself for an OSError only.
killed_in_connect = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


class Pools:
    """Makes clients, each on its own pool, all on the slots of one process."""

    def __init__(self, directory: Path) -> None:
        self.slots = Slots(directory / "slots.lock", range(64))
        self._directory = directory
        self._clients: list[OpsClient] = []

    def __call__(
        self, url: str, *, size: int = 1, name: str = "ops", wait_s: float = 5.0,
        timeout_s: float = 3.0,
    ) -> OpsClient:  # fmt: skip
        settings = Settings(
            redis_url=url, pool_wait_s=wait_s, redis_timeout_s=timeout_s,
            state_dir=str(self._directory),
        )  # fmt: skip
        pool = make_pool(settings, self.slots, name=name, size=size)
        client = OpsClient(connection_pool=pool)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.connection_pool.disconnect()


def pool_of(client: OpsClient) -> Any:
    return client.connection_pool


def assert_whole(client: OpsClient, *, database: int = 0) -> None:
    """The pool has all its places, and every connection answers its own command."""
    pool = pool_of(client)
    size = pool.max_connections
    assert pool.stats()["in_use"] == 0
    assert pool.stats()["waiting"] == 0
    with gevent.Timeout(5):
        taken = [pool.get_connection() for _ in range(size)]
    try:
        assert len({id(each) for each in taken}) == size
        for number, connection in enumerate(taken):
            word = f"echo-{number}-{random.random()}".encode()
            connection.send_command("ECHO", word)
            assert connection.read_response() == word
            connection.send_command("CLIENT", "INFO")
            information = connection.read_response()
            assert f" db={database} ".encode() in information
            assert b" name=occupancy-ops " in information
    finally:
        for connection in taken:
            pool.release(connection)
    assert len(pool.pool.queue) == size


def assert_slots_are_those_of_open_connections(pools: Pools, client: OpsClient) -> None:
    is_open = [each for each in pool_of(client)._connections if each.is_connected]
    assert len(pools.slots._held) == len(is_open)


def named(server: RealServer, name: str, **options: Any) -> list[Any]:
    with server.client(**options) as admin:
        found: Any = admin.client_list()
    return [each for each in found if each["name"] == name]

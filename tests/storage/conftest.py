"""Fixtures of the storage tests: connection pools on small budgets, and servers in their way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pools import DATABASE, PASSWORD, Pools
from tests.support.relay import Relay
from tests.support.servers import RealServer


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[Pools]:
    made = Pools(tmp_path)
    yield made
    made.close()


@pytest.fixture
def url(server_of: Callable[[str], RealServer]) -> str:
    return server_of("valkey").url


@pytest.fixture
def password_url(own_server: RealServer) -> Iterator[str]:
    """A server with a password, and a database other than the first."""
    with own_server.client() as admin:
        admin.config_set("requirepass", PASSWORD)
    yield f"redis://:{PASSWORD}@127.0.0.1:{own_server.port}/{DATABASE}"
    with own_server.client(password=PASSWORD) as admin:
        admin.config_set("requirepass", "")


@pytest.fixture
def relay_to() -> Iterator[Callable[[int], Relay]]:
    running: list[Relay] = []

    def start(port: int) -> Relay:
        running.append(Relay(port))
        return running[-1]

    yield start
    for each in running:
        each.stop()

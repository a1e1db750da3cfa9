"""The fixture of the tests of backups."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.cli.backup.plants import Make
from tests.support.servers import RealServer


@pytest.fixture
def make(tmp_path: Path, server_of: Callable[[str], RealServer]) -> Iterator[Make]:
    """Makes services below an empty prefix of a kind of server."""
    made: list[Services] = []

    def make(kind: str) -> Services:
        url, prefix = server_of(kind).url, f"t-{secrets.token_hex(6)}"
        state_dir = str(tmp_path / f"state-{len(made)}")
        made.append(Services.for_web(Settings(redis_url=url, prefix=prefix, state_dir=state_dir)))
        made[-1].topology.start()
        return made[-1]

    yield make
    for each in made:
        client = each.store.client
        for server in client.every_server():
            for key in list(server.scan_iter(match=f"{each.settings.prefix}:*")):
                client.delete(key)
        each.close()

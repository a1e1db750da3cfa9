"""Fixtures of the tests of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occupancy.boards import queries as queries_module
from occupancy.services import Services
from tests.boards.store.changes import LARGE
from tests.conftest import services_on
from tests.support.selection import CLUSTER
from tests.support.servers import BINARIES, RealServer


@pytest.fixture(params=[*BINARIES, CLUSTER])
def real_services(
    request: pytest.FixtureRequest, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    """On the real servers only, for what a fake that runs one thing at a time cannot show."""
    yield from services_on(request.param, tmp_path, server_of)


@pytest.fixture
def large_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards are large from a few items on."""
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", LARGE)

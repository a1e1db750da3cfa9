"""Fixtures of the tests of the snapshot cache."""

from __future__ import annotations

import pytest

from occupancy.boards import queries as queries_module
from occupancy.boards.store import Store
from occupancy.services import Services
from tests.boards.snapshot_cache.changes import FEW


@pytest.fixture(autouse=True)
def large_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards are large from a few items on."""
    monkeypatch.setattr(queries_module, "_LARGE_ITEMS", FEW)


@pytest.fixture
def store(services: Services) -> Store:
    return services.store

"""Fixtures of these tests: one kind of server, because others run the scripts on each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occupancy.services import Services
from tests.conftest import services_on_one
from tests.support.servers import RealServer


@pytest.fixture
def services(
    request: pytest.FixtureRequest, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    yield from services_on_one(request, tmp_path, server_of)

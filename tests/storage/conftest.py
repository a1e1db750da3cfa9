"""Fixtures of the storage tests: connection pools on small budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pools import Pools
from tests.support.servers import RealServer


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[Pools]:
    made = Pools(tmp_path)
    yield made
    made.close()


@pytest.fixture
def url(server_of: Callable[[str], RealServer]) -> str:
    return server_of("valkey").url

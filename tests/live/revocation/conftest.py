"""Fixtures of the tests of revocation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from occupancy.live import revocation as revocation_module
from tests.live.revocation.harness import Harness


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    """With short turns; whoever is told goodbye is hung up on soon."""
    monkeypatch.setattr(revocation_module, "TURN_S", 0.02)
    monkeypatch.setattr(revocation_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(revocation_module, "_GOODBYE_S", 0.05)
    made = Harness()
    yield made
    made.close()

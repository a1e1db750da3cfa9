"""Fixtures of the tests of access."""

from __future__ import annotations

import pytest

from occupancy.access import authenticator as access_module
from occupancy.access import tokens as tokens_module
from occupancy.access.tokens import Tokens
from occupancy.access.workers import Workers
from occupancy.services import Services
from tests.access.callers import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(access_module, "time", clock)
    monkeypatch.setattr(tokens_module, "time", clock)
    return clock


@pytest.fixture
def workers(services: Services) -> Workers:
    return services.workers


@pytest.fixture
def tokens(services: Services) -> Tokens:
    return services.tokens

"""Fixtures of the tests of sessions."""

from __future__ import annotations

import pytest

from occupancy.services import Services
from tests.support.tablets import Shop


@pytest.fixture
def shop(services: Services) -> Shop:
    return Shop(services)


@pytest.fixture
def valkey_shop(valkey_services: Services) -> Shop:
    return Shop(valkey_services)

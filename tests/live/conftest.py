"""Fixtures of the tests that use a real deployment: each module defines its ``deployment``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from occupancy.services import Services
from tests.support.deployment import Deployment


@pytest.fixture
def shop(deployment: Deployment) -> Services:
    """The deployment's services, to change items without HTTP."""
    return deployment.services()


@pytest.fixture
def closes_streams(deployment: Deployment) -> Iterator[None]:
    """Closes the streams that the test has opened."""
    yield
    deployment.close_streams()

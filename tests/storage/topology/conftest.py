"""Fixtures of the tests of Sentinels: real ones, fake ones, and services behind them."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.conftest import require_binary
from tests.storage.topology.behind_sentinels import Make, follow
from tests.support.clusters import RealSentinels
from tests.support.fake_sentinel import FakeSentinel
from tests.support.servers import BINARIES, RealServer


@pytest.fixture(params=BINARIES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def real(kind: str, tmp_path: Path) -> Iterator[RealSentinels]:
    """A primary, two replicas and three Sentinels."""
    made = RealSentinels(kind, tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def pair(kind: str, tmp_path: Path) -> Iterator[list[RealServer]]:
    """A primary and its replica, without Sentinels."""
    delay = {"repl-diskless-sync-delay": "0"}
    servers = [RealServer(require_binary(kind), tmp_path / f"{n}", **delay) for n in range(2)]
    for each in servers:
        each.start()
    follow(servers[1], servers[0])
    yield servers
    for each in servers:
        if each.is_running:
            each.signal(signal.SIGCONT)
        each.stop()


@pytest.fixture
def fakes(pair: list[RealServer]) -> Iterator[list[FakeSentinel]]:
    """Three Sentinels that name the first of the pair."""
    made = [FakeSentinel(pair[0]) for _ in range(3)]
    yield made
    for each in made:
        each.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes the services of a process, which follow the Sentinels."""
    made: list[Services] = []

    def services(url: str, *, is_command_line: bool = False, **settings: Any) -> Services:
        chosen = {"pool_wait_s": 5.0, "redis_timeout_s": 1.0, **settings}
        given = Settings(
            redis_url=url, prefix=f"t-{secrets.token_hex(4)}",
            state_dir=str(tmp_path / "state"), **chosen,
        )  # fmt: skip
        of = Services.for_command_line if is_command_line else Services.for_web
        made.append(of(given))
        if not is_command_line:
            made[-1].topology.start()
        return made[-1]

    yield services
    for each in made:
        each.close()

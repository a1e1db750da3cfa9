"""Another clock and a full disk for a server that runs: what the faults rest on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from proof.single.preload import Preload, has_compiler
from tests.conftest import require, require_binary
from tests.support.servers import BINARIES, RealServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.thorough


@pytest.fixture
def preload(tmp_path: Path) -> Preload:
    require(has_compiler() or None, "cc")
    return Preload(tmp_path / "preload")


@pytest.fixture(params=BINARIES)
def server(
    request: pytest.FixtureRequest, tmp_path: Path, preload: Preload
) -> Iterator[RealServer]:
    made = RealServer(require_binary(request.param), tmp_path / "server")
    made.environment.update(preload.environment)
    made.start()
    yield made
    made.stop()


def test_the_clock_is_set_forward_and_back_while_the_server_runs(
    server: RealServer, preload: Preload
) -> None:
    with server.client() as client:

        def ahead_s() -> float:
            return float(client.time()[0]) - time.time()

        for given_s in (3600.0, -3600.0, 5.0, 0.0):
            preload.set_clock(given_s)
            wait_until(lambda: abs(ahead_s() - given_s) < 2, what=f"a clock {given_s} s ahead")  # noqa: B023 - within the turn


def test_a_full_disk_refuses_writes_in_the_middle_of_an_entry_and_recovers(
    server: RealServer, preload: Preload
) -> None:
    with server.client() as client:
        client.set("before", "x" * 100)
        preload.set_free_bytes(20)  # less than an entry

        def is_refused() -> bool:
            try:
                client.set("during", "x" * 100)
            except redis.ResponseError as error:
                return "No space left on device" in str(error)
            return False

        wait_until(is_refused, what="the refusal")
        assert preload.free_bytes == 0
        preload.set_free_bytes(None)
        wait_until(lambda: not is_refused(), what="the end of the refusal")
    server.stop()
    server.start()
    with server.client() as client:
        assert client.get("before") and client.get("during"), "the file is whole"

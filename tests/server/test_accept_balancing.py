"""Balance: connections that are opened together are shared evenly by the worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from occupancy.core.entities import Role
from occupancy.server.accept_balancing import Loads
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone  # a process that gets no turn accepts nothing

STREAMS = 60


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Deployment]:
    running = Deployment(tmp_path_factory.mktemp("state"), module_server.url).start()
    running.sign_in("watcher", Role.OBSERVER)
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("own", "other", "is_ahead"),
    [(0, 0, False), (1, 0, True), (0, 1, False), (30, 30, False), (36, 30, True), (33, 30, False)],
)
def test_a_process_is_ahead_with_clearly_more_than_the_fewest(
    own: int, other: int, is_ahead: bool
) -> None:
    shared = Loads.shared()
    load = Loads(shared, 3)
    load.write(own)
    Loads(shared, 200).write(other)
    assert load.is_ahead() is is_ahead


def test_a_process_that_accepts_no_more_is_not_waited_for() -> None:
    shared = Loads.shared()
    load, other = Loads(shared, 1), Loads(shared, 2)
    load.write(50)
    other.write(0)
    assert load.is_ahead()
    other.write(None)
    assert not load.is_ahead()


def test_streams_opened_together_are_shared_evenly(deployment: Deployment) -> None:
    address = ("127.0.0.1", deployment.port)
    request = "GET /api/boards/main/events HTTP/1.1\r\nHost: x\r\nAuthorization: "
    request += deployment.headers["Authorization"] + "\r\n\r\n"
    stack = contextlib.ExitStack()
    connections = [
        stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(STREAMS)
    ]
    for connection in connections:  # only now, when all are open
        connection.sendall(request.encode())

    def open_streams() -> list[int] | None:
        stats = deployment.request("GET", "/api/redis-connection-stats").json()
        counts = [each["streams"]["open"] for each in stats["workers"]]
        return counts if sum(counts) == STREAMS else None

    with stack:
        counts = wait_until(open_streams, what="all streams to be counted")
    assert len(counts) == 2
    assert min(counts) >= STREAMS / 4


def test_a_process_that_hangs_holds_nothing_up(deployment: Deployment) -> None:
    hung, _ = sorted(deployment.worker_pids())
    os.kill(hung, signal.SIGSTOP)
    try:
        for _ in range(30):  # a connection each
            assert deployment.status_of("/livez") == 200
    finally:
        os.kill(hung, signal.SIGCONT)

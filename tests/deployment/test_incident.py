"""The incident: many viewers, many workers, few connections. It must not happen again.

A server that allows hardly more connections than the budget, a budget of 20, two worker
processes, 200 streams and 50 workers who operate all the time, with reloads in the middle.
"""

from __future__ import annotations

import functools
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from occupancy.boards.commands import Command
from occupancy.core.entities import Role
from occupancy.core.transitions import PUT
from tests.conftest import require_binary
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.shop import SUPERVISOR, log_of
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone  # no operation may wait for long

BUDGET = 20
WATCHING_BESIDE = 4  # the test's own connections to the server: its store and its sampler
STREAMS = 200
WORKERS = 50
ROUND_S = 1.5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    binary = require_binary("valkey")
    own = RealServer(binary, tmp_path / "server", maxclients=str(BUDGET + WATCHING_BESIDE))
    own.start()
    yield own
    own.stop()


@pytest.fixture
def deployment(tmp_path: Path, server: RealServer) -> Iterator[Deployment]:
    running = Deployment(
        tmp_path / "state", server.url, OCCUPANCY_REDIS_BUDGET=str(BUDGET),
        OCCUPANCY_OPERATIONS_PER_S="1000",  # one token stands for fifty workers here
    )  # fmt: skip
    running.start()
    running.sign_in("worker", Role.WORKER)
    yield running
    running.stop()


class Sampler:
    """Counts the deployment's connections on the server, repeatedly."""

    def __init__(self, server: RealServer) -> None:
        self.most: Counter[str] = Counter()
        self._client = server.client()
        self._own_names = {"occupancy-cli", "", None}
        self._greenlet = gevent.spawn(self._sample)

    def _sample(self) -> None:
        while True:
            listed: Any = self._client.client_list()
            names = Counter(each["name"] for each in listed)
            total = sum(count for name, count in names.items() if name not in self._own_names)
            # A connection that has not yet told its name is the deployment's as well, but for
            # the sampler's own.
            total += max(0, names[""] - 1)
            self.most["total"] = max(self.most["total"], total)
            for name, count in names.items():
                self.most[name] = max(self.most[name], count)
            gevent.sleep(0.005)

    def stop(self) -> None:
        self._greenlet.kill()
        self._client.close()
        assert self._greenlet.exception is None


class Floor:
    """Workers who take and pause, each its own item, until told to stop."""

    def __init__(self, deployment: Deployment) -> None:
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []
        self._is_open = True
        self._deployment = deployment
        self._greenlets = [gevent.spawn(self._work, f"T-{number}") for number in range(WORKERS)]

    def _work(self, tag: str) -> None:
        with requests.Session() as session:
            while self._is_open:
                for operation in ("take", "pause"):
                    self._operate(session, tag, operation)
                # All at once again and again, and in between time for 200 streams of events to
                # be read by this one test process.
                gevent.sleep(ROUND_S - time.monotonic() % ROUND_S)

    def _operate(self, session: requests.Session, tag: str, operation: str) -> None:
        url = f"{self._deployment.url}/api/boards/main/items/{tag}/{operation}"
        for _ in range(3):
            try:
                answer = session.post(url, headers=self._deployment.headers, timeout=30)
            except requests.ConnectionError:
                # A worker process that ends closes its idle keep-alive connections, at the
                # moment when this request was on its way: HTTP clients send it again.
                continue
            self.statuses[answer.status_code] += 1
            if answer.status_code != 200:
                self.failures.append(answer.text)
            return
        self.failures.append(f"no connection for {operation} of {tag}")

    def has_done(self, operations: int) -> bool:
        return self.statuses[200] >= operations

    def close(self) -> None:
        self._is_open = False
        gevent.joinall(self._greenlets, timeout=60, raise_error=True)


def test_the_incident(deployment: Deployment, server: RealServer) -> None:
    shop = deployment.services()
    for number in range(WORKERS):
        shop.store.commands.execute(
            Command("main", PUT, [f"T-{number}"], actor=SUPERVISOR, items=[{}])
        )
    streams = [deployment.stream(keeps_items=False) for _ in range(STREAMS)]
    for stream in streams:
        stream.wait_for("ready")

    sampler = Sampler(server)
    floor = Floor(deployment)
    try:
        wait_until(lambda: floor.statuses[200] > 300, what="the floor to work")
        assert sampler.most["occupancy-pubsub"] == 2

        old_workers = deployment.worker_pids()
        deployment.signal(signal.SIGHUP)
        wait_until(
            lambda: not old_workers & deployment.worker_pids(), timeout_s=30,
            what="the old workers to be gone",
        )  # fmt: skip
        streams = [reconnect(deployment, stream) for stream in streams]
        after_reload = floor.statuses[200]
        wait_until(lambda: floor.statuses[200] > after_reload + 300, what="the floor to work on")

        # Twice in a row: the second reload begins before the first one's workers are gone.
        for _ in range(2):
            deployment.signal(signal.SIGHUP)
            wanted = floor.statuses[200] + 50
            wait_until(functools.partial(floor.has_done, wanted), what="work during the reload")
    finally:
        floor.close()
        sampler.stop()

    assert floor.failures == []
    assert set(floor.statuses) == {200}
    assert sampler.most["total"] <= BUDGET
    log = log_of(shop, "main")
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
    for stream in streams:  # they came back with their cursors: nothing missed, nothing twice
        rest = reconnect(deployment, stream)
        wait_until(functools.partial(has_reached, rest, len(log)), what="the last event")
    assert "max number of clients" not in deployment.log
    assert "Too many connections" not in deployment.log


def has_reached(stream: EventStream, seq: int) -> bool:
    position = stream.of_kind("ready")[-1].data["seq"]
    return bool(max([position, *stream.seqs()[-1:]]) == seq)


def reconnect(deployment: Deployment, stream: EventStream) -> EventStream:
    """Reconnects as a browser does: after the end of the stream, with the last event id."""
    again = deployment.resume(stream, keeps_items=False)
    assert stream.events[-1].kind == "bye"
    ready = again.wait_for("ready")
    assert again.of_kind("reset") == []
    position = max([stream.of_kind("ready")[0].data["seq"], *stream.seqs()[-1:]])
    assert stream.seqs() == list(range(position - len(stream.seqs()) + 1, position + 1))
    replayed = [seq for seq in again.seqs() if seq <= ready.data["seq"]]
    assert replayed == list(range(position + 1, ready.data["seq"] + 1))
    return again

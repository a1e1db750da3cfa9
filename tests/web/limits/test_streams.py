"""Limits of streams, of a real deployment: who is refused, who is put off, and who is not hurt."""

from __future__ import annotations

import functools
import itertools
import secrets
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from occupancy.core.entities import Role
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.shop import change
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

PER_CALLER, PER_PROCESS = 5, 8
EVENT_SOURCE = {"Accept": "text/event-stream"}
_hosts = itertools.count(1)


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Deployment]:
    running = Deployment(
        tmp_path_factory.mktemp("state"),
        module_server.url,
        WEB_CONCURRENCY="1",
        OCCUPANCY_PROXIES="1",
        OCCUPANCY_STREAMS_PER_CALLER=str(PER_CALLER),
        OCCUPANCY_STREAMS_PER_PROCESS=str(PER_PROCESS),
    ).start()
    running.sign_in("admin", Role.ADMIN)
    yield running
    running.stop()


class Viewer:
    """A worker of its own, at an address of its own, that opens streams."""

    def __init__(self, deployment: Deployment, address: str = "") -> None:
        worker = f"w-{secrets.token_hex(4)}"
        services = deployment.services()
        services.workers.add(worker, name="Viewer", role=Role.OBSERVER)
        secret, _ = services.tokens.create(worker)
        self.deployment = deployment
        self.url = f"{deployment.url}/api/boards/main/events"
        address = address or f"198.51.100.{next(_hosts)}"
        self.headers = {"Authorization": f"Bearer {secret}", "X-Forwarded-For": address}

    def open(self, **headers: str) -> EventStream:
        return self.deployment.keep(EventStream(self.url, {**self.headers, **headers})).read()

    def open_many(self, count: int) -> list[EventStream]:
        streams = [self.open() for _ in range(count)]
        for stream in streams:
            assert stream.status == 200
            stream.wait_for("ready")
        return streams

    def head(self) -> requests.Response:
        return requests.head(self.url, headers=self.headers, timeout=10)


@pytest.fixture
def viewer(deployment: Deployment) -> Iterator[Viewer]:
    yield Viewer(deployment)
    deployment.close_streams()
    wait_until(lambda: open_streams(deployment) == 0, what="the streams' end")


def open_streams(deployment: Deployment) -> int:
    """Of a deployment with one process, whose figures are of this moment."""
    stats = deployment.request("GET", "/api/redis-connection-stats").json()
    return sum(each["streams"]["open"] for each in stats["workers"])


def assert_refused(stream: EventStream) -> None:
    """Refused as a program is told: by the status."""
    assert stream.status == 429
    assert stream.headers["content-type"] == "application/problem+json"
    assert int(stream.headers["retry-after"]) >= 1


def assert_put_off(stream: EventStream) -> None:
    """Put off as a browser is told, whose EventSource any other status would stop for good."""
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    stream.wait_for_end()
    assert [each.kind for each in stream.events] == ["degraded"]
    assert stream.events[0].data["detail"]
    assert stream.retry_ms is not None
    assert stream.retry_ms >= 2000


def test_a_caller_with_all_its_streams_is_refused_and_others_are_not(
    deployment: Deployment, viewer: Viewer
) -> None:
    viewer.open_many(PER_CALLER)
    assert_refused(viewer.open())
    assert_refused(viewer.open(Accept="*/*"))
    assert_put_off(viewer.open(**EVENT_SOURCE))
    assert open_streams(deployment) == PER_CALLER
    Viewer(deployment).open_many(1)


def test_closing_a_stream_makes_room_for_another(deployment: Deployment, viewer: Viewer) -> None:
    streams = viewer.open_many(PER_CALLER)
    for stream in streams[:2]:
        stream.close()
    wait_until(lambda: open_streams(deployment) == PER_CALLER - 2, what="the streams' end")
    viewer.open_many(2)
    assert_refused(viewer.open())


def test_a_full_process_refuses_everybody_and_goes_on_serving(
    deployment: Deployment, viewer: Viewer
) -> None:
    other, third = Viewer(deployment), Viewer(deployment)
    streams = viewer.open_many(PER_CALLER) + other.open_many(PER_PROCESS - PER_CALLER)
    assert_refused(other.open())
    assert_refused(third.open())
    assert_put_off(third.open(**EVENT_SOURCE))
    assert deployment.status_of("/readyz") == 200
    assert deployment.status_of("/api/boards/main/items") == 200
    change(deployment.services(), "main", 1, tag=f"T-{secrets.token_hex(4)}")
    for stream in streams:
        wait_until(functools.partial(stream.has, 2), what="the events")


def test_head_counts_as_no_stream(deployment: Deployment, viewer: Viewer) -> None:
    for _ in range(30):
        assert viewer.head().status_code == 200
    viewer.open_many(PER_CALLER)
    assert viewer.head().status_code == 200  # and a caller with all its streams may ask, too


def test_streams_that_are_opened_again_and_again_are_put_off(
    deployment: Deployment, viewer: Viewer
) -> None:
    for _ in range(100):  # twenty pass at once, and two a second
        stream = viewer.open()
        stream.close()
        if stream.status == 429:
            break
        wait_until(lambda: open_streams(deployment) == 0, what="the stream's end")
    assert_refused(stream)
    Viewer(deployment).open_many(1)


def test_the_streams_are_counted_right_after_hundreds_have_been_cut(
    tmp_path: Path, module_server: RealServer
) -> None:
    limit = 500
    deployment = Deployment(
        tmp_path / "state",
        module_server.url,
        WEB_CONCURRENCY="1",
        OCCUPANCY_PROXIES="1",
        OCCUPANCY_STREAMS_PER_CALLER=str(limit),
        OCCUPANCY_STREAMS_PER_PROCESS=str(limit),
        OCCUPANCY_PREFIX=f"t-{secrets.token_hex(6)}",
    ).start()
    try:
        deployment.sign_in("admin", Role.ADMIN)
        for address in ("192.0.2.1", "192.0.2.2"):
            viewer = Viewer(deployment, address)
            streams = [viewer.open() for _ in range(limit)]
            assert {each.status for each in streams} == {200}
            assert_refused(Viewer(deployment).open())
            for number, stream in enumerate(streams):
                if number % 2:  # with a reset instead of an end
                    linger = struct.pack("ii", 1, 0)
                    stream.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                stream.close()
            wait_until(lambda: open_streams(deployment) == 0, what="the streams' end")
    finally:
        deployment.stop()

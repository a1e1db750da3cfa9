"""Shutdown: TERM, HUP and max_requests end streams with `bye`, and processes exit within 10 s."""

from __future__ import annotations

import contextlib
import functools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from occupancy.core.entities import Role
from tests.support.deployment import Deployment
from tests.support.raw_http import request
from tests.support.servers import RealServer
from tests.support.shop import change
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

STREAMS = 100


def started(tmp_path: Path, server: RealServer, *arguments: str) -> Deployment:
    running = Deployment(tmp_path / "state", server.url, *arguments).start()
    running.sign_in("worker", Role.WORKER)
    return running


@pytest.fixture
def deployment(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    running = started(tmp_path, own_server)
    yield running
    running.stop()


def test_term_ends_every_stream_with_bye_and_gives_all_connections_back(
    deployment: Deployment, own_server: RealServer
) -> None:
    streams = ready_streams(deployment)
    deployment.signal(signal.SIGTERM)
    for stream in streams:
        stream.wait_for_end()
        assert stream.events[-1].kind == "bye"
    assert len({stream.retry_ms for stream in streams}) > STREAMS / 4
    with own_server.client() as client:
        wait_until(
            lambda: (
                not {"occupancy-ops", "occupancy-pubsub"}
                & {each["name"] for each in client.client_list()}
            ),
            what="all connections to be closed",
        )


def test_a_reload_ends_every_stream_with_bye_and_each_goes_on_at_its_cursor(
    deployment: Deployment,
) -> None:
    shop = deployment.services()
    streams = ready_streams(deployment)
    change(shop, "main", 4)
    for stream in streams:
        wait_until(functools.partial(stream.has, 5), what="the events before")
    old = deployment.worker_pids()
    deployment.signal(signal.SIGHUP)
    for stream in streams:
        stream.wait_for_end()
        assert stream.events[-1].kind == "bye"
    change(shop, "main", 4, tag="T-2")
    for stream in streams[:10]:
        again = deployment.resume(stream)
        wait_until(functools.partial(again.has, 5), what="the events meanwhile")
        assert stream.seqs() + again.seqs() == list(range(1, 11))
    wait_until(lambda: not old & deployment.worker_pids(), what="the old workers to be gone")


def test_a_client_that_awaits_its_stream_is_told_to_reconnect(
    deployment: Deployment, own_server: RealServer
) -> None:
    """The store does not authenticate them before the process has ended."""
    tokens = deployment.services().tokens
    shows = [f"Authorization: Bearer {tokens.create('worker')[0]}" for _ in range(20)]
    ready_streams(deployment)  # so that the board is followed
    with contextlib.ExitStack() as held:
        own_server.signal(signal.SIGSTOP)
        held.callback(own_server.signal, signal.SIGCONT)
        asked = [request("GET /api/boards/main/events", each) for each in shows]
        wires = [held.enter_context(each) for each in deployment.send_at_once(asked)]
        wait_until(lambda: deployment.status_of("/livez") == 200, what="them to be accepted")
        deployment.signal(signal.SIGTERM)
        for wire in wires:
            assert wire.until(b"event: bye").startswith(b"HTTP/1.1 200 OK\r\n")


def test_max_requests_replaces_a_worker_process_without_losing_events(
    tmp_path: Path, own_server: RealServer
) -> None:
    deployment = started(tmp_path, own_server, "--max-requests", "40", "--workers", "1")
    try:
        shop = deployment.services()
        stream = deployment.stream()
        stream.wait_for("ready")
        old = deployment.worker_pids()
        for _ in range(60):
            deployment.status_of("/livez")
        stream.wait_for_end()
        assert stream.events[-1].kind == "bye"
        wait_until(lambda: not old & deployment.worker_pids(), what="a new worker process")
        change(shop, "main", 2)
        wait_until(lambda: deployment.status_of("/readyz") == 200, what="readiness")
        again = deployment.resume(stream)
        wait_until(lambda: again.seqs() == [1, 2, 3], what="the events meanwhile")
    finally:
        deployment.stop()


def test_a_worker_process_with_a_stalled_stream_still_ends(
    deployment: Deployment,
) -> None:
    shop = deployment.services()
    stalled = deployment.stream(receive_bytes=2048, unread=True)
    for number in range(12):
        change(shop, "main", 60, tag=f"T-{number}", title="x" * 190)
    deployment.signal(signal.SIGTERM)
    wait_until(lambda: not deployment.worker_pids(), timeout_s=12, what="the workers' end")
    stalled.read()
    stalled.wait_for_end()
    assert stalled.of_kind("bye") == []  # it was hung up on in the middle


def ready_streams(deployment: Deployment) -> list[EventStream]:
    streams = [deployment.stream() for _ in range(STREAMS)]
    for stream in streams:
        stream.wait_for("ready")
    return streams

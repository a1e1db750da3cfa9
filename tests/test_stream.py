"""The event stream of a real deployment: gunicorn, gevent workers, a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from occupancy.model import PUT, TRANSITIONS, Person, Role
from occupancy.services import Services
from tests.deployment import Deployment
from tests.servers import RealServer
from tests.waiting import wait_until

SUPERVISOR = Person("sup", "Sup")


@pytest.fixture
def deployment(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    running = Deployment(tmp_path / "state", own_server.url).start()
    running.sign_in(running.services().access, "watcher", Role.OBSERVER)
    yield running
    running.stop()


@pytest.fixture
def shop(deployment: Deployment) -> Services:
    """The deployment's store, to change items without going through HTTP."""
    return deployment.services()


def change(shop: Services, times: int, tag: str = "T-1") -> str:
    """Add an item and take and release it; returns the last cursor."""
    cursor = shop.store.operate("main", PUT, [tag], actor=SUPERVISOR, items=[{}]).cursor
    for number in range(times):
        row = TRANSITIONS["release" if number % 2 else "take"]
        cursor = shop.store.operate("main", row, [tag], actor=SUPERVISOR).cursor
    return cursor


def test_a_new_stream_is_ready_at_the_present_position(
    deployment: Deployment, shop: Services
) -> None:
    cursor = change(shop, 3)
    stream = deployment.stream()
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["x-accel-buffering"] == "no"
    ready = stream.wait_for("ready")
    assert ready.data == {"cursor": cursor, "seq": 4}
    assert ready.last_id == cursor
    assert stream.retry_ms is not None


def test_every_event_after_the_cursor_arrives_once_and_in_order(
    deployment: Deployment, shop: Services
) -> None:
    change(shop, 250)
    stream = deployment.stream(after="0-0")
    stream.wait_for("ready")
    change(shop, 20, tag="T-2")
    wait_until(lambda: len(stream.seqs()) >= 272, what="all events")
    assert stream.seqs() == list(range(1, 273))

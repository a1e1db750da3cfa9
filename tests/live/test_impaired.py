"""Live delivery that is impaired while operations go on: from the outside."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
import redis

from occupancy.core.entities import Role
from occupancy.core.settings import Settings
from occupancy.services import Services
from tests.conftest import require_binary
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.shop import change, log_of
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("closes_streams")


@pytest.fixture(scope="module", params=["valkey", "redis"])
def impaired_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    server = RealServer(require_binary(request.param), tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, impaired_server: RealServer
) -> Iterator[Deployment]:
    """In a database of its own, which is not the first."""
    url = impaired_server.url.removesuffix("/0") + "/1"
    running = Deployment(tmp_path_factory.mktemp("state"), url).start()
    running.sign_in("watcher", Role.OBSERVER)
    yield running
    running.stop()


@contextlib.contextmanager
def no_new_connections(client: redis.Redis) -> Iterator[None]:
    """The server takes no more connections, and closes those that live delivery has."""
    client.config_set("maxclients", 1)
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    try:
        yield
    finally:
        client.config_set("maxclients", 1000)


@contextlib.contextmanager
def no_patterns(client: redis.Redis) -> Iterator[None]:
    """An ACL takes the right to subscribe by pattern away, while live connections are lost."""
    client.execute_command("ACL", "SETUSER", "default", "-psubscribe")
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    try:
        yield
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+psubscribe")


def opened(deployment: Deployment, board: str) -> EventStream:
    """A stream that is live. It may take some, where an operation would need a new connection."""
    while True:
        stream = deployment.stream(board)
        wait_until(lambda stream=stream: stream.events, what="an event")  # type: ignore[misc] # bound now
        if stream.of_kind("ready"):
            return stream
        stream.wait_for_end()


@pytest.mark.parametrize("trouble", [no_new_connections, no_patterns])
def test_without_the_live_connection_streams_say_so_and_get_every_event_from_the_log(
    deployment: Deployment,
    shop: Services,
    impaired_server: RealServer,
    board: str,
    trouble: Callable[[redis.Redis], contextlib.AbstractContextManager[None]],
) -> None:
    # Each process has its connections: one without them could open no stream meanwhile.
    stats = "/api/redis-connection-stats"
    wait_until(
        lambda: len(deployment.request("GET", stats).json().get("workers", ())) == 2,
        what="both processes to report",
    )
    before = deployment.stream(board)
    before.wait_for("ready")
    change(shop, board, 1)
    wait_until(functools.partial(before.has, 2), what="the events")
    with impaired_server.client() as client, trouble(client):
        before.wait_for("degraded", timeout_s=20)
        wait_until(lambda: deployment.status_of("/readyz") == 503, what="not ready")
        meanwhile = [opened(deployment, board) for _ in range(4)]  # in both worker processes
        for stream in meanwhile:
            stream.wait_for("degraded")
            assert [event.kind for event in stream.events[:2]] == ["ready", "degraded"]
        for number in range(3):
            change(shop, board, 2, tag=f"T-{number + 2}")
            for stream in [before, *meanwhile]:
                last = 2 + 3 * (number + 1)
                wait_until(
                    lambda stream=stream, last=last: stream.seqs()[-1:] == [last],  # type: ignore[misc] # bound now
                    what="the events from the log",
                )
    for stream in [before, *meanwhile]:
        stream.wait_for("recovered", timeout_s=20)
    wait_until(
        lambda: all(deployment.status_of("/readyz") == 200 for _ in range(12)),
        what="readiness of both processes",
    )
    after = deployment.stream(board)
    after.wait_for("ready")
    change(shop, board, 0, tag="T-9")
    wait_until(lambda: after.seqs() == [12], what="the event")
    assert after.of_kind("degraded") == []
    for stream in [before, *meanwhile]:
        wait_until(lambda stream=stream: stream.seqs()[-1:] == [12], what="the event")  # type: ignore[misc] # bound now
        assert stream.seqs() == list(range(1 if stream is before else 3, 13))
        assert stream.of_kind("reset") == []
        assert len(stream.of_kind("degraded")) == len(stream.of_kind("recovered")) == 1


@contextlib.contextmanager
def no_publications(client: redis.Redis, services: Services) -> Iterator[None]:
    """The user may hear of events and publish none; canaries and the rest go on."""
    live = services.store.keys.live_channel
    client.execute_command(
        "ACL", "SETUSER", "default", "resetchannels", "&occ:canary:*", "&occ:access:*",
        f"(+@all ~* &{live}* -publish)",
    )  # fmt: skip
    try:
        yield
    finally:
        client.execute_command("ACL", "SETUSER", "default", "clearselectors", "allchannels")


def test_events_whose_publication_alone_is_refused_all_come_while_others_are_made(
    deployment: Deployment, shop: Services, impaired_server: RealServer, board: str
) -> None:
    stream = deployment.stream(board)
    stream.wait_for("ready")
    change(shop, board, 1)
    wait_until(functools.partial(stream.has, 2), what="the events")
    with impaired_server.client() as client, no_publications(client, shop):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.publish(shop.store.keys.board(board).channel, "")
        wait_until(lambda: deployment.status_of("/readyz") == 503, what="not ready")
        last = 2
        for number in range(40):
            change(shop, board, 0, tag=f"U-{number}")
            last += 1
            gevent.sleep(0.1)
        wait_until(lambda: stream.seqs()[-1:] == [last], timeout_s=20, what="the events")
    assert stream.seqs() == list(range(1, last + 1))
    assert stream.of_kind("reset") == []


@pytest.fixture
def neighbour(impaired_server: RealServer, tmp_path: Path) -> Iterator[Services]:
    """Another deployment with the same prefix, in another database of the same server."""
    settings = Settings(redis_url=impaired_server.url, state_dir=str(tmp_path / "neighbour"))
    services = Services.for_command_line(settings)
    yield services
    services.close()


def test_deployments_in_two_databases_of_a_server_do_not_hear_each_other(
    deployment: Deployment, shop: Services, neighbour: Services, board: str
) -> None:
    neighbour.store.boards.create(board)
    stream = deployment.stream(board)
    stream.wait_for("ready")
    change(neighbour, board, 3, tag="SECRET")  # seq 1 to 4: each would follow the position here
    change(shop, board, 1, tag="T-1")
    wait_until(functools.partial(stream.has, 2), what="its own events")
    change(neighbour, board, 3, tag="SECRET")
    change(shop, board, 1, tag="T-2")
    wait_until(functools.partial(stream.has, 4), what="its own events")
    assert [event.data for event in stream.of_kind("item")] == log_of(shop, board)
    assert [event.kind for event in stream.events] == ["ready"] + ["item"] * 4


def test_a_message_that_does_not_follow_the_position_is_never_delivered(
    deployment: Deployment, shop: Services, impaired_server: RealServer, board: str
) -> None:
    stream = deployment.stream(board)
    stream.wait_for("ready")
    cursor = change(shop, board, 1)
    wait_until(functools.partial(stream.has, 2), what="the events")
    ms = int(cursor.split("-")[0]) + 10
    event = json.dumps({"seq": 3, "type": "item.taken", "board": board, "item": "not ours"})
    channel = shop.store.keys.board(board).channel
    with impaired_server.client() as client:
        for message in (
            f"{ms - 5}-0 {ms}-0 3 {event}",  # it follows another
            f"{ms}-0 3 {event}",  # as former versions published it
            f"{cursor} {ms}-0 7 {event}",
            f"{cursor} {cursor} 2 {event}",
            "nonsense", "", "- - - -",
        ):  # fmt: skip
            assert client.publish(channel, message)
    change(shop, board, 1, tag="T-2")
    wait_until(functools.partial(stream.has, 4), what="the events after it")
    assert [event.data for event in stream.of_kind("item")] == log_of(shop, board)
    assert stream.of_kind("reset") == []

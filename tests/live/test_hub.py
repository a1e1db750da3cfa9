"""The hub's greenlets: what else the process does must not wait for them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import redis
from gevent.event import Event

from occupancy.core.settings import Settings
from occupancy.live.feed import Feed
from occupancy.live.hub import HEARTBEAT_S
from occupancy.services import Services
from tests.support.shop import change
from tests.support.waiting import wait_until
from tests.support.watching import Watching


def test_what_arrives_is_read_while_heartbeats_are_sent(valkey_services: Services) -> None:
    hub = valkey_services.hub
    subscribers = [hub.subscribe("main") for _ in range(1000)]
    here, there = socket.socketpair()
    with here, there:
        reply = gevent.spawn(here.recv, 1)
        gevent.sleep(0)  # it waits for it
        there.sendall(b"x")
        hub._heartbeat(HEARTBEAT_S)
        assert reply.ready()
    for each in subscribers:
        hub.unsubscribe(each)


def test_a_heartbeat_that_takes_long_does_not_delay_the_next(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, slept_s, sent = valkey_services.hub, list[float](), list[int]()

    def sleep(seconds: float) -> None:
        slept_s.append(seconds)
        if len(slept_s) == 4:
            raise gevent.GreenletExit

    monkeypatch.setattr(hub, "_heartbeat", sent.append)
    clock = iter([10.0, 10.25, 11.0, 12.5, 12.5, 12.5])  # before and after each heartbeat
    with monkeypatch.context() as patched:
        patched.setattr("occupancy.live.hub.gevent.sleep", sleep)
        patched.setattr("occupancy.live.hub.time.monotonic", lambda: next(clock))
        with pytest.raises(gevent.GreenletExit):
            hub._heartbeats()
    assert slept_s == [1.0, 0.75, 0.0, 1.0]
    assert sent == [1, 2, 3]


# What each of its greenlets does without the others


def feed_of(services: Services) -> Feed:
    """The feed of the only server."""
    (feed,) = services.hub._feeds.values()
    return feed


def is_live(services: Services) -> Services:
    services.hub.start()
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
    return services


@contextlib.contextmanager
def held(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, *boards: str
) -> Iterator[Event]:
    """Calls of that method do not return (those for ``boards``, if any) until the event is set."""
    go_on, reached, method = Event(), Event(), getattr(owner, name)

    def hold(*args: Any, **options: Any) -> Any:
        if not boards or args[0] in boards:
            reached.set()
            go_on.wait()
        return method(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, hold)
        yield reached
        go_on.set()


def lose(services: Services, board: str, tag: str) -> None:
    """An event of which the publication is lost."""
    keys = services.store.keys.board(board)
    channel, keys.channel = keys.channel, "nowhere"
    change(services, board, 0, tag=tag)
    keys.channel = channel


def test_a_board_whose_log_is_slow_delays_neither_other_boards_nor_canaries_nor_revocations(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = is_live(valkey_services)
    slow, quick = (services.store.boards.create(name).board for name in ("slow", "quick"))
    streams = [Watching(services, slow), Watching(services, quick)]
    changes: list[bytes | None] = []
    monkeypatch.setattr(services.hub, "on_access_changed", changes.append)
    with held(monkeypatch, services.store.log, "replay", slow) as is_held:
        lose(services, slow, "A")
        change(services, slow, 0, tag="B")
        assert is_held.wait(5)
        for number in range(3):
            change(services, quick, 0, tag=f"Q-{number}")
            streams[1].until(b"Q-%d" % number)
        heard_at = feed_of(services).reader.heard_at
        services.store.client.publish(services.store.keys.canary_channel(services.process_name), "")
        wait_until(lambda: feed_of(services).reader.heard_at > heard_at, what="the canary")
        services.store.client.publish(services.store.keys.access_channel, "1 93")
        wait_until(lambda: changes == [b"1 93"], what="the announcement")
        feed_of(services).compare()
        assert services.hub.trouble is None
        change(services, slow, 0, tag="C")
        assert b"event: item" not in streams[0].received
    streams[0].until(b'"tag":"C"')
    assert streams[0].end() == ["ready", "item", "item", "item"]
    assert streams[1].end() == ["ready", "item", "item", "item"]


def test_without_the_probe_what_is_published_comes_and_shows_what_was_lost(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = is_live(valkey_services)
    stream = Watching(services, "main")
    with (
        held(monkeypatch, services.store.log, "heads"),
        held(monkeypatch, services.store.client, "publish"),
    ):
        change(services, "main", 2)
        lose(services, "main", "LOST")
        change(services, "main", 0, tag="T-2")
        stream.until(b'"tag":"T-2"')
        assert services.hub.trouble is None
    assert stream.end() == ["ready"] + ["item"] * 5


def test_with_the_probe_alone_every_event_comes_and_the_streams_are_told(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = is_live(valkey_services)
    stream = Watching(services, "main")

    def fail() -> None:
        raise redis.ConnectionError("made to fail")

    with monkeypatch.context() as patched:
        patched.setattr(feed_of(services).reader, "_listen", fail)
        services.store.client.client_kill_filter(_type="pubsub", skipme=False)
        stream.until(b"event: degraded")
        meanwhile = Watching(services, "main")
        meanwhile.until(b"event: degraded")
        for number in range(3):
            change(services, "main", 1, tag=f"T-{number}")
            for each in (stream, meanwhile):
                each.until(b'"tag":"T-%d","title":"T-%d","state":"occupied"' % (number, number))
        assert services.hub.trouble
    for each in (stream, meanwhile):
        each.until(b"event: recovered")
        assert each.end() == ["ready", "degraded", *["item"] * 6, "recovered"]
    assert services.hub.trouble is None


def test_quiet_boards_are_looked_at_in_one_round_trip(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = is_live(valkey_services)
    boards = [services.store.boards.create(f"b-{number}").board for number in range(100)]
    streams = [Watching(services, board) for board in boards]
    feed_of(services).compare()  # now each has been looked at since something came
    lose(services, "b-7", "LOST")
    pool, own, here = services.topology.shards()[0].ops_pool, list[int](), gevent.getcurrent()
    get_connection = pool.get_connection

    def noted(*args: Any, **options: Any) -> Any:
        if gevent.getcurrent() is here:  # the canary, the probe and the report take some as well
            own.append(1)
        return get_connection(*args, **options)

    monkeypatch.setattr(pool, "get_connection", noted)
    feed_of(services).compare()
    assert own == [1]
    streams[7].until(b"LOST")
    for stream in streams:
        stream.end()


def test_anything_that_comes_is_a_sign_of_life(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = is_live(valkey_services)
    with held(monkeypatch, services.store.client, "publish") as is_held:
        assert is_held.wait(5)
        feed_of(services).reader.heard_at -= 100
        assert services.hub.trouble
        change(services, "main", 0)  # nobody watches the board
        wait_until(lambda: services.hub.trouble is None, what="the event to count")


def test_it_is_live_only_after_a_look_that_began_with_the_subscription(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = is_live(valkey_services)
    stream = Watching(services, "main")
    with held(monkeypatch, services.store.log, "heads") as is_held:
        services.store.client.client_kill_filter(_type="pubsub", skipme=False)
        assert is_held.wait(5)
        wait_until(lambda: feed_of(services).reader.trouble is None, what="the subscription")
        assert services.hub.trouble
    wait_until(lambda: services.hub.trouble is None, what="live delivery")
    assert stream.end() == ["ready"]


# Channels


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://localhost", 0),
        ("redis://localhost/0", 0),
        ("redis://localhost/7", 7),
        ("rediss://:secret@localhost:1/3", 3),
        ("redis://localhost/7?db=2", 2),
        ("unix:///run/valkey.sock", 0),
        ("unix:///run/valkey.sock?db=5", 5),
    ],
)
def test_channels_name_the_database_that_the_connections_select(
    tmp_path: Path, url: str, database: int
) -> None:
    services = Services.for_command_line(Settings(redis_url=url, state_dir=str(tmp_path)))
    selected = services.topology.shards()[0].ops_pool.connection_kwargs.get("db") or 0
    keys = services.store.keys
    assert selected == database
    assert keys.board("main").channel == f"occ:live:{database}:main"
    assert keys.live_channel == f"occ:live:{database}:"
    assert keys.access_channel == f"occ:access:{database}"
    assert keys.canary_channel("p") == f"occ:canary:{database}:p"
    services.close()

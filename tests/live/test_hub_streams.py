"""The hub's streams: beats, stalls, figures, and what is left of a board and of a process."""

from __future__ import annotations

import collections
import time

import gevent
import pytest

from occupancy.live.hub import HEARTBEAT_S, Hub
from occupancy.live.subscriber import STALL_S, Subscriber
from occupancy.services import Services
from tests.support.waiting import wait_until


@pytest.fixture
def hub(valkey_services: Services, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub of a process that hears what is published; the test makes its heartbeats."""
    monkeypatch.setattr(Hub, "_heartbeats", lambda one: None)
    made = valkey_services.hub
    made.start()
    wait_until(lambda: made.trouble is None, what="live delivery")
    return made


def end_all(hub: Hub, *subscribers: Subscriber) -> None:
    for each in subscribers:
        hub.unsubscribe(each)


def followed_by(hub: Hub) -> set[str]:
    return {name for feed in hub._feeds.values() for name in feed.logs}


def test_each_stream_gets_one_heartbeat_in_its_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: collections.Counter[Subscriber] = collections.Counter()
    monkeypatch.setattr(Subscriber, "heartbeat", lambda one: beats.update([one]))
    subscribers = [hub.subscribe("main") for _ in range(40)]
    for second in range(100, 100 + HEARTBEAT_S):
        hub._heartbeat(second)
    assert beats == dict.fromkeys(subscribers, 1)
    end_all(hub, *subscribers)


def test_a_stream_that_takes_nothing_is_slow_and_then_it_is_hung_up(hub: Hub) -> None:
    hung_up: list[str] = []
    streams = {name: hub.subscribe("main") for name in ("quick", "slow", "waiting", "dead")}
    now = time.monotonic()
    for name, since_s in (("slow", 2.0), ("waiting", STALL_S - 5), ("dead", STALL_S + 1)):
        streams[name]._writing_since = now - since_s
    for name, each in streams.items():
        each.hang_up = lambda name=name: hung_up.append(name)  # type: ignore[misc] # bound now
    hub._heartbeat(1)
    assert hung_up == ["dead"]
    assert hub.figures()["slow"] == 3
    assert [name for name, each in streams.items() if each.is_gone] == ["dead"]
    end_all(hub, *streams.values())


def test_a_board_is_followed_as_long_as_it_has_a_stream(hub: Hub) -> None:
    first, second, other = hub.subscribe("main"), hub.subscribe("main"), hub.subscribe("b")
    assert followed_by(hub) == {"main", "b"}
    hub.unsubscribe(first)
    hub.unsubscribe(first)
    assert followed_by(hub) == {"main", "b"}
    hub.unsubscribe(second)
    assert followed_by(hub) == {"b"}
    assert hub.followed("main") is None
    hub.unsubscribe(other)
    assert followed_by(hub) == set()
    assert hub.open_streams == 0


def test_the_count_of_resets_never_falls(hub: Hub) -> None:
    for resets in (2, 3):
        subscriber = hub.subscribe("main")
        while hub.figures()["resets"] < resets:
            subscriber.board.count_reset()
        assert hub.figures()["resets"] == resets
        hub.unsubscribe(subscriber)
        assert hub.figures()["resets"] == resets


def test_a_process_that_ends_gives_its_live_connection_back_and_lets_no_stream_stay(
    hub: Hub, valkey_services: Services
) -> None:
    (shard,) = valkey_services.topology.shards()
    pool = shard.pubsub_pool
    assert pool.stats()["in_use"] == 1
    before = hub.subscribe("main")
    gevent.spawn_later(0.05, hub.unsubscribe, before)
    hub.drain()
    assert before.is_ending
    wait_until(lambda: pool.stats()["in_use"] == 0, what="the live connection's end")
    assert pool.stats()["idle"] == 0
    late = hub.subscribe("main")
    assert late.is_ending
    assert any(b"event: bye" in piece for piece in late.frames(None))
    hub.unsubscribe(late)

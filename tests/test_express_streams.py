"""Streams that the express lane begins, from the event loop or a connection's greenlet."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from occupancy.deadlines import STREAM_SEND_BUFFER_BYTES
from occupancy.errors import StoreUnavailable
from occupancy.express_streams import ExpressStreams
from occupancy.fanout import TURN_BYTES
from occupancy.records import Replay
from occupancy.services import Services
from tests.stream_caller import Caller, one_caller, reads_plain
from tests.waiting import wait_until


@pytest.fixture
def caller(valkey_services: Services) -> Iterator[Caller]:
    yield from one_caller(valkey_services)


def test_a_stream_begins_and_ends_and_gives_all_back(caller: Caller) -> None:
    assert caller.follow("hall")
    wait_until(lambda: b"event: ready" in caller.received)
    assert caller.counted == (1, 1)
    caller.put(1)
    wait_until(lambda: b"event: item" in caller.received)
    caller.subscriber.close()
    wait_until(lambda: caller.received.endswith(b"0\r\n\r\n"))
    wait_until(lambda: caller.services.hub.open_streams == 0)
    assert caller.counted == (0, 1)


def test_its_connection_buffers_as_much_as_a_stream_may(caller: Caller) -> None:
    caller.served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * STREAM_SEND_BUFFER_BYTES)
    assert caller.follow("hall")
    outlet = caller.subscriber._outlet
    assert outlet is not None
    # The kernel takes twice the number, for what it needs itself (socket(7)).
    buffered = outlet._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert buffered == 2 * STREAM_SEND_BUFFER_BYTES


def test_what_is_closed_while_it_waits_is_told_no_more_than_bye(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller.put(1)
    is_asking, may_answer = Event(), Event()
    replay = caller.store.replay

    def wait(board: str, cursor: str, count: int) -> Replay:
        if caller.services.hub.open_streams:  # it opens its feed, and has a place already
            is_asking.set()
            may_answer.wait(10)
        return replay(board, cursor, count)

    monkeypatch.setattr(caller.store, "replay", wait)
    following = gevent.spawn(caller.follow, "hall")
    assert is_asking.wait(10)
    caller.subscriber.close()
    may_answer.set()
    assert following.get(timeout=10)
    wait_until(lambda: b"event: bye" in caller.received)
    assert b"event: ready" not in caller.received
    assert caller.counted == (0, 1)


def test_a_board_that_does_not_exist_is_left_to_flask_and_counts_for_nothing(
    caller: Caller,
) -> None:
    for _ in range(3):
        assert not caller.follow("nowhere")
    assert caller.counted == (0, 0)
    assert caller.services.hub.open_streams == 0
    assert caller.services.hub.followed("nowhere") is None


def test_a_store_that_fails_is_told_and_all_is_given_back(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = caller.store.replay

    def fail(board: str, cursor: str, count: int) -> Replay:
        if caller.services.hub.open_streams:  # it opens its feed, and has a place already
            raise StoreUnavailable("made to fail")
        return replay(board, cursor, count)

    monkeypatch.setattr(caller.store, "replay", fail)
    assert caller.follow("hall")
    wait_until(lambda: b"event: degraded" in caller.received)
    assert caller.counted[0] == 0
    assert caller.services.hub.open_streams == 0


def test_a_stream_that_has_missed_much_gets_all_of_it_in_order(caller: Caller) -> None:
    assert caller.follow("hall")  # so that its events are in memory
    other = caller.another()
    caller.put(200)
    feed = caller.services.hub.followed("hall")
    assert feed is not None
    wait_until(lambda: feed.seq == 200)
    missed = feed.since("0-0")
    assert missed is not None
    assert sum(map(len, missed)) > TURN_BYTES
    assert other.follow("hall", "?after=0-0")
    wait_until(lambda: b"event: ready" in other.received)
    caller.put(1)
    wait_until(lambda: b'"seq":201' in other.received)
    seqs = [int(each) for each in re.findall(rb'data: \{"seq":(\d+)', other.received)]
    assert seqs == [*range(1, 202)]
    other.close()


def test_streams_accepted_together_begin_when_all_of_them_were_greeted(caller: Caller) -> None:
    assert caller.follow("hall")  # its caller is remembered now, and its board followed
    streams = ExpressStreams(caller.services, {}, reads_plain)
    together = [caller.another() for _ in range(3)]
    assert [each.greet(streams) for each in together] == [None] * 3
    assert not any(each.has_something for each in together)
    assert caller.counted[0] == 4  # their places are theirs already
    streams.begin()
    caller.put(1)
    wait_until(lambda: all(b'"seq":1' in each.received for each in together))
    assert [each.received.count(b"event: ready") for each in together] == [1] * 3
    for each in together:
        each.close()


def test_a_stream_that_cannot_begin_gives_its_place_back_and_the_others_begin(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert caller.follow("hall")
    streams = ExpressStreams(caller.services, {}, reads_plain)
    first, second = caller.another(), caller.another()
    assert first.greet(streams) is second.greet(streams) is None
    go_live = streams._go_live

    def fail_once(*args: Any) -> None:
        monkeypatch.setattr(streams, "_go_live", go_live)
        raise RuntimeError("made to fail")

    monkeypatch.setattr(streams, "_go_live", fail_once)
    streams.begin()
    wait_until(lambda: first.is_over and b"event: ready" in second.received)
    assert first.received == b""
    assert caller.counted[0] == 2
    streams.begin()  # of a turn in which nobody was greeted
    assert caller.counted[0] == 2
    first.close()
    second.close()


def test_what_is_no_request_for_a_stream_is_left_to_a_greenlet(caller: Caller) -> None:
    assert caller.follow("hall")
    other = caller.another()
    read = other.greet(ExpressStreams(caller.services, {}, reads_plain), path="/livez")
    assert read is not None
    assert read.startswith(b"GET /livez")
    assert caller.counted[0] == 1
    other.close()

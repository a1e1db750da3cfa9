"""Streams that the express path begins, from the event loop or a connection's greenlet."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from occupancy.core.entities import Replay
from occupancy.core.errors import StoreUnavailable
from occupancy.live.pacing import ROUND_BYTES
from occupancy.services import Services
from occupancy.web.open_stream import STREAM_SEND_BUFFER_BYTES, OpenStream
from tests.support.stream_caller import Principal, fast_streams, one_caller
from tests.support.waiting import wait_until


@pytest.fixture
def principal(valkey_services: Services) -> Iterator[Principal]:
    yield from one_caller(valkey_services)


def test_a_stream_begins_and_ends_and_gives_all_back(principal: Principal) -> None:
    assert principal.follow("hall")
    wait_until(lambda: b"event: ready" in principal.received)
    assert principal.counted == (1, 1)
    principal.put(1)
    wait_until(lambda: b"event: item" in principal.received)
    principal.subscriber.close()
    wait_until(lambda: principal.received.endswith(b"0\r\n\r\n"))
    wait_until(lambda: principal.services.hub.open_streams == 0)
    assert principal.counted == (0, 1)


def test_its_connection_buffers_as_much_as_a_stream_may(principal: Principal) -> None:
    principal.served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * STREAM_SEND_BUFFER_BYTES)
    assert principal.follow("hall")
    writer = principal.subscriber._writer
    assert writer is not None
    # The kernel takes twice the number, for what it needs itself (socket(7)).
    buffered = writer._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert buffered == 2 * STREAM_SEND_BUFFER_BYTES


def test_a_stream_closed_while_it_waits_gets_only_a_bye(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal.put(1)
    is_asking, may_answer = Event(), Event()
    replay = principal.store.log.replay

    def wait(board: str, cursor: str, count: int) -> Replay:
        if principal.services.hub.open_streams:  # it opens its feed, and has a place already
            is_asking.set()
            may_answer.wait(10)
        return replay(board, cursor, count)

    monkeypatch.setattr(principal.store.log, "replay", wait)
    following = gevent.spawn(principal.follow, "hall")
    assert is_asking.wait(10)
    principal.subscriber.close()
    may_answer.set()
    assert following.get(timeout=10)
    wait_until(lambda: b"event: bye" in principal.received)
    assert b"event: ready" not in principal.received
    assert principal.counted == (0, 1)


def test_a_board_that_does_not_exist_is_left_to_flask_and_counts_for_nothing(
    principal: Principal,
) -> None:
    for _ in range(3):
        assert not principal.follow("nowhere")
    assert principal.counted == (0, 0)
    assert principal.services.hub.open_streams == 0
    assert principal.services.hub.followed("nowhere") is None


def test_a_failing_store_is_reported_and_all_places_are_given_back(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = principal.store.log.replay

    def fail(board: str, cursor: str, count: int) -> Replay:
        if principal.services.hub.open_streams:  # it opens its feed, and has a place already
            raise StoreUnavailable("made to fail")
        return replay(board, cursor, count)

    monkeypatch.setattr(principal.store.log, "replay", fail)
    assert principal.follow("hall")
    wait_until(lambda: b"event: degraded" in principal.received)
    assert principal.counted[0] == 0
    assert principal.services.hub.open_streams == 0


def test_a_stream_that_has_missed_much_gets_all_of_it_in_order(principal: Principal) -> None:
    assert principal.follow("hall")  # so that its events are in memory
    other = principal.another()
    principal.put(200)
    feed = principal.services.hub.followed("hall")
    assert feed is not None
    wait_until(lambda: feed.seq == 200)
    missed = feed.since("0-0")
    assert missed is not None
    assert sum(map(len, missed)) > ROUND_BYTES
    assert other.follow("hall", "?after=0-0")
    wait_until(lambda: b"event: ready" in other.received)
    principal.put(1)
    wait_until(lambda: b'"seq":201' in other.received)
    seqs = [int(each) for each in re.findall(rb'data: \{"seq":(\d+)', other.received)]
    assert seqs == [*range(1, 202)]
    other.close()


def test_streams_accepted_in_one_turn_begin_after_the_last_is_accepted(
    principal: Principal,
) -> None:
    assert principal.follow("hall")  # its caller is remembered now, and its board followed
    streams = fast_streams(principal.services)
    together = [principal.another() for _ in range(3)]
    assert [each.accept(streams) for each in together] == [None] * 3
    assert not any(each.has_something for each in together)
    assert principal.counted[0] == 4  # their places are theirs already
    streams.begin_accepted()
    principal.put(1)
    wait_until(lambda: all(b'"seq":1' in each.received for each in together))
    assert [each.received.count(b"event: ready") for each in together] == [1] * 3
    for each in together:
        each.close()


def test_a_stream_that_cannot_begin_gives_its_place_back_and_the_others_begin(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert principal.follow("hall")
    streams = fast_streams(principal.services)
    first, second = principal.another(), principal.another()
    assert first.accept(streams) is second.accept(streams) is None
    begin = OpenStream.begin_at_once

    def fail_once(*args: Any) -> None:
        monkeypatch.setattr(OpenStream, "begin_at_once", begin)
        raise RuntimeError("made to fail")

    monkeypatch.setattr(OpenStream, "begin_at_once", fail_once)
    streams.begin_accepted()
    wait_until(lambda: first.is_over and b"event: ready" in second.received)
    assert first.received == b""
    assert principal.counted[0] == 2
    streams.begin_accepted()  # of a turn in which nobody was greeted
    assert principal.counted[0] == 2
    first.close()
    second.close()


def test_a_request_for_no_stream_is_left_to_a_greenlet(principal: Principal) -> None:
    assert principal.follow("hall")
    other = principal.another()
    read = other.accept(fast_streams(principal.services), path="/livez")
    assert read is not None
    assert read.startswith(b"GET /livez")
    assert principal.counted[0] == 1
    other.close()

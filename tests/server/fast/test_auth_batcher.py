"""Streams of callers that are not known yet, which are looked up together."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent.event import Event
from gevent.pool import Pool

from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.core.principal import Credential, digest_of
from occupancy.observability.repeated_warnings import RepeatedWarnings
from occupancy.server.accept_balancing import Loads
from occupancy.server.fast.auth_batcher import MAX_PENDING
from occupancy.server.fast.request import FirstRead
from occupancy.server.fast.streams import FastStreams
from occupancy.server.listener import Listener
from occupancy.services import Services
from tests.support.stream_caller import Principal, fast_streams, one_caller
from tests.support.waiting import wait_until


@pytest.fixture
def principal(valkey_services: Services) -> Iterator[Principal]:
    yield from one_caller(valkey_services)


class Learning:
    """The look-ups of callers; the store answers when it may."""

    def __init__(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []  # how many at a time
        self.may_answer = Event()
        self.fails: Exception | None = None
        self._learn = services.authenticator.identify_many
        monkeypatch.setattr(services.authenticator, "identify_many", self.identify_many)

    def identify_many(self, credentials: Sequence[Credential]) -> None:
        self.asked.append(len(credentials))
        self.may_answer.wait(10)
        if self.fails is not None:
            raise self.fails
        self._learn(credentials)


@pytest.fixture
def learning(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> Learning:
    return Learning(principal.services, monkeypatch)


@pytest.fixture
def streams(principal: Principal) -> FastStreams:
    assert principal.follow("hall")  # its board is followed from here on
    return fast_streams(principal.services)


class Served:
    """Connections that were left to greenlets, and what was read of them."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def serve(self, taken: socket.socket, read: FirstRead, address: object) -> None:
        gevent.sleep(0)  # others may run in it
        self.read.append(read.data)
        taken.close()


def _are_ready(principals: list[Principal]) -> bool:
    return all(b"event: ready" in each.received for each in principals)


def test_callers_that_are_not_known_are_looked_up_together(
    principal: Principal, streams: FastStreams, learning: Learning
) -> None:
    unknown = principal.unknown_callers(5)
    together = [*unknown, unknown[0].another()]
    assert [each.accept(streams) for each in together] == [None] * 6
    streams.begin_accepted()
    wait_until(lambda: learning.asked)
    assert streams.waiting_count == 6
    assert not any(each.received for each in together)
    assert principal.counted[0] == 1  # they have no streams yet
    principal.put(1)  # what happens meanwhile is not for them: they begin after it
    feed = principal.services.hub.followed("hall")
    assert feed is not None
    wait_until(lambda: feed.seq == 1)
    learning.may_answer.set()
    wait_until(lambda: _are_ready(together))
    assert learning.asked == [5]
    assert streams.waiting_count == 0
    principal.put(1)
    wait_until(lambda: all(b'"seq":2,' in each.received for each in together))
    assert not any(b'"seq":1,"type"' in each.received for each in together)
    assert principal.counted[0] == 7
    for each in together:
        each.close()


def test_a_refused_caller_is_left_to_a_greenlet_and_the_others_begin(
    principal: Principal, streams: FastStreams
) -> None:
    served = Served()
    good, bad = principal.unknown_callers(2), principal.another("occ_nobody_has_this")
    for each in (good[0], bad, good[1]):
        assert each.accept(streams, served.serve) is None
    wait_until(lambda: served.read and _are_ready(good))
    assert [each.startswith(b"GET /api/boards/hall/events ") for each in served.read] == [True]
    assert bad.received == b""
    assert streams.waiting_count == 0
    for each in (*good, bad):
        each.close()


def test_a_caller_whose_access_changes_during_the_look_up_is_looked_up_again(
    principal: Principal, streams: FastStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Served()
    (caller,) = principal.unknown_callers(1)
    access = principal.services.authenticator
    run_many = access._identify.run_many

    def change_meanwhile(calls: Any) -> list[Any]:
        replies = run_many(calls)
        access.forget()
        return replies

    monkeypatch.setattr(access._identify, "run_many", change_meanwhile)
    assert caller.accept(streams, served.serve) is None
    wait_until(lambda: served.read or caller.received)
    assert len(served.read) == 1
    assert caller.received == b""
    caller.close()


@pytest.mark.parametrize("error", [StoreUnavailable("made to fail"), PoolTimeout("made to fail")])
def test_when_the_store_fails_all_that_wait_are_answered(
    principal: Principal, streams: FastStreams, learning: Learning, error: Exception
) -> None:
    unknown = principal.unknown_callers(3)
    assert unknown[0].accept(streams) is None
    wait_until(lambda: learning.asked)
    for each in unknown[1:]:  # they would be asked for in the next round trip
        assert each.accept(streams) is None
    learning.fails = error
    learning.may_answer.set()
    wait_until(lambda: all(each.received.endswith(b"0\r\n\r\n") for each in unknown))
    assert all(b"event: degraded" in each.received for each in unknown)
    assert learning.asked == [1]
    assert streams.waiting_count == 0
    assert principal.counted[0] == 1
    for each in unknown:
        each.close()


def test_a_bug_leaves_them_to_greenlets(
    principal: Principal, streams: FastStreams, learning: Learning
) -> None:
    served = Served()
    unknown = principal.unknown_callers(2)
    for each in unknown:
        assert each.accept(streams, served.serve) is None
    learning.fails = RuntimeError("made to fail")
    learning.may_answer.set()
    wait_until(lambda: len(served.read) == 2)
    wait_until(lambda: streams.waiting_count == 0)
    for each in unknown:
        each.close()


def test_one_that_cannot_be_served_does_not_keep_the_next_waiting(
    principal: Principal, streams: FastStreams, learning: Learning
) -> None:
    served = Served()
    (good,) = principal.unknown_callers(1)
    bad = [principal.another("occ_nobody_has_this") for _ in range(2)]

    def fail(taken: socket.socket, read: FirstRead, address: object) -> None:
        raise RuntimeError("made to fail")

    assert bad[0].accept(streams, fail) is None
    assert bad[1].accept(streams, served.serve) is None
    wait_until(lambda: learning.asked)
    assert good.accept(streams) is None  # for the next round trip
    learning.may_answer.set()
    wait_until(lambda: bad[0].is_over and served.read and _are_ready([good]))
    wait_until(lambda: streams.waiting_count == 0)
    for each in (*bad, good):
        each.close()


def test_a_closed_server_serves_no_unknown_caller(principal: Principal) -> None:
    served: list[Any] = []
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = Listener(
        listener, lambda *args: served.append(args), None, Loads(Loads.shared(), 0),
        RepeatedWarnings(), spawn=Pool(1),
    )  # fmt: skip
    server.start()
    server.close()
    read = FirstRead(b"GET / HTTP/1.1\r\n\r\n", None)
    server.serve(principal.served.take(), read, ("127.0.0.1", 1))
    wait_until(lambda: principal.is_over)
    assert served == []


def test_when_too_many_wait_the_next_is_left_to_a_greenlet(
    principal: Principal, streams: FastStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams._batcher, "waiting_count", MAX_PENDING)
    (caller,) = principal.unknown_callers(1)
    read = caller.accept(streams)
    assert read is not None
    assert read.startswith(b"GET /api/boards/hall/events ")
    assert streams.waiting_count == MAX_PENDING
    caller.close()


def test_unknown_callers_of_a_process_that_ends_get_a_bye(
    principal: Principal, streams: FastStreams, learning: Learning
) -> None:
    asked, waiting = principal.unknown_callers(2)
    assert asked.accept(streams) is None
    wait_until(lambda: learning.asked)
    assert waiting.accept(streams) is None
    streams.leave()
    principal.services.hub.is_draining = True
    wait_until(lambda: asked.is_over and waiting.is_over)
    for each in (asked, waiting):
        assert each.received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert each.received.count(b"event: bye") == 1
        assert each.received.endswith(b"0\r\n\r\n")
    assert streams.waiting_count == 0
    learning.may_answer.set()  # too late
    wait_until(lambda: not streams._batcher._is_running)
    assert streams.waiting_count == 0
    assert principal.counted[0] == 1
    for each in (asked, waiting):
        each.close()


def test_when_the_store_is_slow_nobody_waits_for_a_second_answer(
    principal: Principal, streams: FastStreams, learning: Learning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occupancy.server.fast.auth_batcher._SLOW_LOOKUP_S", 0.0)
    served = Served()
    asked, waiting = principal.unknown_callers(2)
    assert asked.accept(streams, served.serve) is None
    wait_until(lambda: learning.asked)
    assert waiting.accept(streams, served.serve) is None
    learning.may_answer.set()
    wait_until(lambda: served.read and _are_ready([asked]))
    assert learning.asked == [1]
    assert waiting.received == b""
    wait_until(lambda: streams.waiting_count == 0)
    for each in (asked, waiting):
        each.close()


@pytest.mark.parametrize(
    ("record", "are_both_left"),
    [(b"{", True), (b'{"worker": "1", "id": "x"}', False)],  # to the script, and only to us
)
def test_a_record_that_cannot_be_read_keeps_nobody_else_out(
    record: bytes, are_both_left: bool, principal: Principal, streams: FastStreams
) -> None:
    served = Served()
    good, broken = principal.unknown_callers(2)
    digest = digest_of(broken.token)
    principal.services.store.client.hset(principal.services.tokens._keys.tokens, digest, record)
    for each in (broken, good):
        assert each.accept(streams, served.serve) is None
    wait_until(lambda: len(served.read) + _are_ready([good]) == 2)
    assert len(served.read) == 1 + are_both_left
    for each in (good, broken):
        each.close()

"""Streams that the express lane begins, from the event loop or a connection's greenlet."""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import gevent
import pytest
from gevent.event import Event

from occupancy.callers import Credential, digest_of
from occupancy.deadlines import STREAM_SEND_BUFFER_BYTES, DeadlineSocket
from occupancy.errors import PoolTimeout, StoreUnavailable
from occupancy.express_streams import ExpressStreams, Serve
from occupancy.fanout import TURN_BYTES
from occupancy.model import PUT, Person, Role
from occupancy.plain import PlainRequest, parse
from occupancy.records import Replay
from occupancy.services import Services
from occupancy.strangers import MOST, Strangers
from occupancy.subscriber import Subscriber
from tests.raw_http import request
from tests.waiting import wait_until

OFFICE = Person("office", "Office")


def _serves_nobody(taken: socket.socket, read: bytes, address: object) -> None:
    raise AssertionError("left to a greenlet")


class Caller:
    """Who asks for streams of ``hall`` over one connection, and what comes of it."""

    def __init__(self, services: Services, token: str) -> None:
        self.services = services
        self.store = services.store
        self._token = f"Authorization: Bearer {token}"
        self.received = b""
        self._numbers = itertools.count()
        self._client, served = socket.socketpair()
        self.served = DeadlineSocket(
            served.family, served.type, served.proto, fileno=served.detach()
        )
        self._reader = gevent.spawn(self._read)

    def another(self, token: str | None = None) -> Caller:
        """With that token, or the same, on a connection of its own."""
        same = self._token.removeprefix("Authorization: Bearer ")
        return Caller(self.services, token or same)

    def strangers(self, count: int) -> list[Caller]:
        """Each with a token of its own, that this process has not seen yet."""
        tokens = [self.services.tokens.create("1")[0] for _ in range(count)]
        access, guard = self.services.access, self.services.guard
        wait_until(lambda: guard._changes == access.changes(), what="the announcements")
        return [self.another(token) for token in tokens]

    def _read(self) -> None:
        while data := self._client.recv(65536):
            self.received += data

    def close(self) -> None:
        self._reader.kill()
        self._client.close()
        self.served.close()

    def follow(self, board: str, query: str = "") -> bool:
        path = f"GET /api/boards/{board}/events{query}"
        asked = parse(request(path, self._token))
        assert asked is not None
        return ExpressStreams(self.services, {}, _reads_nothing).follow(asked, self.served)

    def greet(self, streams: ExpressStreams, serve: Serve = _serves_nobody) -> bytes | None:
        """Ask for a stream of ``hall`` before its connection is accepted."""
        self._client.sendall(request("GET /api/boards/hall/events", self._token))
        taken = self.served.take()
        read = streams.greet(taken, ("127.0.0.1", 1), serve)
        if read is not None:
            taken.close()  # the server would leave it to a greenlet
        return read

    def put(self, count: int) -> None:
        """Add so many items."""
        for _ in range(count):
            number = next(self._numbers)
            self.store.operate("hall", PUT, [f"T-{number}"], actor=OFFICE, items=[{}])

    @property
    def subscriber(self) -> Subscriber:
        (only,) = self.services.hub._subscribers()
        return only

    @property
    def counted(self) -> tuple[int, int]:
        """Streams that are open, and callers that have opened some of late."""
        admission = self.services.admission
        return admission._total, len(admission._callers._due_s)


def _reads_plain(data: bytes, address: object) -> PlainRequest | None:
    return parse(data)


def _reads_nothing(data: bytes, address: object) -> PlainRequest | None:
    return None


@pytest.fixture
def caller(valkey_services: Services) -> Iterator[Caller]:
    valkey_services.store.boards.create("hall")
    valkey_services.workers.add("1", name="One", role=Role.WORKER)
    token, _ = valkey_services.tokens.create("1")
    one = Caller(valkey_services, token)
    yield one
    one.close()
    wait_until(lambda: valkey_services.hub.open_streams == 0, what="the streams' end")


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
    streams = ExpressStreams(caller.services, {}, _reads_plain)
    together = [caller.another() for _ in range(3)]
    assert [each.greet(streams) for each in together] == [None] * 3
    gevent.sleep(0.01)  # for what should not be written to be read
    assert [each.received for each in together] == [b""] * 3
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
    streams = ExpressStreams(caller.services, {}, _reads_plain)
    first, second = caller.another(), caller.another()
    assert first.greet(streams) is second.greet(streams) is None
    go_live = streams._go_live

    def fail_once(*args: Any) -> None:
        monkeypatch.setattr(streams, "_go_live", go_live)
        raise RuntimeError("made to fail")

    monkeypatch.setattr(streams, "_go_live", fail_once)
    streams.begin()
    wait_until(lambda: b"event: ready" in second.received)
    assert first.received == b""
    assert caller.counted[0] == 2
    streams.begin()  # of a turn in which nobody was greeted
    assert caller.counted[0] == 2
    first.close()
    second.close()


def test_what_is_no_plain_request_for_a_stream_is_left_to_a_greenlet(caller: Caller) -> None:
    assert caller.follow("hall")
    other = caller.another()
    other._client.sendall(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
    streams = ExpressStreams(caller.services, {}, _reads_plain)
    read = streams.greet(other.served, ("127.0.0.1", 1), _serves_nobody)
    assert read is not None and read.startswith(b"GET /livez")
    assert caller.counted[0] == 1
    other.close()


# Those whose caller is not known yet


class Learning:
    """What the store is asked about callers; it answers when it may."""

    def __init__(self, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []  # how many at a time
        self.may_answer = Event()
        self.fails: Exception | None = None
        self._learn = services.access.learn
        monkeypatch.setattr(services.access, "learn", self.learn)

    def learn(self, credentials: Sequence[Credential]) -> None:
        self.asked.append(len(credentials))
        self.may_answer.wait(10)
        if self.fails is not None:
            raise self.fails
        self._learn(credentials)


@pytest.fixture
def learning(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> Learning:
    return Learning(caller.services, monkeypatch)


@pytest.fixture
def lane(caller: Caller) -> ExpressStreams:
    assert caller.follow("hall")  # its board is followed from here on
    return ExpressStreams(caller.services, {}, _reads_plain)


class Served:
    """Connections that were left to greenlets, and what was read of them."""

    def __init__(self) -> None:
        self.read: list[bytes] = []

    def serve(self, taken: socket.socket, read: bytes, address: object) -> None:
        gevent.sleep(0)  # it may wait for a place
        self.read.append(read)
        taken.close()


def _are_ready(callers: list[Caller]) -> bool:
    return all(b"event: ready" in each.received for each in callers)


def test_callers_that_are_not_known_are_looked_up_together(
    caller: Caller, lane: ExpressStreams, learning: Learning
) -> None:
    strangers = caller.strangers(5)
    twice = [strangers[0], caller.another(strangers[0]._token.split()[-1])]
    together = [*strangers, twice[1]]
    assert [each.greet(lane) for each in together] == [None] * 6
    lane.begin()
    wait_until(lambda: learning.asked)
    assert Strangers.waiting_count == 6
    assert not any(each.received for each in together)
    assert caller.counted[0] == 1  # they have no streams yet
    caller.put(1)  # what happens meanwhile is not for them: they begin after it
    feed = caller.services.hub.followed("hall")
    assert feed is not None
    wait_until(lambda: feed.seq == 1)
    learning.may_answer.set()
    wait_until(lambda: _are_ready(together))
    assert learning.asked == [5]
    assert Strangers.waiting_count == 0
    caller.put(1)
    wait_until(lambda: all(b'"seq":2,' in each.received for each in together))
    assert not any(b'"seq":1,"type"' in each.received for each in together)
    assert caller.counted[0] == 7
    for each in together:
        each.close()


def test_who_is_not_let_in_is_left_to_a_greenlet_and_the_others_begin(
    caller: Caller, lane: ExpressStreams
) -> None:
    served = Served()
    good, bad = caller.strangers(2), caller.another("occ_nobody_has_this")
    for each in (good[0], bad, good[1]):
        assert each.greet(lane, served.serve) is None
    wait_until(lambda: served.read and _are_ready(good))
    assert [each.startswith(b"GET /api/boards/hall/events ") for each in served.read] == [True]
    assert bad.received == b""
    assert Strangers.waiting_count == 0
    for each in (*good, bad):
        each.close()


def test_whose_access_changes_while_the_store_is_asked_is_asked_for_again(
    caller: Caller, lane: ExpressStreams, learning: Learning
) -> None:
    served = Served()
    (stranger,) = caller.strangers(1)
    assert stranger.greet(lane, served.serve) is None
    wait_until(lambda: learning.asked)
    learning.may_answer.set()
    learn = learning._learn

    def change_meanwhile(credentials: Sequence[Credential]) -> None:
        asked = caller.services.access._forgotten
        learn(credentials)
        assert asked == caller.services.access._forgotten
        caller.services.access.forget()

    learning._learn = change_meanwhile
    wait_until(lambda: served.read)
    assert stranger.received == b""
    stranger.close()


@pytest.mark.parametrize("error", [StoreUnavailable("made to fail"), PoolTimeout("made to fail")])
def test_when_the_store_fails_all_who_wait_are_told(
    caller: Caller, lane: ExpressStreams, learning: Learning, error: Exception
) -> None:
    strangers = caller.strangers(3)
    assert strangers[0].greet(lane) is None
    wait_until(lambda: learning.asked)
    for each in strangers[1:]:  # they would be asked for in the next round trip
        assert each.greet(lane) is None
    learning.fails = error
    learning.may_answer.set()
    wait_until(lambda: all(each.received.endswith(b"0\r\n\r\n") for each in strangers))
    assert all(b"event: degraded" in each.received for each in strangers)
    assert learning.asked == [1]
    assert Strangers.waiting_count == 0
    assert caller.counted[0] == 1
    for each in strangers:
        each.close()


def test_a_mistake_of_ours_leaves_them_to_greenlets(
    caller: Caller, lane: ExpressStreams, learning: Learning
) -> None:
    served = Served()
    strangers = caller.strangers(2)
    for each in strangers:
        assert each.greet(lane, served.serve) is None
    learning.fails = RuntimeError("made to fail")
    learning.may_answer.set()
    wait_until(lambda: len(served.read) == 2)
    assert Strangers.waiting_count == 0
    for each in strangers:
        each.close()


def test_no_more_wait_than_may(
    caller: Caller, lane: ExpressStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Strangers, "waiting_count", MOST)
    (stranger,) = caller.strangers(1)
    read = stranger.greet(lane)
    assert read is not None
    assert read.startswith(b"GET /api/boards/hall/events ")
    assert Strangers.waiting_count == MOST
    stranger.close()


def test_strangers_of_a_process_that_ends_are_told_to_come_back(
    caller: Caller, lane: ExpressStreams, learning: Learning
) -> None:
    (stranger,) = caller.strangers(1)
    assert stranger.greet(lane) is None
    wait_until(lambda: learning.asked)
    caller.services.hub.is_draining = True
    learning.may_answer.set()
    wait_until(lambda: stranger.received.endswith(b"0\r\n\r\n"))
    assert stranger.received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert stranger.received.count(b"event: bye") == 1
    assert caller.counted[0] == 1
    stranger.close()


@pytest.mark.parametrize(
    ("record", "are_both_left"),
    [(b"{", True), (b'{"worker": "1", "id": "x"}', False)],  # to the script, and only to us
)
def test_a_record_that_cannot_be_read_keeps_nobody_out(
    record: bytes, are_both_left: bool, caller: Caller, lane: ExpressStreams
) -> None:
    served = Served()
    good, broken = caller.strangers(2)
    digest = digest_of(broken._token.split()[-1])
    caller.services.store.client.hset(caller.services.tokens._keys.tokens, digest, record)
    for each in (broken, good):
        assert each.greet(lane, served.serve) is None
    wait_until(lambda: len(served.read) + _are_ready([good]) == 2)
    assert len(served.read) == 1 + are_both_left
    for each in (good, broken):
        each.close()

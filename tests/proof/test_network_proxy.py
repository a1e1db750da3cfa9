"""Each mode of the proxy, between a client and a tiny server that answers lines."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.server import StreamServer

from proof.network.mode import Mode
from proof.network.proxy import FaultProxy
from tests.support.waiting import wait_until

REQUEST = b"a question of twenty\n"
ANSWER = b"answer to " + REQUEST


class Lines:
    """A server that notes each line, and answers it; ``push`` sends to all who are connected."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.unfinished: list[bytes] = []  # what came before an end without a line's end
        self.pieces: list[bytes] = []
        self._clients: list[Any] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port

    def push(self, text: bytes) -> None:
        for each in self._clients:
            each.sendall(text)

    def stop(self) -> None:
        self._server.stop()

    def _serve(self, client: Any, _: Any) -> None:
        self._clients.append(client)
        rest = b""
        with contextlib.suppress(OSError):
            while piece := client.recv(65536):
                self.pieces.append(piece)
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self.received.append(line + b"\n")
                    client.sendall(b"answer to " + line + b"\n")
        self._clients.remove(client)
        if rest:
            self.unfinished.append(rest)


@pytest.fixture(scope="module")
def server() -> Iterator[Lines]:
    made = Lines()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def proxy(server: Lines) -> Iterator[FaultProxy]:
    """One process for all tests of the module."""
    made = FaultProxy(server.port, seed=3)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def lines(server: Lines) -> Lines:
    """The server behind the proxy, with nothing noted."""
    server.received.clear()
    server.unfinished.clear()
    server.pieces.clear()
    return server


class Caller:
    """A client of the proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pieces: list[bytes] = []

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, text: bytes = REQUEST) -> None:
        self._connection.sendall(text)

    def read(self) -> bytes:
        """What comes up to a line's end or the connection's. Raises OSError at a reset."""
        text = b""
        while not text.endswith(b"\n") and (piece := self._connection.recv(65536)):
            self.pieces.append(piece)
            text += piece
        return text

    def ask(self, text: bytes = REQUEST) -> bytes:
        self.send(text)
        return self.read()


@pytest.fixture
def caller(proxy: FaultProxy, lines: Lines) -> Iterator[Caller]:
    with Caller(proxy) as made:
        yield made


def increase(proxy: FaultProxy, name: str) -> Iterator[int]:
    """How much a count has grown since the first ``next``."""
    before = proxy.count(name)
    while True:
        yield proxy.count(name) - before


def test_without_a_mode_everything_is_passed_on(caller: Caller, lines: Lines) -> None:
    for number in range(3):
        assert caller.ask(b"%d\n" % number) == b"answer to %d\n" % number
    lines.push(b"unasked\n")
    assert caller.read() == b"unasked\n"


def test_large_messages_are_passed_on_whole(caller: Caller) -> None:
    text = bytes(itertools.islice(itertools.cycle(range(97, 123)), 3_000_000)) + b"\n"
    sending = gevent.spawn(caller.send, text)
    assert caller.read() == b"answer to " + text
    sending.get()


def test_a_client_that_ends_is_ended_at_the_server_too(proxy: FaultProxy, lines: Lines) -> None:
    with Caller(proxy) as caller:
        caller.ask()
        assert len(lines._clients) == 1
    wait_until(lambda: not lines._clients, what="the server to see the end")
    wait_until(lambda: proxy.counts()["open"] == 0, what="the proxy to forget it")


@pytest.mark.parametrize("direction", ["request", "answer"])
def test_delay(proxy: FaultProxy, caller: Caller, direction: Any) -> None:
    count = increase(proxy, "delay")
    next(count)
    began_s = time.monotonic()
    with proxy.during(Mode(kind="delay", direction=direction, delay_s=0.2, jitter_s=0.05)):
        assert caller.ask() == ANSWER
    assert time.monotonic() - began_s >= 0.2
    assert next(count) == 1


def test_cut_of_an_answer_passes_on_its_first_bytes(
    proxy: FaultProxy, caller: Caller, lines: Lines
) -> None:
    count = increase(proxy, "cut")
    next(count)
    with proxy.during(Mode(kind="cut", after_bytes=7)):
        assert caller.ask() == ANSWER[:7]
    assert lines.received == [REQUEST]
    assert next(count) == 1


def test_cut_of_a_request_is_before_its_end(
    proxy: FaultProxy, caller: Caller, lines: Lines
) -> None:
    with proxy.during(Mode(kind="cut", direction="request")):
        assert caller.ask() == b""
    wait_until(lambda: lines.unfinished, what="the server to see the end")
    assert lines.received == []
    (begun,) = lines.unfinished
    assert REQUEST.startswith(begun) and 0 < len(begun) < len(REQUEST)


def test_a_cut_counts_the_bytes_of_all_pieces_of_the_message(
    proxy: FaultProxy, caller: Caller, lines: Lines
) -> None:
    with proxy.during(Mode(kind="cut", after_bytes=len(ANSWER) + 3)):
        assert caller.ask() == ANSWER
        lines.push(b"unasked\n")
        assert caller.read() == b"una"


def test_reset_is_seen_as_one(proxy: FaultProxy, caller: Caller) -> None:
    count = increase(proxy, "reset")
    next(count)
    with proxy.during(Mode(kind="reset", after_bytes=0)), pytest.raises(ConnectionResetError):
        caller.ask()
    assert next(count) == 1


def test_a_lost_answer_is_one_to_a_whole_request(
    proxy: FaultProxy, caller: Caller, lines: Lines
) -> None:
    count = increase(proxy, "lose_answer")
    next(count)
    with proxy.during(Mode(kind="lose_answer")):
        caller.send(REQUEST[:5])
        wait_until(lambda: lines.pieces, what="the server to have a part")
        caller.send(REQUEST[5:])
        assert caller.read() == b""
    assert lines.received == [REQUEST]
    assert next(count) == 1


def test_only_answers_that_begin_so_are_lost(proxy: FaultProxy, caller: Caller) -> None:
    with proxy.during(Mode(kind="lose_answer", answering="answer to lose")):
        assert caller.ask(b"keep\n") == b"answer to keep\n"
        assert caller.ask(b"lose\n") == b""


def test_byte_by_byte(proxy: FaultProxy, caller: Caller, lines: Lines) -> None:
    with proxy.during(Mode(kind="byte_by_byte", direction="both", delay_s=0.01)):
        assert caller.ask() == ANSWER
    assert lines.received == [REQUEST]
    assert len(lines.pieces) > 5, "the server reads it in pieces"
    assert len(caller.pieces) > 5, "the client reads it in pieces"


def test_what_was_held_goes_on_afterwards(proxy: FaultProxy, lines: Lines) -> None:
    with Caller(proxy) as before, contextlib.ExitStack() as stack:
        before.ask()
        with proxy.during(Mode(kind="hold", direction="both")):
            before.send(b"1\n")
            during = stack.enter_context(Caller(proxy))
            during.send(b"2\n")
            wait_until(lambda: proxy.count("hold") >= 2, what="both to be held")
            assert lines.received == [REQUEST]
        assert before.read() == b"answer to 1\n"
        assert during.read() == b"answer to 2\n"


def test_refusing_leaves_open_connections_alone_and_ends(proxy: FaultProxy, caller: Caller) -> None:
    caller.ask()
    with proxy.during(Mode(kind="refuse")):
        with pytest.raises(ConnectionRefusedError):
            Caller(proxy)
        assert caller.ask() == ANSWER
    with Caller(proxy) as again:
        assert again.ask() == ANSWER


def test_a_server_that_is_away_ends_the_connection(proxy: FaultProxy) -> None:
    other = FaultProxy(1)  # nothing listens there
    other.start()
    try:
        with Caller(other) as caller, contextlib.suppress(ConnectionResetError):
            assert caller.ask() == b""
    finally:
        other.stop()


def test_each_nth_that_matches_is_concerned(proxy: FaultProxy, lines: Lines) -> None:
    results = []
    with proxy.during(Mode(kind="lose_answer", matching="question", every=3)):
        for _ in range(9):
            with Caller(proxy) as caller:
                assert caller.ask(b"other\n") == b"answer to other\n"
                results.append(caller.ask() == ANSWER)
    assert results == [True, True, False] * 3
    assert lines.received.count(REQUEST) == 9


def test_no_more_than_the_most_are_concerned(proxy: FaultProxy, lines: Lines) -> None:
    with proxy.during(Mode(kind="lose_answer", most=2)):
        results = []
        for _ in range(5):
            with Caller(proxy) as caller:
                results.append(caller.ask())
    assert results == [b"", b"", ANSWER, ANSWER, ANSWER]


def test_a_chance_concerns_some(proxy: FaultProxy, lines: Lines) -> None:
    with proxy.during(Mode(kind="lose_answer", chance=0.5)):
        results = []
        for _ in range(40):
            with Caller(proxy) as caller:
                results.append(caller.ask() == ANSWER)
    assert 5 < results.count(True) < 35


def test_two_groups_of_modes_end_each_by_itself(proxy: FaultProxy, lines: Lines) -> None:
    first = proxy.begin(Mode(kind="lose_answer", matching="one"))
    with proxy.during(Mode(kind="cut", after_bytes=4, matching="two")):
        proxy.end(first)
        with Caller(proxy) as caller:
            assert caller.ask(b"one\n") == b"answer to one\n"
            assert caller.ask(b"two\n") == b"answ"


def test_a_strike_cuts_open_connections_within_their_next_message(
    proxy: FaultProxy, lines: Lines
) -> None:
    with Caller(proxy) as one, Caller(proxy) as other:
        one.ask(b"stream\n")
        other.ask(b"plain\n")
        assert proxy.strike(Mode(kind="cut", matching="stream", counted_as="streams")) == 1
        lines.push(b"event\n")
        assert one.read() in (b"e", b"ev", b"eve", b"even", b"event")
        assert other.read() == b"event\n"
    assert proxy.count("streams") == 1


def test_a_strike_resets_a_connection_also_within_its_next_exchange(
    proxy: FaultProxy, caller: Caller, lines: Lines
) -> None:
    caller.ask()
    proxy.strike(Mode(kind="reset", direction="both", after_bytes=0))
    with pytest.raises(ConnectionResetError):
        caller.ask()
    assert lines.received == [REQUEST]

"""A socket writer: what it is sent arrives whole and in order, whatever the client does."""

from __future__ import annotations

import _socket
import random
import socket
from collections.abc import Iterator
from typing import Any, cast

import gevent
import pytest

from occupancy.live.socket_writer import SocketWriter
from occupancy.live.sse import Payload
from occupancy.live.subscriber import BUFFER_BYTES, Subscriber
from tests.support.raw_http import received_until
from tests.support.waiting import wait_until

PEERS: list[socket.socket] = []


class Client:
    """Both ends of a connection: a writer's, and that of the one who reads it."""

    def __init__(self, *, is_chunked: bool = False) -> None:
        ours, self.peer = socket.socketpair()
        PEERS.append(self.peer)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024)
        self.pieces: list[bytes | None] = []
        self.ended = 0
        self.received = b""
        self.writer = SocketWriter(
            # As a connection is taken from gunicorn: the plain socket, without gevent around it.
            _plain(ours),
            is_chunked=is_chunked,
            next_piece=lambda: self.pieces.pop(0) if self.pieces else b"",
            on_ended=self._on_ended,
        )

    def _on_ended(self) -> None:
        self.ended += 1

    def read(self, size: int) -> bytes:
        with gevent.Timeout(5):
            while len(self.received) < size and (data := self.peer.recv(65536)):
                self.received += data
        return self.received

    def read_all(self) -> bytes:
        with gevent.Timeout(5):
            while data := self.peer.recv(65536):
                self.received += data
        return self.received

    def until_ended(self) -> None:
        wait_until(lambda: self.ended, what="the writer's end")


def _plain(connection: socket.socket) -> Any:
    return _socket.socket(connection.family, connection.type, fileno=connection.detach())


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    before = SocketWriter.open_count
    yield
    while PEERS:
        PEERS.pop().close()
    assert SocketWriter.open_count == before


def test_what_is_sent_is_written_at_once() -> None:
    client = Client()
    assert client.writer.send(Payload([b"a", b"b"]))
    assert client.read(2) == b"ab"
    client.writer.close()
    client.until_ended()


def test_a_chunked_response_goes_on_in_chunks_and_ends_with_the_last() -> None:
    client = Client(is_chunked=True)
    client.writer.send(Payload([b"x" * 26]))
    client.pieces = [b"bye", None]
    client.writer.pump()
    assert client.read_all() == b"1a\r\n" + b"x" * 26 + b"\r\n3\r\nbye\r\n0\r\n\r\n"
    client.until_ended()


def test_what_a_slow_client_does_not_take_waits_and_the_next_is_refused() -> None:
    client = Client()
    big = random.Random(1).randbytes(300_000)
    assert client.writer.send(Payload([big]))
    assert client.writer.waiting_since is not None
    assert not client.writer.send(Payload([b"next"]))
    client.pieces = [b"next", b"", b"never"]
    assert client.read(300_004) == big + b"next"
    assert client.writer.waiting_since is None
    client.writer.close()
    client.until_ended()


def test_who_takes_something_is_not_stalled() -> None:
    client = Client()
    client.writer.send(Payload([b"x" * 300_000]))
    since = client.writer.waiting_since
    assert since is not None
    client.peer.recv(65536)
    wait_until(lambda: (client.writer.waiting_since or 0) > since, what="some of it is taken")
    client.writer.reset()
    client.until_ended()


def test_a_client_that_goes_away_ends_it_once_and_from_the_loop() -> None:
    client = Client()
    client.peer.close()
    client.until_ended()
    client.writer.close()
    client.writer.reset()
    assert client.writer.send(Payload([b"nobody is there"]))
    gevent.sleep(0.01)
    assert client.ended == 1


def test_a_write_that_fails_ends_it_but_not_inside_the_call() -> None:
    client = Client()
    client.peer.close()
    client.writer.send(Payload([b"x"]))
    assert client.ended == 0  # whoever walks over streams loses none in its midst
    client.until_ended()


def test_a_client_that_sends_more_keeps_its_stream() -> None:
    client = Client()
    client.peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
    gevent.sleep(0.01)
    client.writer.send(Payload([b"still"]))
    assert client.read(5) == b"still"
    client.writer.close()
    client.until_ended()


def test_what_waits_for_a_slow_stream_is_bounded_with_what_its_writer_has_of_it() -> None:
    class Board:
        number = 7
        resets = 0
        changes = 0

        def reset_frame(self, reason: str) -> bytes:
            return b"reset\n\n"

        def count_reset(self) -> None:
            self.resets += 1

    board = Board()
    subscriber = Subscriber(cast(Any, None), cast(Any, board))
    ours, peer = socket.socketpair()
    PEERS.append(peer)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * 1024)
    writer = SocketWriter(
        _plain(ours), is_chunked=False, next_piece=subscriber.next_piece, on_ended=lambda: None
    )
    subscriber.attach(writer)
    before = 0
    for _ in range(200):
        subscriber.push(Payload([b"x" * 999 + b"\n"]))
        waiting = writer.rest_bytes + subscriber._bytes
        if subscriber._overflowed:
            break
        assert waiting <= BUFFER_BYTES
        before = waiting
    assert BUFFER_BYTES - 1000 < before <= BUFFER_BYTES
    with gevent.Timeout(5):
        received = received_until(peer, b"reset\n\n")
    assert board.resets == 1
    assert subscriber.number == 7
    assert received.removesuffix(b"reset\n\n").replace(b"x" * 999 + b"\n", b"") == b""
    subscriber.abandon()


def test_a_reset_drops_what_was_not_taken() -> None:
    client = Client()
    client.writer.send(Payload([b"x" * 300_000]))
    client.writer.reset()
    client.until_ended()
    assert len(client.read_all()) < 300_000


def test_the_end_is_written_after_all_that_waited() -> None:
    client = Client(is_chunked=True)
    client.writer.send(Payload([b"x" * 300_000]))
    client.pieces = [b"bye", None]
    client.writer.pump()
    received = client.read_all()
    assert received.endswith(b"\r\n3\r\nbye\r\n0\r\n\r\n")
    assert received.count(b"x") == 300_000
    client.until_ended()

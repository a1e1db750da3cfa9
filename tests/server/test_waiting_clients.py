"""What a process keeps of its clients: what is sent and closed counts for nothing any more."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from occupancy.server import sockets, waiting_clients
from occupancy.server.sockets import BoundedSocket
from occupancy.server.waiting_clients import WaitingClients


class Client:
    is_reading = True

    def __init__(self) -> None:
        self.is_hung_up = False

    def hang_up(self) -> None:
        self.is_hung_up = True


def test_answers_that_were_sent_leave_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_clients, "UNTAKEN_BYTES", 1000)
    waiting = WaitingClients()
    clients = [Client() for _ in range(30)]
    for first in range(0, 30, 3):  # three at once, of 900 bytes together
        answers = [bytes([number]) * 300 for number in range(3)]
        for client, data in zip(clients[first : first + 3], answers, strict=True):
            waiting.answer(client, data)
        for client in clients[first : first + 3]:
            waiting.taken(client, 300)
            waiting.answered(client)
    assert not any(each.is_hung_up for each in clients)


def test_beyond_the_bound_the_slowest_reader_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_clients, "UNTAKEN_BYTES", 1000)
    waiting, clients = WaitingClients(), [Client() for _ in range(3)]
    answers = [bytes([number]) * 400 for number in range(3)]
    for client, data in zip(clients, answers, strict=True):
        waiting.answer(client, data)
        waiting.taken(client, 0 if client is clients[1] else 10**9)
    assert [each.is_hung_up for each in clients] == [False, True, False]
    another = Client()
    waiting.answer(another, b"x" * 150)  # the closed one's bytes count no more
    assert not another.is_hung_up


@pytest.fixture
def pair() -> Iterator[tuple[BoundedSocket, socket.socket]]:
    """A connection as the server has it, and its client's end."""
    served, client = socket.socketpair()
    bounded = BoundedSocket(served.family, served.type, served.proto, fileno=served.detach())
    bounded.setblocking(True)
    yield bounded, client
    bounded.close()
    client.close()


def test_a_connection_whose_requests_are_answered_lasts(
    pair: tuple[BoundedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, client = pair
    monkeypatch.setattr(sockets, "UNANSWERED_BYTES", 10_000)
    for _ in range(200):  # 200 kB in all
        client.sendall(b"x" * 1000)
        assert served.recv(4096) == b"x" * 1000
        served.sendall(b"y")
        assert client.recv(10) == b"y"


def test_a_connection_that_sends_without_awaiting_an_answer_is_closed(
    pair: tuple[BoundedSocket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, client = pair
    monkeypatch.setattr(sockets, "UNANSWERED_BYTES", 100_000)
    received = 0
    with pytest.raises(ConnectionResetError):
        while received < 200_000:
            client.sendall(b"x" * 1000)
            received += len(served.recv(4096))
    assert received == 100_000


def test_a_connection_that_is_closed_waits_for_nothing_any_more(
    pair: tuple[BoundedSocket, socket.socket],
) -> None:
    served, client = pair
    client.sendall(b"GET ")
    served.recv(4096)
    assert served in served.waiting.requests
    served.close()
    assert served not in served.waiting.requests

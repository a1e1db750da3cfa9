"""The parts of a round: the hand-made client, the plans, and what counts as time of work."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from proof.history.call import Reply
from proof.load.raw_wire import FastClient
from proof.single.round import _outside
from proof.single.run import FAULTS, SEVERAL, Plan, plans_of
from proof.single.workers import _replies

Answer = Callable[..., FastClient]
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n%b\r\n{"changed":true}'


@pytest.fixture
def answering() -> Iterator[Answer]:
    """A client of a server that sends these pieces to its first connection, and ends it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def make(*pieces: bytes) -> FastClient:
        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                for each in pieces:
                    connection.sendall(each)

        threading.Thread(target=serve, daemon=True).start()
        return FastClient(listener.getsockname()[1], "token")

    yield make
    listener.close()


@pytest.mark.parametrize("cut", [5, 20, 40, 50])
def test_an_answer_in_pieces_is_read_whole(answering: Answer, cut: int) -> None:
    text = OK % b"Idempotency-Replayed: true\r\n"
    client = answering(text[:cut], text[cut:])
    assert client.post("/", None, "") == Reply(200, {"changed": True}, is_replayed=True)
    client.close()


@pytest.mark.parametrize("cut", [0, 5, 30, len(OK % b"") - 1])
def test_a_part_of_an_answer_is_no_answer(answering: Answer, cut: int) -> None:
    client = answering((OK % b"")[:cut])
    assert client.post("/", None, "").status == 0


def test_a_batch_is_a_reply_for_each_tag() -> None:
    results = [
        {"tag": "A", "status": 200, "changed": True, "item": {"version": 2}},
        {"tag": "B", "status": 409, "code": "held"},
    ]
    one, other = _replies(Reply(200, {"results": results}), 2)
    assert (one.status, one.body["item"]) == (200, {"version": 2})
    assert (other.status, other.body["code"]) == (409, "held")


def test_a_batch_that_is_refused_as_a_whole_is_refused_for_each_tag() -> None:
    refused = Reply(403, {"code": "forbidden"})
    assert _replies(refused, 2) == [refused, refused]


def test_what_lies_in_stops_is_no_time_of_work() -> None:
    assert _outside((0.0, 10.0), []) == [(0.0, 10.0)]
    assert _outside((0.0, 10.0), [(4.0, 5.0), (2.0, 3.0)]) == [(0.0, 2.0), (3.0, 4.0), (5.0, 10.0)]
    assert _outside((0.0, 10.0), [(2.0, 6.0), (3.0, 4.0)]) == [(0.0, 2.0), (6.0, 10.0)]


def test_each_fault_comes_alone_and_then_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proof.single.run.has_compiler", lambda: True)
    plans = list(plans_of(None, seed=3, rounds=2))
    assert plans == list(plans_of(None, seed=3, rounds=2))
    of_a_round = len(FAULTS) + 1
    assert len(plans) == 2 * of_a_round
    for number, first in ((3, 0), (4, of_a_round)):
        *alone, several = plans[first : first + of_a_round]
        assert alone == [Plan((name,), number) for name in FAULTS]
        assert several.seed == number
        assert len(set(several.names)) == len(several.names) > 1
    assert list(plans_of([SEVERAL], seed=3, rounds=2)) == [
        each for each in plans if len(each.names) > 1
    ]

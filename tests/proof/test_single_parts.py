"""The parts of a round: the hand-made client, the plans, and what counts as time of work."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from proof.history.call import Reply
from proof.load.raw_wire import FastClient
from proof.single.round import Round, _outside
from proof.single.run import FAULTS, SEVERAL, STORM, Plan, plans_of
from proof.single.site import Site
from proof.single.stage import Stage
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


def test_each_fault_comes_alone_then_several_at_once_and_then_a_storm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proof.single.run.has_compiler", lambda: True)
    plans = list(plans_of(None, seed=3, rounds=2))
    assert plans == list(plans_of(None, seed=3, rounds=2))
    of_a_round = len(FAULTS) + 2
    assert len(plans) == 2 * of_a_round
    for number, first in ((3, 0), (4, of_a_round)):
        *alone, several, storm = plans[first : first + of_a_round]
        assert alone == [Plan((name,), number) for name in FAULTS]
        for each in (several, storm):
            assert each.seed == number
            assert len(set(each.names)) == len(each.names)
        assert 2 <= len(several.names) <= 4
        assert len(storm.names) == 24
        assert list(plans_of([SEVERAL], seed=number, rounds=1)) == [several]
        assert list(plans_of([STORM], seed=number, rounds=1)) == [storm]


def test_a_storm_does_not_set_the_clock_of_the_server() -> None:
    names = {name for each in plans_of([STORM], seed=1, rounds=30) for name in each.names}
    assert names == set(FAULTS) - {"server-clock", "server-clock-hour"}


class _NoSite:
    """A site on which nothing runs."""


def _stages(*outcomes: bool) -> list[Stage]:
    return [Stage(cast(Site, _NoSite()), random.Random(1), has_happened=each)
            for each in outcomes]  # fmt: skip


def _round(count: int, **options: float) -> Round:
    faults = [(name, FAULTS[name]) for name in list(FAULTS)[:count]]
    return Round(cast(Site, _NoSite()), faults, 1, **options)  # type: ignore[arg-type]


def test_a_round_without_one_of_its_faults_is_void() -> None:
    figures = {"per_s": 500.0}
    assert _round(2)._why_void(_stages(True, True), figures) == ""
    assert "did not happen" in _round(2)._why_void(_stages(True, False), figures)


def test_a_storm_without_more_than_a_quarter_of_its_faults_is_void() -> None:
    figures = {"per_s": 500.0}
    storm = _round(4, least_share=0.75)
    assert storm._why_void(_stages(True, True, True, False), figures) == ""
    assert storm._why_void(_stages(True, True, False, False), figures)
    assert storm._why_void(_stages(True, True, True, True), {"per_s": 99.0})


def test_a_fault_that_did_not_happen_does_not_count() -> None:
    storm = _round(3, least_share=0.5)
    named = storm._named(_stages(True, False, True), has_happened=True)
    assert named == list(FAULTS)[:3:2]

"""Slow clients are closed in time, and what is honest goes on; gunicorn is real."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from occupancy import deadlines
from occupancy.errors import InvalidRequest
from occupancy.model import Person, Role
from tests.conftest import require_binary
from tests.deployment import ROOT, Deployment
from tests.servers import RealServer

ITEMS = 10_000  # a snapshot of them is more than the kernel takes in for a reader that stands still


@pytest.fixture
def running(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    made = Deployment(tmp_path / "state", own_server.url, OCCUPANCY_REDIS_TIMEOUT_S="10")
    made.start()
    made.sign_in("admin", Role.ADMIN)
    item = {"title": f'"{"x" * 200}"', "attributes": '{"a":"%s"}' % ("y" * 300)}
    rows = ((f"S-{number:05d}", item) for number in range(ITEMS))
    for outcome in made.services().store.put_many("main", rows, actor=Person("x", "X")):
        assert outcome.is_done, outcome
    yield made
    made.stop()


class Slow:
    """A connection that has begun to ask for something; closed at the end of the block."""

    def __init__(self, running: Deployment, begin: str, *, receive_bytes: int = 0) -> None:
        self.connection = socket.socket()
        if receive_bytes:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.connection.connect(("127.0.0.1", running.port))
        self.connection.sendall(begin.encode())

    def a_byte_a_second(self) -> bytes:
        """What the server says before it closes."""
        answer = b""
        with self.connection as connection:
            connection.settimeout(1)
            for _ in range(60):
                try:
                    connection.sendall(b"x")
                    piece = connection.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return answer
                if not piece:
                    return answer
                answer += piece
        raise AssertionError("still open after a minute")

    def taking_nothing(self) -> bytes:
        """What has arrived of the answer when the deadline is over, and that it is no more."""
        gevent.sleep(deadlines.WRITE_S + 5)
        received = []
        with self.connection as connection:
            connection.settimeout(5)  # a TimeoutError: it is still open
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(1 << 20):
                    received.append(piece)
        return b"".join(received)


def test_slow_clients_are_closed_by_their_deadline_and_others_go_on(running: Deployment) -> None:
    """All at once, because the deadlines are long. No timing is asserted but that they end."""
    who = f"Host: x\r\nAuthorization: {running.headers['Authorization']}\r\n"
    put = f"PUT /api/boards/main/items/S-1 HTTP/1.1\r\n{who}"
    chunked = f"{put}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"
    senders = {
        "head": "GET /livez HTTP/1.1\r\nX: ",
        "body": f"{put}Content-Length: 60000\r\n\r\n",
        "chunked": chunked,
        "unread body": f"GET /livez HTTP/1.1\r\n{who}Content-Length: 60000\r\n\r\n",
    }
    slow = {
        name: gevent.spawn(Slow(running, begin).a_byte_a_second) for name, begin in senders.items()
    }
    whole = f"GET /api/boards/main/items HTTP/1.1\r\n{who}\r\n"
    slow["answer"] = gevent.spawn(Slow(running, whole, receive_bytes=4096).taking_nothing)
    while not all(each.ready() for each in slow.values()):
        assert running.status_of("/api/boards") == 200
        gevent.sleep(0.5)
    told = {name: each.get() for name, each in slow.items()}
    assert told["head"] == b""
    for name in ("body", "chunked"):
        assert told[name].startswith(b"HTTP/1.1 400 "), told[name]
        problem = json.loads(told[name].partition(b"\r\n\r\n")[2])
        assert problem["code"] == "invalid_request"
    assert told["unread body"].startswith(b"HTTP/1.1 200 ")
    assert 0 < len(told["answer"]) < ITEMS * 500
    assert "Traceback" not in running.log


def test_a_body_in_time_is_read_and_another_timeout_passes_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "BODY_S", 0.01)
    with deadlines.body_deadline():
        pass
    with pytest.raises(InvalidRequest, match="did not arrive"), deadlines.body_deadline():
        gevent.sleep(5)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.005), deadlines.body_deadline():
        gevent.sleep(5)


def test_a_large_answer_to_a_reader_that_pauses_arrives_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "WRITE_S", 1.0)
    ours, theirs = gevent.socket.socketpair()
    sender = deadlines.DeadlineSocket(ours.family, ours.type, ours.proto, fileno=ours.detach())
    data = b"0123456789abcdef" * (1 << 16)
    sending = gevent.spawn(sender.sendall, data)
    received = b""
    while len(received) < len(data):
        received += theirs.recv(1 << 16)
        gevent.sleep(0.02)  # slower than the sender, and within the time for each piece
    sending.get()
    assert received == data
    with pytest.raises(ConnectionResetError):
        sender.sendall(data)  # and now nobody reads
    assert sender.gettimeout() is None
    sender.close()
    theirs.close()


def test_the_short_benchmark_of_slow_clients_succeeds() -> None:
    require_binary("valkey")
    done = subprocess.run(
        [sys.executable, "-m", "bench.slow", "--short"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "x of alone" in done.stdout

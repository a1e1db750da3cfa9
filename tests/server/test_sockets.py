"""Slow clients are closed in time, and what is honest goes on; gunicorn is real."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest

from occupancy.core.entities import Person, Role
from occupancy.core.errors import InvalidRequest
from occupancy.server import sockets, waiting_clients
from occupancy.server.sockets import BoundedSocket
from occupancy.web import io
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.tls import TLSDeployment
from tests.support.waiting import wait_until

ITEMS = 10_000  # a snapshot of them is more than the kernel takes in for a reader that stands still
ACTOR = Person("x", "X")
PLACES = 64

# In a process of its own: only a sender that never pauses keeps a server that reads from switching.
FLOOD = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    head = "POST /api/boards/main/batch HTTP/1.1", "Host: x", "Content-Length: 99999999999", "", ""
    connection.sendall("\\r\\n".join(head).encode())
    for _ in range(2000):
        connection.sendall(b"x" * 1_000_000)
"""


@pytest.fixture
def running(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    made = Deployment(tmp_path / "state", own_server.url, OCCUPANCY_REDIS_TIMEOUT_S="10")
    made.start()
    made.sign_in("admin", Role.ADMIN)
    fill(made, ITEMS)
    yield made
    made.stop()


@pytest.fixture
def small(tmp_path: Path, own_server: RealServer) -> Iterator[Deployment]:
    """One worker process, with few places for connections."""
    arguments = ("--workers", "1", "--worker-connections", str(PLACES))
    made = Deployment(tmp_path / "state", own_server.url, *arguments).start()
    yield made
    made.stop()


def fill(running: Deployment, items: int, text: str = "y") -> None:
    """Add that many items to ``main``, or change them: an event each."""
    item = {"title": f'"{"x" * 200}"', "attributes": '{"a":"%s"}' % (text * 300)}
    rows = ((f"S-{number:05d}", item) for number in range(items))
    for outcome in running.services().store.commands.put_many("main", rows, actor=ACTOR):
        assert outcome.is_done, outcome


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
        return sent_slowly(self.connection)

    def then(self, more: str) -> bytes:
        """Wait for an answer, send ``more``, and return all that the server says."""
        with self.connection as connection:
            connection.settimeout(60)
            answer = connection.recv(65536)
            with contextlib.suppress(OSError):
                connection.sendall(more.encode())
                while piece := connection.recv(65536):
                    answer += piece
            return answer

    def taking_nothing(self) -> int:
        """How many bytes have arrived when the deadline is over, after which no more may."""
        gevent.sleep(sockets.WRITE_S + 5)
        received = 0
        with self.connection as connection:
            connection.settimeout(5)  # a TimeoutError: it is still open
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(1 << 20):
                    received += len(piece)
        return received


def sent_slowly(connection: socket.socket) -> bytes:
    """Send a byte a second until the server closes; what it has said."""
    answer = b""
    with connection:
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


def test_slow_clients_are_closed_by_their_deadline_and_others_go_on(running: Deployment) -> None:
    """All at once, because the deadlines are long. No timing is asserted but that they end."""
    who = f"Host: x\r\nAuthorization: {running.headers['Authorization']}\r\n"
    put = f"PUT /api/boards/main/items/S-1 HTTP/1.1\r\n{who}"
    chunked = f"{put}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"
    senders = {
        "nothing": "",
        "head": "GET /livez HTTP/1.1\r\nX: ",
        "body": f"{put}Content-Length: 60000\r\n\r\n",
        "chunked": chunked,
        "continue": f"{put}Content-Length: 60000\r\nExpect: 100-continue\r\n\r\n",
        "unread body": f"GET /livez HTTP/1.1\r\n{who}Content-Length: 60000\r\n\r\n",
    }
    slow: dict[str, gevent.Greenlet] = {
        name: gevent.spawn(Slow(running, begin).a_byte_a_second) for name, begin in senders.items()
    }
    smuggled = "x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    slow["smuggled"] = gevent.spawn(Slow(running, chunked + "x").then, smuggled)
    for path in ("items", "events"):
        whole = f"GET /api/boards/main/{path} HTTP/1.1\r\n{who}\r\n"
        slow[path] = gevent.spawn(Slow(running, whole, receive_bytes=4096).taking_nothing)
    wait_until(lambda: open_streams(running) == 1, what="the stream that nobody reads")
    fill(running, 2000, "z")  # too much for it, so that it stalls
    while not all(each.ready() for each in slow.values()):
        assert running.status_of("/api/boards") == 200
        gevent.sleep(0.5)
    told = {name: each.get() for name, each in slow.items()}
    assert told["nothing"] == told["head"] == b""
    for name in ("body", "chunked", "smuggled"):
        assert told[name].startswith(b"HTTP/1.1 400 "), told[name]
        problem = json.loads(told[name].partition(b"\r\n\r\n")[2])
        assert problem["code"] == "invalid_request"
        assert "did not arrive" in problem["detail"]
    assert told["continue"].startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 ")
    assert told["unread body"].startswith(b"HTTP/1.1 200 ")
    assert 0 < told["items"] < ITEMS * 500
    assert 0 < told["events"] < 2000 * 500
    assert open_streams(running) == 0
    assert "Traceback" not in running.log


def open_streams(running: Deployment) -> int:
    stats = running.request("GET", "/api/redis-connection-stats").json()
    return sum(each["streams"]["open"] for each in stats["workers"])


def test_a_client_that_sends_without_end_is_closed_and_others_have_their_turn(
    small: Deployment,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD, str(small.port)], stderr=subprocess.PIPE, text=True
    ) as flood:
        try:
            while flood.poll() is None:
                assert small.status_of("/livez") == 200
        finally:
            flood.kill()
        assert flood.stderr is not None
        said = flood.stderr.read()
    assert "ConnectionResetError" in said or "BrokenPipeError" in said
    assert "Traceback" not in small.log


def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on(small: Deployment) -> None:
    small.sign_in("admin", Role.ADMIN)
    for _ in range(2):
        answer = small.request("POST", "/api/boards/main/batch", data=b"x" * 1_000_000)
        assert answer.json()["code"] == "too_large"


def test_silent_connections_do_not_take_all_places(small: Deployment) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(6 * PLACES):
            stack.enter_context(Slow(small, "").connection)
        # Without room made for it, it would wait for five deadlines behind all of them.
        assert small.status_of("/livez") == 200
    assert "Traceback" not in small.log


def test_a_tls_handshake_has_a_deadline_too(tmp_path: Path, own_server: RealServer) -> None:
    running = TLSDeployment(tmp_path, own_server.url)
    running.start(until="/livez")
    try:
        assert Slow(running, "").a_byte_a_second() == b""
        slow = running.connect()
        slow.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        assert sent_slowly(slow) == b""
        assert running.status_of("/livez") == 200
        assert "Traceback" not in running.log
    finally:
        running.stop()


def test_a_body_in_time_is_read_and_another_timeout_passes_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(io, "BODY_S", 0.01)
    with io.body_deadline():
        pass
    with pytest.raises(InvalidRequest, match="did not arrive"), io.body_deadline():
        gevent.sleep(5)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.005), io.body_deadline():
        gevent.sleep(5)


class Pair:
    """A bounded connection as gunicorn has it, and the client's end."""

    def __init__(self) -> None:
        ours, self.client = gevent.socket.socketpair()
        ours = ours.detach()
        self.server = BoundedSocket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=ours)
        self.server.setblocking(True)

    def close(self) -> None:
        self.server.close()
        self.client.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [Pair() for _ in range(3)]
    yield made
    for pair in made:
        pair.close()


LARGE = b"0123456789abcdef" * (1 << 16)


def outcome(greenlet: Any) -> Any:
    """How a greenlet has ended so far."""
    return greenlet.exception if greenlet.ready() else "waits"


def test_a_large_answer_to_a_reader_that_pauses_arrives_whole(
    monkeypatch: pytest.MonkeyPatch, pairs: list[Pair]
) -> None:
    monkeypatch.setattr(sockets, "WRITE_S", 1.0)
    pair = pairs[0]
    pair.server.setblocking(True)
    sending = gevent.spawn(pair.server.sendall, LARGE)
    received = b""
    while len(received) < len(LARGE):
        received += pair.client.recv(1 << 16)
        gevent.sleep(0.02)  # slower than the sender, and within the time for each piece
    sending.get()
    assert received == LARGE
    with pytest.raises(ConnectionResetError):
        pair.server.sendall(LARGE)  # and now nobody reads


def large() -> bytes:
    """Bytes of its own, as the answers of a board that changes are."""
    return bytes(bytearray(LARGE))


def test_when_large_answers_fill_memory_stalled_readers_are_closed(
    monkeypatch: pytest.MonkeyPatch, pairs: list[Pair]
) -> None:
    monkeypatch.setattr(waiting_clients, "UNTAKEN_BYTES", len(LARGE) * 5 // 2)
    idle, reads, late = pairs
    first = gevent.spawn(idle.server.sendall, large())
    second = gevent.spawn(reads.server.sendall, large())
    gevent.sleep(0.01)
    taken = len(reads.client.recv(1 << 17))
    gevent.sleep(0.01)
    assert [outcome(first), outcome(second)] == ["waits", "waits"]
    third = gevent.spawn(late.server.sendall, large())
    wait_until(first.ready, what="the one that takes nothing to be closed")
    assert isinstance(outcome(first), ConnectionResetError)
    assert [outcome(second), outcome(third)] == ["waits", "waits"]
    while taken < len(LARGE):
        taken += len(reads.client.recv(1 << 17))
    second.get()
    late.client.close()
    wait_until(third.ready, what="the last")


def test_readers_of_the_same_answer_are_not_closed_for_memory(
    monkeypatch: pytest.MonkeyPatch, pairs: list[Pair]
) -> None:
    monkeypatch.setattr(waiting_clients, "UNTAKEN_BYTES", len(LARGE))
    sending = [gevent.spawn(pair.server.sendall, LARGE) for pair in pairs]
    taken = [0] * len(pairs)
    while min(taken) < len(LARGE):
        for number, pair in enumerate(pairs):
            taken[number] += len(pair.client.recv(1 << 17)) if taken[number] < len(LARGE) else 0
    for each in sending:
        each.get()


def test_when_large_answers_fill_memory_slow_readers_are_closed(
    monkeypatch: pytest.MonkeyPatch, pairs: list[Pair]
) -> None:
    monkeypatch.setattr(waiting_clients, "UNTAKEN_BYTES", len(LARGE) * 5 // 2)
    drips, reads, late = pairs
    first = gevent.spawn(drips.server.sendall, large())
    second = gevent.spawn(reads.server.sendall, large())
    taken = 0
    for _ in range(3):
        drips.client.recv(1 << 16)
        for _ in range(2):
            taken += len(reads.client.recv(1 << 17))
        gevent.sleep(0.01)
    assert [outcome(first), outcome(second)] == ["waits", "waits"]
    third = gevent.spawn(late.server.sendall, large())
    wait_until(first.ready, what="the slowest to be closed")
    assert isinstance(outcome(first), ConnectionResetError)
    assert [outcome(second), outcome(third)] == ["waits", "waits"]
    third.kill()
    second.kill()
    assert (BoundedSocket.waiting._untaken_bytes, first.ready()) == (0, True)


READERS = 90


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_many_slow_readers_of_a_large_board_that_changes_keep_bounded_memory(
    tmp_path: Path, own_server: RealServer
) -> None:
    running = Deployment(
        tmp_path / "state", own_server.url, WEB_CONCURRENCY="1", OCCUPANCY_REDIS_TIMEOUT_S="10"
    ).start()
    try:
        running.sign_in("admin", Role.ADMIN)
        fill(running, ITEMS)
        size = len(running.request("GET", "/api/boards/main/items").content)
        [pid] = running.worker_pids()
        before = resident_bytes(pid)
        who = f"Host: x\r\nAuthorization: {running.headers['Authorization']}\r\n"
        ask = f"GET /api/boards/main/items HTTP/1.1\r\n{who}\r\n"
        most = 0
        with contextlib.ExitStack() as stack:
            slow: list[socket.socket] = []
            for _ in range(READERS):
                fill(running, 1, secrets.choice("abc"))  # so that each is sent bytes of its own
                reader = stack.enter_context(Slow(running, ask, receive_bytes=4096).connection)
                reader.settimeout(30)
                slow.append(reader)
                for each in slow:
                    with contextlib.suppress(OSError):
                        each.recv(2048)  # every one takes a little
                most = max(most, resident_bytes(pid) - before)
            assert running.status_of("/livez") == 200
        assert READERS * size > 400 << 20, "enough to tell"
        assert most < 300 << 20
        assert "Traceback" not in running.log
    finally:
        running.stop()


def test_the_connection_that_has_waited_longest_for_its_request_is_closed_to_make_room(
    pairs: list[Pair],
) -> None:
    dripping, served, silent = pairs
    dripping.client.sendall(b"G")
    assert dripping.server.recv(100) == b"G"
    served.client.sendall(b"GET")
    assert served.server.recv(100) == b"GET"  # and its greenlet is busy with that
    reading = [gevent.spawn(each.server.recv, 100) for each in (silent, dripping)]
    gevent.sleep(0.01)
    BoundedSocket.waiting.make_room()
    wait_until(reading[1].ready, what="one to be closed")
    assert outcome(reading[0]) == "waits"  # began later
    assert isinstance(outcome(reading[1]), ConnectionResetError)
    BoundedSocket.waiting.make_room()
    wait_until(reading[0].ready, what="the other to be closed")
    assert isinstance(outcome(reading[0]), ConnectionResetError)
    BoundedSocket.waiting.make_room()  # nobody is left who could go
    served.server.sendall(b"answer")
    assert served.client.recv(100) == b"answer"

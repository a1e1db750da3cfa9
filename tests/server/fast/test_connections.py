"""Connections that go to and fro between the fast path and gunicorn, and how they end."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from tests.support.both_paths import BothPaths
from tests.support.raw_http import Answer, Wire, request
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

JSON = "Content-Type: application/json"
PAGE = request("GET /livez")
CLIENTS = 8


@pytest.fixture(scope="module", params=["1", "0"], ids=["fast path", "no fast path"])
def paths(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    module_server: RealServer,
) -> Iterator[BothPaths]:
    state_dir = tmp_path_factory.mktemp("state")
    made = BothPaths(state_dir, module_server.url, OCCUPANCY_FAST_PATH=request.param)
    yield made
    made.stop()
    assert "Traceback" not in made.deployment.log


@pytest.fixture
def started(tmp_path: Path, module_server: RealServer) -> Iterator[Callable[..., BothPaths]]:
    """A deployment of the test's own, with these arguments of gunicorn's."""
    made: list[BothPaths] = []

    def start(*arguments: str, **environ: str) -> BothPaths:
        made.append(BothPaths(tmp_path / "state", module_server.url, *arguments, **environ))
        return made[-1]

    yield start
    for each in made:
        each.stop()


def test_one_connection_goes_to_and_fro_between_the_paths(paths: BothPaths) -> None:
    shown = paths.shows["holder"]
    with Wire(paths.deployment.port) as wire:
        for _ in range(3):
            tags = [paths.item() for _ in range(5)]
            path = f"/api/boards/main/items/{tags[0]}"
            batch = b'{"operation":"take","tags":["%b"]}' % tags[1].encode()
            chunked = request(f"POST {path}/release", shown, JSON, "Transfer-Encoding: chunked")
            assert wire.ask(PAGE).json["status"] == "alive"
            assert wire.ask(paths.take(tags[0])).json["item"]["tag"] == tags[0]
            assert wire.ask(request("GET /sign-in")).body.startswith(b"<!doctype html>")
            assert wire.ask(paths.take(tags[0])).code == "unchanged"
            done = wire.ask(request("POST /api/boards/main/batch", shown, JSON, body=batch))
            assert done.json["results"][0]["tag"] == tags[1]
            assert wire.ask(paths.take(tags[1])).code == "unchanged"
            assert wire.ask(chunked + b"2\r\n{}\r\n0\r\n\r\n").code == "changed"
            assert wire.ask(paths.take(tags[2], JSON, body=b"{}")).code == "changed"
            items = wire.ask(request("GET /api/boards/main/items", shown))
            assert {each["tag"] for each in items.json["items"]} >= set(tags)
            known = f"If-None-Match: {items.get('ETag')}"
            assert wire.ask(request("GET /api/boards/main/items", shown, known)).status == 304
            assert wire.ask(request("GET /nowhere")).status == 404
            assert wire.ask(paths.take(tags[3], "TE: trailers")).code == "changed"
            assert wire.ask(paths.take(tags[4])).code == "changed"
        wire.end()
        assert wire.answers() == []


@pytest.mark.parametrize(
    ("accepted", "takes_gzip"),
    [("identity", False), ("gzip;q=0, *;q=0.1", False), ("br, gzip;q=0.5", True), ("gzip", True)],
)
def test_a_stream_begins_alike(paths: BothPaths, accepted: str, takes_gzip: bool) -> None:
    """Plain and not, first on its connection and after another request; compressed or not.

    Only the fast path compresses a stream, and always does for who takes it.
    """
    is_compressing = paths.deployment.environ["OCCUPANCY_FAST_PATH"] == "1"
    sent = (paths.shows["observer"], f"Accept-Encoding: {accepted}", "X: y")
    plain = request("GET /api/boards/main/events?after=0-0", *sent)
    heads = set()
    for data in (plain, plain.replace(b"X: y", b"TE: trailers")):
        is_gzip = takes_gzip and is_compressing and data is plain
        for before in ((), (PAGE,), (paths.take(paths.item("held")),)):
            with Wire(paths.deployment.port) as wire:
                for each in before:
                    assert wire.ask(each).status == 200
                wire.send(data)
                head = wire.lines()
            assert head[0] == "HTTP/1.1 200 OK"
            codings = [each for each in head if each.startswith("Content-Encoding: ")]
            assert codings == (["Content-Encoding: gzip"] if is_gzip else [])
            differ = ("Date: ", "Content-Encoding: ")
            heads.add(tuple(sorted(each for each in head if not each.startswith(differ))))
    assert len(heads) == 1


def test_a_stream_is_the_last_thing_on_its_connection(paths: BothPaths) -> None:
    tag, hidden = paths.item(), paths.item()
    stream = request("GET /api/boards/main/events", paths.shows["holder"])
    before = paths.operations()
    for pieces in ((stream, paths.take(hidden)), (stream + paths.take(hidden),)):
        with Wire(paths.deployment.port) as wire:
            assert wire.ask(PAGE).status == 200
            assert wire.ask(paths.take(tag)).status == 200
            wire.send_apart(*pieces)
            received = wire.until(b"event: ready")
            assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        for _ in range(2):
            assert paths.answers(PAGE)[0].status == 200
        assert received.count(b"HTTP/1.1") == 1
    assert not paths.is_taken(hidden)
    assert paths.operations() - before == 2


def test_callers_that_connect_together_are_each_accepted_or_refused(paths: BothPaths) -> None:
    """Nobody of them is known to the process; the board is followed."""
    made = [paths.services.tokens.create("observer") for _ in range(40)]
    shown = [f"Authorization: Bearer {token}" for token, _ in made]
    refused = [paths.shows["unknown"], paths.shows["revoked"], paths.shows["on north"]]
    path = "GET /api/boards/main/events"
    with contextlib.ExitStack() as held:

        def stream(shows: str) -> Wire:
            wire = held.enter_context(Wire(paths.deployment.port))
            wire.send(request(path, shows))
            return wire

        first = stream(paths.shows["holder"])
        first.until(b"event: ready")
        followers = [stream(each) for each in shown]
        outsiders = [stream(each) for each in refused]
        for each in followers:
            assert each.until(b"event: ready").startswith(b"HTTP/1.1 200 OK\r\n")
        assert [each.answer().status for each in outsiders] == [401, 401, 403]
        tag = paths.item()
        for each in (first, *followers):
            each.until(tag.encode())
        revoked, *others = followers
        paths.services.tokens.revoke(made[0][1].id)
        revoked.until(b"event: bye")
        paths.item()
        for each in (first, *others):
            assert b"event: bye" not in each.until(b"event: item")


# One after the other


class Script:
    """Requests of all kinds, each with the answer that only it can have."""

    def __init__(self, paths: BothPaths, seed: int) -> None:
        chance = random.Random(seed)
        self.tags = [paths.item() for _ in range(12)]
        self.data, self.operations = b"", 0
        self.expected: list[tuple[str, str]] = []
        shown = paths.shows["holder"]
        for tag in self.tags:
            inner = paths.take(tag)
            path = f"/api/boards/main/items/{tag}"
            kinds = [
                (paths.take(tag), "changed", 1),
                (paths.take(tag, JSON, body=b"{}"), "changed", 1),
                (paths.take(tag, "TE: trailers"), "changed", 1),
                (paths.take(tag, JSON, body=inner), "invalid_request", 0),
                (request(f"POST {path}/nothing", shown, JSON, body=inner), "not_found", 0),
                (request(f"GET {path}", shown, body=inner), tag, 0),
                (request(f"GET {path}", shown), tag, 0),
                (request(f"GET {path}", "If-None-Match: x", shown, "Content-Length: 0"), tag, 0),
                (request(f"GET /livez?{tag}", body=inner), "", 0),
                (request(f"POST {path}/take", body=inner), "unauthenticated", 0),
            ]
            data, expected, operations = chance.choice(kinds)
            self.data += data
            self.expected.append((tag if expected in ("changed", tag) else "", expected))
            self.operations += operations
        cuts = sorted(chance.sample(range(1, len(self.data)), chance.choice([0, 1, 8])))
        self.pieces = [
            self.data[a:b] for a, b in zip([0, *cuts], [*cuts, len(self.data)], strict=True)
        ]


@pytest.mark.parametrize("seed", range(30))
def test_requests_in_any_packets_are_answered_once_and_in_their_order(
    paths: BothPaths, seed: int
) -> None:
    script = Script(paths, seed)
    before = paths.operations()
    found = []
    for answer in paths.answers(*script.pieces):
        item = answer.json.get("item", {}) if answer.status == 200 else {}
        tag = item.get("tag", "")
        found.append((tag, answer.code or tag))
    assert found == script.expected
    assert paths.operations() - before == script.operations
    taken = [tag for tag in script.tags if paths.is_taken(tag)]
    assert taken == [tag for tag, kind in script.expected if kind == "changed"]


# Clients that stand still


def test_an_idle_connection_is_closed_without_a_response(
    started: Callable[..., BothPaths],
) -> None:
    paths = started("--keep-alive", "2")
    held, tag = paths.item("held"), paths.item()
    begun = {"nothing": [], "operation": [paths.take(held)], "page": [PAGE],
             "operation after a page": [PAGE, paths.take(held)],
             "half a head": [paths.take(tag)[:40]]}  # fmt: skip
    with contextlib.ExitStack() as stack:
        reading = {}
        for name, pieces in begun.items():
            wire = stack.enter_context(Wire(paths.deployment.port))
            wire.send_apart(*pieces)
            reading[name] = gevent.spawn(wire.answers)
        for name, pieces in begun.items():
            statuses = [each.status for each in reading[name].get(timeout=15)]
            assert statuses == [200] * sum(each.endswith(b"\r\n\r\n") for each in pieces), name
    assert not paths.is_taken(tag)


def test_a_client_that_never_reads_holds_up_nobody_and_loses_nothing(paths: BothPaths) -> None:
    tag = paths.item("held")
    requests = 600  # whose answers are more than the kernel takes in for it
    before = paths.operations()
    with Wire(paths.deployment.port, receive_bytes=4096) as wire:
        sending = gevent.spawn(wire.send, paths.take(tag) * requests)
        with Wire(paths.deployment.port) as other:
            for _ in range(20):
                assert other.ask(PAGE).status == 200
                assert other.ask(paths.take(tag)).code == "unchanged"
        sending.get(timeout=20)
        wire.end()
        answers = wire.answers()
    assert [each.code for each in answers] == ["unchanged"] * requests
    assert paths.operations() - before == requests + 20


def test_a_client_that_is_gone_before_its_answer_harms_nobody(paths: BothPaths) -> None:
    for number in range(20):
        wire = Wire(paths.deployment.port)
        wire.send(paths.take(paths.item()) * (number % 3 + 1))
        linger = b"\1\0\0\0\0\0\0\0" if number % 2 else b"\0" * 8
        wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        wire.close()
    assert [each.status for each in paths.answers(PAGE)] == [200]


# Worker processes that end


class Client:
    """Takes an item and releases it without end, over one connection as long as that lives."""

    def __init__(self, paths: BothPaths) -> None:
        self.paths = paths
        self.tag = paths.item()
        self.request = paths.take(self.tag)
        self.versions: list[int] = []  # that were answered
        self.is_done = False
        self.is_refused = False
        self.last: Answer | None = None  # on the present connection
        self.greenlet = gevent.spawn(self._run)

    def operations(self) -> int:
        return len(self.versions)

    def _run(self) -> None:
        while not self.is_done and not self.is_refused:
            self.last = None
            try:
                with Wire(self.paths.deployment.port) as wire:
                    self._ask(wire)
            except ConnectionError:
                # A server that ends resets what it has not accepted yet; nothing else.
                if self.last is not None:
                    raise
                self.is_refused = True

    def _ask(self, wire: Wire) -> None:
        while not self.is_done and (self.last is None or self._is_kept(self.last)):
            operation = "release" if self.operations() % 2 else "take"
            self.last = wire.ask(self.request.replace(b"/take ", f"/{operation} ".encode()))
            assert self.last.code == "changed", self.last
            self.versions.append(self.last.json["item"]["version"])

    def _is_kept(self, answer: Answer) -> bool:
        return answer.get("Connection") != "close"


@pytest.fixture
def busy() -> Iterator[Callable[[BothPaths], list[Client]]]:
    """Clients on many connections, each of which has had some answers."""
    made: list[Client] = []

    def start(paths: BothPaths) -> list[Client]:
        made.extend(Client(paths) for _ in range(CLIENTS))
        wait_until(lambda: all(each.operations() > 5 for each in made), what="operations")
        return made

    yield start
    for each in made:
        each.greenlet.kill()


def assert_nothing_is_lost(paths: BothPaths, clients: list[Client]) -> None:
    """Each version of an item but the first, which was added, was answered, and in its order."""
    for each in clients:
        assert each.versions == list(range(2, each.operations() + 2))
        assert f'"version":{each.operations() + 1},'.encode() in paths.store.queries.item(
            "main", each.tag
        )


def test_a_reload_loses_no_operation_and_no_answer(
    started: Callable[..., BothPaths], busy: Callable[[BothPaths], list[Client]]
) -> None:
    paths = started(WEB_CONCURRENCY="2")
    clients = busy(paths)
    old = paths.deployment.worker_pids()
    paths.deployment.signal(signal.SIGHUP)
    wait_until(
        lambda: not old & paths.deployment.worker_pids(), timeout_s=30, what="the old workers' end"
    )
    counts = {each: each.operations() for each in clients}
    wait_until(
        lambda: all(each.operations() > counts[each] + 5 for each in clients if each.greenlet),
        what="operations of the new worker processes",
    )
    assert not any(each.is_refused for each in clients)
    for each in clients:
        each.is_done = True
    gevent.joinall([each.greenlet for each in clients], raise_error=True)
    assert_nothing_is_lost(paths, clients)


def test_a_request_that_arrives_slowly_during_a_reload_is_answered(
    started: Callable[..., BothPaths],
) -> None:
    paths = started(WEB_CONCURRENCY="1")
    old = paths.deployment.worker_pids()
    with Wire(paths.deployment.port) as wire:
        assert wire.ask(PAGE).status == 200  # accepted by the old process
        wire.send(PAGE[:-2])
        paths.deployment.signal(signal.SIGHUP)
        wait_until(lambda: paths.deployment.worker_pids() - old, what="the new process")
        wire.send(b"X: ")
        for _ in range(20):  # longer than gunicorn takes to close the listener, a second
            wire.send(b"x")
            gevent.sleep(0.1)
        assert wire.ask(b"\r\n\r\n").status == 200


def test_a_stop_loses_no_operation_and_no_answer(
    started: Callable[..., BothPaths], busy: Callable[[BothPaths], list[Client]]
) -> None:
    paths = started()
    clients = busy(paths)
    paths.deployment.signal(signal.SIGTERM)
    gevent.joinall([each.greenlet for each in clients], raise_error=True)
    assert all(each.is_refused for each in clients)
    assert_nothing_is_lost(paths, clients)


def test_max_requests_counts_operations(started: Callable[..., BothPaths]) -> None:
    most = 300
    paths = started("--max-requests", str(most))
    old = paths.deployment.worker_pids()
    tag = paths.item("held")
    answers: list[Answer] = []
    with Wire(paths.deployment.port) as wire:
        while not answers or answers[-1].get("Connection") != "close":
            answers.append(wire.ask(paths.take(tag)))
            assert answers[-1].code == "unchanged"
            assert len(answers) <= most + 2  # the one that is too many, and one in between
        assert wire.answers() == []
    assert len(answers) > most // 2  # it was asked for other things before
    wait_until(lambda: not old & paths.deployment.worker_pids(), what="another worker process")
    assert paths.answers(paths.take(tag))[0].code == "unchanged"


def test_with_an_access_log_each_operation_has_its_line(started: Callable[..., BothPaths]) -> None:
    paths = started("--access-logfile", "-")
    tags = [paths.item() for _ in range(3)]
    with Wire(paths.deployment.port) as wire:
        for tag in tags:
            assert wire.ask(paths.take(tag)).code == "changed"
    for tag in tags:
        line = f'"POST /api/boards/main/items/{tag}/take HTTP/1.1" 200'
        wait_until(lambda line=line: line in paths.deployment.log, what=line)  # type: ignore[misc] # bound now


def test_without_keep_alive_each_connection_is_for_one_request(
    started: Callable[..., BothPaths],
) -> None:
    paths = started("--keep-alive", "0")
    tag = paths.item("held")
    for data in (PAGE, paths.take(tag)):
        with Wire(paths.deployment.port) as early, Wire(paths.deployment.port) as wire:
            assert early.ask(PAGE).status == 200  # by now the other has been accepted
            answer = wire.ask(data)
            assert (answer.status, answer.get("Connection")) == (200, "close")
            assert wire.answers() == []

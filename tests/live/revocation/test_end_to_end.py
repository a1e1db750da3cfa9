"""Revocation, as a real deployment of two worker processes carries it out.

Who may not watch any more is told to go within five seconds, on every process; whoever is not
concerned sees nothing of it. Each credential of a worker has streams on both processes.
"""

from __future__ import annotations

import copy
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import msgspec
import pytest
import requests

from occupancy.access.pins import hash_pin
from occupancy.access.sessions import Session, Sessions
from occupancy.access.tokens import Token
from occupancy.core.entities import Role
from occupancy.core.keys import Keys
from occupancy.core.principal import Credential, digest_of
from occupancy.services import Services
from tests.support.deployment import Deployment
from tests.support.elsewhere import tokens_elsewhere, workers_elsewhere
from tests.support.servers import RealServer
from tests.support.shop import change
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

PROMISED_S = 5.0
STREAMS = 4  # of each credential
PIN = "417293"

pytestmark = pytest.mark.usefixtures("closes_streams")


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Deployment]:
    state_dir = tmp_path_factory.mktemp("state")
    running = Deployment(state_dir, module_server.url, WEB_CONCURRENCY="2").start()
    running.sign_in("bystander", Role.WORKER)
    yield running
    running.stop()


class Way:
    """One way in: a credential's headers, and the streams that were opened with it."""

    def __init__(self, deployment: Deployment, headers: dict[str, str], csrf: str = "") -> None:
        self.headers = headers
        self.csrf = {"X-CSRF-Token": csrf}
        self.streams: list[EventStream] = []
        self.deployment = deployment

    def watch(self, board: str) -> None:
        self.streams += [self.open(board) for _ in range(STREAMS)]
        for stream in self.streams:
            stream.wait_for("ready")

    def open(self, board: str) -> EventStream:
        """One more stream, which counts as none of the way's."""
        return self.opened(f"/api/boards/{board}/events", self.headers).read()

    def opened(self, path: str, headers: dict[str, str], **options: Any) -> EventStream:
        return self.deployment.keep(EventStream(self.deployment.url + path, headers, **options))

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {**self.headers, **self.csrf}
        return requests.request(
            method,
            self.deployment.url + path,
            headers=headers,
            timeout=10,
            allow_redirects=False,
            **options,
        )

    def is_refused(self) -> bool:
        """Whether requests are 401, whichever process answers."""
        return all(self.send("GET", "/api/session").status_code == 401 for _ in range(4))

    def have_ended(self) -> bool:
        return all(each.has_ended for each in self.streams)


class TicketWay(Way):
    """Streams opened by single-use tickets of another way in."""

    def __init__(self, deployment: Deployment, origin: Way) -> None:
        super().__init__(deployment, {})
        self._origin = origin

    def open(self, board: str) -> EventStream:
        ticket = self._origin.send("POST", "/api/tickets").json()["ticket"]
        return self.opened(f"/api/boards/{board}/events?ticket={ticket}", {}).read()


class Worker:
    """A worker with every way in, and streams of each on both processes."""

    def __init__(self, deployment: Deployment, shop: Services, board: str) -> None:
        self.id = f"w-{secrets.token_hex(4)}"
        self.deployment, self.shop, self.board = deployment, shop, board
        shop.workers.add(self.id, name="Worker", role=Role.WORKER, pin_hash=hash_pin(PIN))
        secret, self.token = shop.tokens.create(self.id)
        other_secret, _ = shop.tokens.create(self.id)
        session = self._signed_in({"worker": self.id, "pin": PIN})
        self.ways = {
            "token": by_token(deployment, secret),
            "other token": by_token(deployment, other_secret),
            "session": session,
            "other session": self._signed_in({"worker": self.id, "pin": PIN}),
            "session by token": self._signed_in({"token": secret}),
            "ticket of session": TicketWay(deployment, session),
        }
        for way in self.ways.values():
            way.watch(board)

    def _signed_in(self, body: dict[str, str]) -> Way:
        answer = requests.post(f"{self.deployment.url}/api/session", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        cookie = {"Cookie": "; ".join(f"{each.name}={each.value}" for each in answer.cookies)}
        return Way(self.deployment, cookie, answer.json()["csrf_token"])

    def lines(self) -> list[dict[str, Any]]:
        """The audit log's lines about the ended streams."""
        said = [json.loads(each) for each in self.deployment.log.splitlines() if each[:1] == "{"]
        return [
            each for each in said if each["event"] == "streams_closed" and each["worker"] == self.id
        ]


def by_token(deployment: Deployment, secret: str) -> Way:
    return Way(deployment, {"Authorization": f"Bearer {secret}"})


@pytest.fixture
def worker(deployment: Deployment, shop: Services, board: str) -> Worker:
    return Worker(deployment, shop, board)


@pytest.fixture
def bystander(deployment: Deployment, board: str) -> Way:
    """Somebody else who watches the same board."""
    way = Way(deployment, deployment.headers)
    way.watch(board)
    return way


def disable(worker: Worker) -> None:
    worker.shop.workers.edit(worker.id, disabled=True)


def revoke_token(worker: Worker) -> None:
    worker.shop.tokens.revoke(worker.token.id)


def sign_out(worker: Worker) -> None:
    answer = worker.ways["session"].send("DELETE", "/api/session")
    assert answer.status_code == 204, answer.text


def sign_out_everywhere(worker: Worker) -> None:
    worker.shop.workers.sign_out(worker.id)


def give_a_new_pin(worker: Worker) -> None:
    worker.shop.workers.edit(worker.id, pin_hash=hash_pin("2" + PIN))


def switch_workers(worker: Worker) -> None:
    """On the same tablet: the next one signs in without the first having signed out."""
    following = f"f-{secrets.token_hex(4)}"
    worker.shop.workers.add(following, name="Next", role=Role.WORKER, pin_hash=hash_pin(PIN))
    body = {"worker": following, "pin": PIN}
    assert worker.ways["session"].send("POST", "/api/session", json=body).status_code == 200


SESSIONS = {"session", "other session", "session by token", "ticket of session"}
WAYS = SESSIONS | {"token", "other token"}
REVOCATIONS: dict[Callable[[Worker], None], set[str]] = {
    disable: WAYS,
    revoke_token: {"token", "session by token"},
    sign_out: {"session", "ticket of session"},
    sign_out_everywhere: SESSIONS,
    give_a_new_pin: SESSIONS,
    switch_workers: {"session", "ticket of session"},
}


@pytest.mark.parametrize("revoke", REVOCATIONS, ids=lambda each: each.__name__)
def test_exactly_the_streams_concerned_end_in_time_on_every_process(
    shop: Services, board: str, worker: Worker, bystander: Way, revoke: Callable[[Worker], None]
) -> None:
    concerned = {name: worker.ways[name] for name in REVOCATIONS[revoke]}
    others = [way for name, way in worker.ways.items() if name not in concerned] + [bystander]
    change(shop, board, 3)
    revoke(worker)
    for name, way in concerned.items():
        wait_until(way.have_ended, timeout_s=PROMISED_S, what=f"the end of the {name}'s streams")
    for name, way in concerned.items():
        if name != "ticket of session":
            wait_until(way.is_refused, timeout_s=PROMISED_S, what=f"the {name} to be refused")
            assert way.open(board).status == 401
    change(shop, board, 5, tag="T-2")
    for way in others:
        for stream in way.streams:
            wait_until(lambda stream=stream: stream.has(10), what="every event")  # type: ignore[misc] # bound now
            assert stream.seqs() == list(range(1, 11))
            assert not stream.has_ended
    for way in concerned.values():
        for stream in way.streams:
            assert [each.kind for each in stream.events if each.kind != "item"] == ["ready", "bye"]
            # In order, and nothing of afterwards; what came just before may have been under way.
            assert stream.seqs() == list(range(1, 5))[: len(stream.seqs())]
    lines = worker.lines()
    assert sum(each["streams"] for each in lines) == STREAMS * len(concerned)
    # More lines than credentials: both processes had streams of the same one.
    assert len(lines) > len(concerned) - ("ticket of session" in concerned)


def test_a_worker_of_a_lower_role_watches_on_and_may_do_no_more(
    shop: Services, board: str, worker: Worker
) -> None:
    change(shop, board, 0)
    shop.workers.edit(worker.id, role=Role.OBSERVER.label)
    token, session = worker.ways["token"], worker.ways["session"]

    def is_forbidden(way: Way) -> bool:
        path = f"/api/boards/{board}/items/T-1/take"
        return all(way.send("POST", path).status_code == 403 for _ in range(4))

    for way in (token, session):
        wait_until(lambda way=way: is_forbidden(way), timeout_s=PROMISED_S, what="the refusal")  # type: ignore[misc] # bound now
    change(shop, board, 2, tag="T-2")
    for stream in token.streams + session.streams:
        wait_until(lambda stream=stream: stream.has(4), what="every event")  # type: ignore[misc] # bound now
        assert not stream.has_ended


# Announcements that are lost


class Elsewhere:
    """Changes access as another process does whose announcements reach nobody."""

    def __init__(self, shop: Services) -> None:
        keys: Keys = copy.copy(shop.store.keys)
        keys.access_channel = "nowhere"
        self.workers = workers_elsewhere(shop, keys)
        self.tokens = tokens_elsewhere(shop, keys)


def test_without_an_announcement_they_end_in_time_all_the_same(
    shop: Services, board: str, worker: Worker, bystander: Way
) -> None:
    elsewhere = Elsewhere(shop)
    elsewhere.tokens.revoke(worker.token.id)
    ways = [worker.ways["token"], worker.ways["session by token"]]
    for way in ways:
        wait_until(way.have_ended, timeout_s=PROMISED_S, what="the streams' end")
    elsewhere.workers.edit(worker.id, disabled=True)
    for way in worker.ways.values():
        wait_until(way.have_ended, timeout_s=PROMISED_S, what="the streams' end")
        wait_until(way.is_refused, timeout_s=PROMISED_S, what="the refusal")
    change(shop, board, 3)
    for stream in bystander.streams:
        wait_until(lambda stream=stream: stream.seqs() == [1, 2, 3, 4], what="every event")  # type: ignore[misc] # bound now


def test_while_the_live_connections_are_cut_again_and_again_they_end_in_time(
    shop: Services, board: str, worker: Worker, bystander: Way, module_server: RealServer
) -> None:
    killed = 0

    def cut() -> None:
        nonlocal killed
        with module_server.client() as client:
            while True:
                killed += int(client.execute_command("CLIENT", "KILL", "TYPE", "pubsub"))
                gevent.sleep(0.02)

    cutter = gevent.spawn(cut)
    try:
        # Two of each process, at least: they have connected again, and were cut again.
        wait_until(lambda: killed >= 4, what="the connections to be cut again")
        disable(worker)
        for way in worker.ways.values():
            wait_until(way.have_ended, timeout_s=PROMISED_S, what="the streams' end")
        assert not cutter.ready()
    finally:
        cutter.kill()
    change(shop, board, 3)
    for stream in bystander.streams:
        wait_until(lambda stream=stream: stream.seqs() == [1, 2, 3, 4], what="every event")  # type: ignore[misc] # bound now
        assert not stream.has_ended


# Streams in every state


def test_streams_that_open_during_the_revocation_do_not_survive_it(
    deployment: Deployment, shop: Services, board: str
) -> None:
    """Their checks come before, their registrations after; opening goes on all the while."""
    for _ in range(5):
        worker = f"w-{secrets.token_hex(4)}"
        shop.workers.add(worker, name="Worker", role=Role.OBSERVER)
        way = by_token(deployment, shop.tokens.create(worker)[0])
        is_refused = False

        def open_on(way: Way = way) -> None:
            nonlocal is_refused
            while not is_refused:
                stream = way.open(board)
                is_refused = stream.status == 401
                way.streams.append(stream)

        openers = [gevent.spawn(open_on) for _ in range(4)]
        wait_until(lambda way=way: len(way.streams) >= 20, what="some streams")  # type: ignore[misc] # bound now
        shop.workers.edit(worker, disabled=True)
        wait_until(way.have_ended, timeout_s=PROMISED_S, what="the end of all streams")
        gevent.joinall(openers, raise_error=True)
        wait_until(way.have_ended, timeout_s=PROMISED_S, what="the end of all streams")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the kernel's connections")
def test_a_reader_that_takes_nothing_is_hung_up_on_in_time(
    deployment: Deployment, shop: Services, board: str
) -> None:
    worker = f"w-{secrets.token_hex(4)}"
    shop.workers.add(worker, name="Worker", role=Role.OBSERVER)
    way = by_token(deployment, shop.tokens.create(worker)[0])
    path = f"/api/boards/{board}/events"
    # None of them is ever read.
    stalled = way.opened(path, way.headers, receive_bytes=2048)
    replaying = way.opened(f"{path}?after=0-0", way.headers, receive_bytes=2048)
    for number in range(12):  # far more than the sockets hold
        change(shop, board, 60, tag=f"T-{number}", title="x" * 190)
    late = way.opened(f"{path}?after=0-0", way.headers, receive_bytes=2048)
    assert not any(is_hung_up_on(each) for each in (stalled, replaying, late))
    shop.workers.edit(worker, disabled=True)
    wait_until(way.is_refused, timeout_s=PROMISED_S, what="the refusal")
    for stream in (stalled, replaying, late):
        wait_until(
            lambda stream=stream: is_hung_up_on(stream),  # type: ignore[misc] # bound now
            timeout_s=PROMISED_S,
            what="the end of the connection",
        )


def is_hung_up_on(stream: EventStream) -> bool:
    """Whether the server has ended the connection; what it has sent is not read for that."""
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123 - no file of ours
        ours = f":{stream.connection.getsockname()[1]:04X}"
        rows = [line.split() for line in table]
    established = "01"
    server_side = [row[3] for row in rows if row[2].endswith(ours)]
    return established not in server_side


# What ends by itself


def test_a_token_that_expires_ends_its_streams(
    deployment: Deployment, shop: Services, board: str
) -> None:
    worker = f"w-{secrets.token_hex(4)}"
    shop.workers.add(worker, name="Worker", role=Role.OBSERVER)
    secret, token = shop.tokens.create(worker)
    lasting, _ = shop.tokens.create(worker)
    ends_s = int(time.time()) + 6
    store_token(shop, secret, token, expires_s=ends_s)
    way, other = by_token(deployment, secret), by_token(deployment, lasting)
    for each in (way, other):
        each.watch(board)
    left_s = ends_s - time.time()
    wait_until(way.have_ended, timeout_s=left_s + PROMISED_S, what="the streams' end")
    assert time.time() >= ends_s
    assert way.is_refused()
    assert not any(each.has_ended for each in other.streams)


def store_token(shop: Services, secret: str, token: Token, **changes: Any) -> None:
    """Change what is stored of a token, as no command does."""
    changed = msgspec.json.encode(msgspec.structs.replace(token, **changes))
    shop.store.client.hset(shop.store.keys.tokens, digest_of(secret), changed)


@pytest.mark.parametrize(("idle_s", "max_s"), [(6, 3600), (3600, 6)])
def test_a_session_that_comes_to_its_end_ends_its_streams(
    deployment: Deployment, shop: Services, board: str, idle_s: int, max_s: int
) -> None:
    way = brief_session(deployment, shop, idle_s=idle_s, max_s=max_s)
    lasting = brief_session(deployment, shop, idle_s=3600, max_s=3600)
    for each in (way, lasting):
        each.watch(board)
    wait_until(way.have_ended, timeout_s=6 + PROMISED_S, what="the streams' end")
    assert way.is_refused()
    assert not any(each.has_ended for each in lasting.streams)


def test_the_streams_of_a_session_in_use_stay_and_their_reading_is_no_use(
    deployment: Deployment, shop: Services, board: str
) -> None:
    used = brief_session(deployment, shop, idle_s=4, max_s=3600)
    unused = brief_session(deployment, shop, idle_s=4, max_s=3600)
    for way in (used, unused):
        way.watch(board)
    number = 0

    def is_unused_ended() -> bool:
        nonlocal number
        number += 1
        assert used.send("GET", f"/api/boards/{board}/items").status_code == 200
        assert unused.send("GET", "/api/session").status_code in (200, 401)  # no use
        change(shop, board, 0, tag=f"T-{number}")  # nor is what the streams are sent
        return unused.have_ended()

    wait_until(is_unused_ended, timeout_s=4 + PROMISED_S, what="the unused session's end")
    assert not any(each.has_ended for each in used.streams)
    used.send("DELETE", "/api/session")
    wait_until(used.have_ended, timeout_s=PROMISED_S, what="the streams' end")


def brief_session(deployment: Deployment, shop: Services, *, idle_s: int, max_s: int) -> Way:
    """A session of a new worker that ends sooner than the settings allow."""
    worker = f"w-{secrets.token_hex(4)}"
    shop.workers.add(worker, name="Worker", role=Role.OBSERVER)
    sessions = Sessions(
        shop.store.client, shop.store.keys, writes=shop.store.client,
        audit_trail=shop.audit_trail, on_changed=lambda _: None, idle_s=idle_s, max_s=max_s,
    )  # fmt: skip
    secret, session = sessions.open(shop.workers.stored(worker), None, by="link", address="local")
    assert isinstance(session, Session)
    assert shop.authenticator.identify(Credential("session", digest_of(secret)), is_use=False)
    return Way(deployment, {"Cookie": f"{shop.settings.cookie_name}={secret}"}, session.csrf_token)

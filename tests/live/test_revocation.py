"""Revocation at each of its switch points: what happens while it asks, and what follows.

The store is scripted: it counts and answers as Redis would at the moment of the question, and
holds the answer back until the test lets it go. So each test says exactly what came in between.
"""

from __future__ import annotations

import collections
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import gevent
import pytest
from gevent.event import Event

from occupancy.access.authenticator import Authenticator
from occupancy.core.entities import Role, Worker
from occupancy.core.errors import StoreUnavailable
from occupancy.core.principal import Credential, Principal, digest_of
from occupancy.live import revocation as revocation_module
from occupancy.live.revocation import Revocation
from occupancy.live.subscriber import Subscriber
from occupancy.services import Services
from tests.support.shop import change
from tests.support.waiting import wait_until


class Gate:
    """Where a question waits for its answer: open, unless the test has shut it."""

    def __init__(self) -> None:
        self.waiting = 0
        self._open = Event()
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def __call__(self) -> None:
        self.waiting += 1
        self._open.wait()
        self.waiting -= 1


class ScriptedAccess(Authenticator):
    """Answers from what the test says; each answer is decided first and then held at a gate."""

    def __init__(self) -> None:
        self.counted = 0
        self.ends_in_s: dict[Credential, float] = {}  # of the good ones
        self.asked: list[list[Credential]] = []
        self.forgotten = 0
        self.is_asked = False  # a question is under way
        self.failure: Exception | None = None
        self.unreadable: set[Credential] = set()
        self.counting, self.looking = Gate(), Gate()
        self.switch: Callable[[], None] = lambda: None

    def changes(self) -> int:
        counted = self.counted
        self._hold(self.counting)
        return counted

    def revalidate(self, credentials: Sequence[Credential]) -> list[tuple[Principal, float] | None]:
        self.asked.append(list(credentials))
        answers = [
            (caller_of(each), self.ends_in_s[each]) if each in self.ends_in_s else None
            for each in credentials
        ]
        self._hold(self.looking)
        if self.unreadable & set(credentials):
            raise ValueError("not a worker")
        return answers

    def forget(self, worker_id: str | None = None) -> None:
        self.forgotten += 1

    def _hold(self, gate: Gate) -> None:
        self.is_asked = True
        gate()
        self.switch()
        self.is_asked = False
        if self.failure is not None:
            raise self.failure


class Stream(Subscriber):
    """An open stream that ends when it is told to, unless its connection takes nothing."""

    def __init__(self, *, is_stuck: bool = False) -> None:
        super().__init__(cast(Any, None), cast(Any, None))
        self.is_closed = False
        self._is_stuck = is_stuck
        self._end = Event()

    def close(self) -> None:
        super().close()
        self.is_closed = True
        if not self._is_stuck:
            self._end.set()

    def abandon(self) -> None:
        super().abandon()
        self._end.set()

    def leave(self) -> None:
        """The client goes away."""
        self._end.set()

    def run(self, revocation: Revocation, principal: Principal) -> None:
        revocation.watch(principal, self)
        try:
            self._end.wait()
        finally:
            revocation.unwatch(principal, self)


class Harness:
    """A revocation, the streams that it watches, and an authenticator that access changes in."""

    def __init__(self) -> None:
        self.access = ScriptedAccess()
        self.revocation = Revocation(self.access)
        self._greenlets: list[gevent.Greenlet] = []

    def open(self, worker: str, credential: str = "", *, is_stuck: bool = False) -> Stream:
        """A stream of a worker whose credential is good when it is opened."""
        principal = caller_of(credential_of(worker, credential))
        self.access.ends_in_s.setdefault(principal.credential, float("inf"))
        stream = Stream(is_stuck=is_stuck)
        self._greenlets.append(gevent.spawn(stream.run, self.revocation, principal))
        gevent.sleep(0)
        return stream

    def revoke(self, worker: str, credential: str = "", *, is_lost: bool = False) -> bytes:
        """End a credential; announce it, unless that is lost. Returns the announcement."""
        self.access.ends_in_s.pop(credential_of(worker, credential), None)
        self.access.counted += 1
        announcement = f"{self.access.counted} {worker}".encode()
        if not is_lost:
            self.revocation.on_announcement(announcement)
        return announcement

    def settle(self) -> None:
        """Wait until every credential is checked and it waits for the next turn."""
        revocation = self.revocation
        wait_until(
            lambda: (
                not self.access.is_asked
                and revocation._changes == self.access.counted
                and not revocation._changed
                and not revocation._wake.is_set()
                and all(each.check_at > time.monotonic() for each in revocation._watched.values())
            ),
            what="the check's end",
        )

    @property
    def asked(self) -> int:
        """How many credentials were looked at."""
        return sum(map(len, self.access.asked))

    def close(self) -> None:
        self.revocation.stop()
        gevent.killall(self._greenlets)


def credential_of(worker: str, name: str = "") -> Credential:
    return Credential("session", f"{worker}:{name}")


def caller_of(credential: Credential) -> Principal:
    worker = Worker(credential.digest.partition(":")[0], "Name", "worker")
    return Principal(worker=worker, role=Role.WORKER, credential=credential, id="id")


def is_closed(*streams: Stream) -> Callable[[], bool]:
    return lambda: all(each.is_closed for each in streams)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    """With short turns; whoever is told goodbye is hung up on soon."""
    monkeypatch.setattr(revocation_module, "TURN_S", 0.02)
    monkeypatch.setattr(revocation_module, "_RETRY_S", 0.01)
    monkeypatch.setattr(revocation_module, "_GOODBYE_S", 0.05)
    made = Harness()
    yield made
    made.close()


# Whose streams end


def test_the_streams_of_a_revoked_credential_end_and_no_others(harness: Harness) -> None:
    concerned = [harness.open("93"), harness.open("93")]
    others = [harness.open("93", "another session"), harness.open("94")]
    harness.settle()
    harness.revoke("93")
    wait_until(is_closed(*concerned), what="the streams' end")
    harness.settle()
    assert not any(each.is_closed for each in others)


def test_only_the_credentials_of_the_worker_concerned_are_looked_at(harness: Harness) -> None:
    streams = [harness.open(str(number)) for number in range(10)]
    harness.settle()
    harness.access.asked.clear()
    harness.revoke("3")
    wait_until(is_closed(streams[3]), what="the stream's end")
    harness.settle()
    assert harness.access.asked == [[credential_of("3")]]


def test_a_lost_announcement_is_noticed_by_the_count(harness: Harness) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    harness.revoke("93", is_lost=True)
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_a_lost_announcement_is_noticed_by_the_number_of_the_next(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_module, "TURN_S", 60)  # the next turn is the announcement's
    harness.revocation.on_announcement(None)
    stream, other = harness.open("93"), harness.open("94")
    harness.revocation.on_announcement(None)
    harness.settle()
    harness.revoke("93", is_lost=True)
    harness.revoke("95")
    wait_until(is_closed(stream), what="the stream's end")
    assert not other.is_closed


@pytest.mark.parametrize(
    "payload", [None, b"", b"7", b"x 93", b" 93", b"1.5 93", b"99 \xff", b"-1 93", b"\xff 93"]
)
def test_after_an_announcement_that_says_nothing_all_are_looked_at(
    harness: Harness, payload: bytes | None
) -> None:
    streams = [harness.open("93"), harness.open("94")]
    harness.settle()
    harness.access.asked.clear()
    harness.revocation.on_announcement(payload)
    wait_until(lambda: harness.asked >= len(streams), what="all to be looked at")
    harness.settle()
    assert harness.access.forgotten
    assert not any(each.is_closed for each in streams)


def test_a_count_that_goes_back_is_noticed(harness: Harness) -> None:
    harness.access.counted = 5
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    del harness.access.ends_in_s[credential_of("93")]
    harness.access.counted = 0  # the server was emptied, or restored from a backup
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_a_count_that_has_gone_back_and_come_up_again_is_noticed_after_the_reconnect(
    harness: Harness,
) -> None:
    harness.access.counted = 5
    stream = harness.open("93")
    harness.settle()
    del harness.access.ends_in_s[credential_of("93")]
    harness.revocation.on_announcement(None)  # a server that has lost its last second was restarted
    wait_until(is_closed(stream), what="the stream's end")


def test_who_ends_without_any_announcement_is_noticed_within_the_minute(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_module, "_CHECK_S", 0.1)
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    del harness.access.ends_in_s[credential_of("93")]  # a clock was set, a backup restored
    wait_until(is_closed(stream), what="the stream's end")
    assert not other.is_closed


@pytest.mark.thorough
def test_a_credential_that_ends_by_itself_is_looked_at_when_it_ends(harness: Harness) -> None:
    ending = credential_of("93")
    harness.access.ends_in_s[ending] = 0.05
    stream, other = harness.open("93"), harness.open("94")
    wait_until(lambda: harness.access.asked and harness.access.asked[-1] == [ending], what="a look")
    assert not stream.is_closed  # it was used meanwhile, and is good again
    del harness.access.ends_in_s[ending]
    wait_until(is_closed(stream), what="the stream's end")
    assert not other.is_closed


def test_a_token_that_is_for_another_board_now_may_not_watch_this_one(harness: Harness) -> None:
    stream = harness.open("93")
    harness.settle()
    watched = harness.revocation._watched[credential_of("93")]
    watched.principal = Principal(
        worker=watched.principal.worker, role=Role.WORKER, credential=watched.principal.credential,
        id="id", board="north",
    )  # fmt: skip
    harness.revocation.on_announcement(None)
    wait_until(is_closed(stream), what="the stream's end")


# While the count is being read


def test_an_announcement_while_the_count_is_read_is_not_lost(harness: Harness) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    harness.access.counting.shut()
    wait_until(lambda: harness.access.counting.waiting, what="the question")
    harness.revoke("93")  # after the server has counted
    harness.access.counting.open()
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_a_change_that_is_counted_before_its_announcement_arrives_is_noticed(
    harness: Harness,
) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    harness.access.counting.shut()
    wait_until(lambda: harness.access.counting.waiting, what="the question")
    harness.access.counting.open()
    late = harness.revoke("93", is_lost=True)
    wait_until(is_closed(stream), what="the stream's end")
    harness.revocation.on_announcement(late)
    harness.settle()
    assert not other.is_closed


def test_a_stream_that_joins_while_the_count_is_read_is_looked_at(harness: Harness) -> None:
    harness.open("94")
    harness.settle()
    harness.access.counting.shut()
    wait_until(lambda: harness.access.counting.waiting, what="the question")
    stream = harness.open("93")  # whose check was before
    del harness.access.ends_in_s[credential_of("93")]
    harness.access.counting.open()
    wait_until(is_closed(stream), what="the stream's end")


# While credentials are being looked at


def look_under_way(harness: Harness) -> None:
    """Have all looked at; the answers are decided and held back."""
    harness.access.looking.shut()
    harness.revocation.on_announcement(None)
    wait_until(lambda: harness.access.looking.waiting, what="the question")


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_revocation_after_the_answer_was_decided_is_noticed(
    harness: Harness, is_lost: bool
) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    look_under_way(harness)
    harness.revoke("93", is_lost=is_lost)
    harness.access.looking.open()
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_stream_that_joins_while_its_old_answer_is_under_way_is_looked_at_again(
    harness: Harness, is_lost: bool
) -> None:
    first = harness.open("93")
    harness.settle()
    look_under_way(harness)
    harness.revoke("93", is_lost=is_lost)
    joined = harness.open("93")
    del harness.access.ends_in_s[credential_of("93")]
    harness.access.looking.open()
    wait_until(is_closed(first, joined), what="the streams' end")


def test_a_stream_that_joins_while_the_others_of_its_credential_are_told_to_go_goes_too(
    harness: Harness,
) -> None:
    first = harness.open("93", is_stuck=True)
    harness.settle()
    harness.revoke("93")
    wait_until(is_closed(first), what="the stream's end")
    joined = harness.open("93")  # whose check was before the revocation
    del harness.access.ends_in_s[credential_of("93")]
    wait_until(is_closed(joined), what="the stream's end")


def test_streams_that_leave_and_come_back_meanwhile_are_watched_still(harness: Harness) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    look_under_way(harness)
    stream.leave()
    wait_until(lambda: credential_of("93") not in harness.revocation._watched, what="it to be gone")
    again = harness.open("93")
    harness.access.looking.open()
    harness.settle()
    assert not again.is_closed
    harness.revoke("93")
    wait_until(is_closed(again), what="the stream's end")
    assert not other.is_closed


def test_a_count_that_moves_twice_while_all_are_looked_at_is_noticed(harness: Harness) -> None:
    streams = [harness.open("93"), harness.open("94")]
    harness.settle()
    look_under_way(harness)
    harness.revoke("93", is_lost=True)
    harness.revoke("94")
    harness.access.looking.open()
    wait_until(is_closed(*streams), what="the streams' end")


# Trouble


@pytest.mark.parametrize("where", ["counting", "looking"])
def test_what_could_not_be_looked_at_is_due_again(harness: Harness, where: str) -> None:
    stream, other = harness.open("93"), harness.open("94")
    harness.settle()
    gate: Gate = getattr(harness.access, where)
    gate.shut()
    harness.revoke("93")
    wait_until(lambda: gate.waiting, what="the question")
    harness.access.failure = StoreUnavailable("The store cannot be reached.")
    gate.open()
    wait_until(lambda: gate.waiting == 0, what="the failure")
    assert not stream.is_closed
    harness.access.failure = None
    wait_until(is_closed(stream), what="the stream's end")
    harness.settle()
    assert not other.is_closed


def test_an_outage_is_logged_once(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.open("93")
    harness.settle()
    calls = harness.access.counting
    harness.access.failure = StoreUnavailable("The store cannot be reached.")
    seen = collections.Counter[str]()
    harness.access.switch = lambda: seen.update(["asked"])
    wait_until(lambda: seen["asked"] > 5, what="some attempts")
    harness.access.failure = None
    harness.settle()
    assert calls.waiting == 0
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_a_failure_of_its_own_does_not_end_it(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    stream = harness.open("93")
    harness.settle()
    harness.access.failure = RuntimeError("a mistake of ours")
    harness.revoke("93")
    wait_until(lambda: caplog.records, what="the failure")
    harness.access.failure = None
    wait_until(is_closed(stream), what="the stream's end")


def test_a_credential_that_cannot_be_read_lets_nobody_in_and_shields_no_others(
    harness: Harness,
) -> None:
    streams = [harness.open(str(number)) for number in range(5)]
    harness.settle()
    harness.access.unreadable = {credential_of("3")}
    harness.revoke("4", is_lost=True)
    wait_until(is_closed(streams[3], streams[4]), what="the streams' end")
    harness.access.unreadable = set()
    harness.settle()
    assert [each.is_closed for each in streams] == [False, False, False, True, True]


# The goodbye


def test_a_connection_that_does_not_read_the_bye_is_cut(harness: Harness) -> None:
    stuck, polite = harness.open("93", is_stuck=True), harness.open("93")
    harness.settle()
    harness.revoke("93")
    wait_until(lambda: stuck.is_gone, what="the stuck stream to be hung up on")
    assert not polite.is_gone
    harness.settle()
    assert not harness.revocation._leaving


def test_streams_are_ended_once_and_the_trail_says_how_many(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    streams = [harness.open("93", is_stuck=True) for _ in range(3)]
    harness.settle()
    with caplog.at_level(logging.INFO, logger="occupancy.observability.audit_log"):
        harness.revoke("93")
        wait_until(is_closed(*streams), what="the streams' end")
        harness.revocation.on_announcement(None)
        wait_until(lambda: not harness.revocation._watched, what="the streams to be hung up on")
    lines = [
        each.getMessage()
        for each in caplog.records
        if each.name == "occupancy.observability.audit_log"
    ]
    assert len(lines) == 1
    assert '"streams": 3' in lines[0]
    assert "93:" not in lines[0]  # the credential's hash is nobody's business


def test_a_closed_stream_gets_nothing_any_more(valkey_services: Services) -> None:
    """A slow reader of a long log: neither the rest of the log nor what happens meanwhile."""
    change(valkey_services, "main", 450)
    connected(valkey_services)
    subscriber = valkey_services.hub.subscribe("main")
    frames = subscriber.frames("0-0")
    read = [next(frames)]
    subscriber.close()
    change(valkey_services, "main", 5, tag="T-2")
    read += list(frames)
    valkey_services.hub.unsubscribe(subscriber)
    body = b"".join(read)
    assert body.count(b"event: item\n") == 100  # what it had read from the log already
    assert body.endswith(b"event: bye\ndata: {}\n\n")
    assert b"event: ready" not in body


def test_a_live_stream_that_is_closed_gets_what_came_before_and_a_goodbye(
    valkey_services: Services,
) -> None:
    connected(valkey_services)
    subscriber = valkey_services.hub.subscribe("main")
    frames = subscriber.frames(None)
    assert b"event: ready\n" in next(frames)
    change(valkey_services, "main", 0)
    wait_until(lambda: subscriber._pieces, what="the event")
    subscriber.close()
    change(valkey_services, "main", 5, tag="T-2")
    wait_until(lambda: valkey_services.hub._boards["main"].log.seq == 7, what="the events")
    body = b"".join(frames)
    valkey_services.hub.unsubscribe(subscriber)
    assert body.count(b"event: item\n") == 1
    assert body.endswith(b"event: bye\ndata: {}\n\n")


def connected(services: Services) -> None:
    """Wait for the hub, which would else be stopped in the middle of connecting."""
    services.hub.start()
    wait_until(lambda: services.hub.trouble is None, what="live delivery")


# Its own life


def test_nothing_is_left_of_streams_that_have_ended(harness: Harness) -> None:
    streams = [harness.open(str(number % 20)) for number in range(100)]
    harness.settle()
    for number in range(0, 20, 2):
        harness.revoke(str(number))
    wait_until(is_closed(*streams[0::2]), what="the streams' end")
    gevent.killall(harness._greenlets)  # the others are killed, as at the end of a worker process
    assert not harness.revocation._watched
    assert not harness.revocation._leaving


def test_a_thousand_changes_at_once_cost_no_thousand_looks(harness: Harness) -> None:
    streams = [harness.open(str(number)) for number in range(200)]
    harness.settle()
    harness.access.asked.clear()
    for number in range(1000):
        harness.revoke(str(number))
    wait_until(is_closed(*streams), what="the streams' end")
    assert len(harness.access.asked) <= 4  # two round trips, and two more if one was under way


def test_looking_at_ten_thousand_sessions_takes_a_round_trip_for_a_hundred(
    valkey_services: Services,
) -> None:
    services = valkey_services
    services.workers.add("93", name="Worker 93", role=Role.WORKER)
    secret, _ = services.tokens.create("93")
    principal = services.authenticator.identify(Credential("token", digest_of(secret)))
    client = services.store.client
    client.hset(  # sessions of the token's, all good
        services.store.keys.sessions,
        mapping={
            f"digest-{number}": (
                f'{{"id":"s{number}","worker":"93","csrf_token":"x","ends_s":9999999999,'
                f'"token":"{principal.credential.digest}"}}'
            )
            for number in range(10_000)
        },
    )
    revocation = services.revocation
    before = services.topology.shards()[0].ops_pool.stats()["acquired"]
    with_streams = []
    for number in range(10_000):
        credential = Credential("session", f"digest-{number}")
        watching = (
            Principal(
                worker=principal.worker, role=principal.role, credential=credential, id="s"
            ), Stream()
        )  # fmt: skip
        revocation.watch(*watching)
        with_streams.append(watching)
    wait_until(
        lambda: all(each.check_at > time.monotonic() for each in revocation._watched.values()),
        timeout_s=30,
        what="all to be looked at",
    )
    trips = services.topology.shards()[0].ops_pool.stats()["acquired"] - before
    assert 100 <= trips <= 100 + 20  # and one for the count in each turn
    services.workers.sign_out("93")
    revocation.on_announcement(None)
    wait_until(
        lambda: len(revocation._leaving) == 10_000, timeout_s=30, what="all to be told to go"
    )
    for watching in with_streams:
        revocation.unwatch(*watching)
    assert not revocation._watched
    revocation.stop()


class Turmoil:
    """What happens to a harness at random: streams, revocations, late announcements, outages."""

    def __init__(self, harness: Harness, seed: int) -> None:
        self.streams: list[tuple[str, Stream]] = []
        self._harness = harness
        self._chance = random.Random(seed)
        self._late: collections.deque[bytes] = collections.deque()  # in order, as a connection's
        harness.access.switch = self._pause

    def happen(self, times: int) -> None:
        kinds = [self._open] * 3 + [self._revoke] * 2 + [self._leave, self._allow, self._toggle]
        for _ in range(times):
            self._chance.choice(kinds)()
            while self._late and self._chance.random() < 0.5:
                self._harness.revocation.on_announcement(self._late.popleft())
            if self._chance.random() < 0.1:
                self._harness.revocation.on_announcement(None)
            self._pause()
        self._harness.access.failure = None

    def _pause(self) -> None:
        gevent.sleep(self._chance.choice([0, 0, 0.001]))

    def _worker(self) -> str:
        return str(self._chance.randrange(6))

    def _open(self) -> None:
        """A stream whose check was before a revocation may open after it, too."""
        worker, good = self._worker(), self._harness.access.ends_in_s
        was_good = credential_of(worker) in good or self._chance.random() < 0.2
        stream = self._harness.open(worker, is_stuck=self._chance.random() < 0.1)
        self.streams.append((worker, stream))
        if not was_good:
            good.pop(credential_of(worker), None)

    def _leave(self) -> None:
        if self.streams:
            self.streams.pop(self._chance.randrange(len(self.streams)))[1].leave()

    def _revoke(self) -> None:
        announcement = self._harness.revoke(self._worker(), is_lost=True)
        if self._chance.random() < 0.6:
            self._late.append(announcement)

    def _allow(self) -> None:
        worker, access = self._worker(), self._harness.access
        access.counted += 1
        access.ends_in_s[credential_of(worker)] = float("inf")
        self._late.append(f"{access.counted} {worker}".encode())

    def _toggle(self) -> None:
        access = self._harness.access
        access.failure = None if access.failure else StoreUnavailable("away")


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_no_stream_of_a_revoked_credential_survives(
    harness: Harness, seed: int
) -> None:
    turmoil = Turmoil(harness, seed)
    turmoil.happen(120)
    harness.settle()
    good, watched = harness.access.ends_in_s, harness.revocation._watched
    for worker, stream in turmoil.streams:
        assert stream.is_closed or credential_of(worker) in good
        assert stream.is_closed or stream in watched[credential_of(worker)].streams
    wait_until(lambda: not harness.revocation._leaving, what="the stuck ones to be hung up on")
    for _, stream in turmoil.streams:
        stream.leave()
    wait_until(lambda: not watched, what="all to be gone")


# Requests


def test_an_answer_that_was_under_way_at_a_change_is_not_remembered(
    valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = valkey_services
    services.workers.add("93", name="Worker 93", role=Role.WORKER)
    credential = Credential("token", digest_of(services.tokens.create("93")[0]))
    run = services.authenticator._identify.run

    def overtaken(*arguments: Any) -> Any:
        reply = run(*arguments)
        services.authenticator.forget()
        return reply

    monkeypatch.setattr(services.authenticator._identify, "run", overtaken)
    services.authenticator.identify(credential)
    assert not services.authenticator._remembered

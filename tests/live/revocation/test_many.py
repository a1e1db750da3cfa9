"""Revocation of many streams at once, and what is left of them."""

from __future__ import annotations

import collections
import random
import time

import gevent
import pytest

from occupancy.core.entities import Role
from occupancy.core.errors import StoreUnavailable
from occupancy.core.principal import Credential, Principal, digest_of
from occupancy.services import Services
from tests.live.revocation.harness import Harness, Stream, credential_of, is_closed
from tests.support.waiting import wait_until


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
    assert turmoil.streams
    for worker, stream in turmoil.streams:
        assert stream.is_closed or credential_of(worker) in good
        assert stream.is_closed or stream in watched[credential_of(worker)].streams
    wait_until(lambda: not harness.revocation._leaving, what="the stuck ones to be hung up on")
    for _, stream in turmoil.streams:
        stream.leave()
    wait_until(lambda: not watched, what="all to be gone")

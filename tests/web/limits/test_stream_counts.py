"""Limits of streams, counted in the process."""

from __future__ import annotations

import gevent
import pytest

from occupancy.core import rate_limit as rates_module
from occupancy.core.entities import Role
from occupancy.core.errors import RateLimited
from occupancy.core.principal import Credential, digest_of
from occupancy.live import limits as admission_module
from occupancy.live.limits import Place, StreamLimits
from occupancy.services import Services
from occupancy.web.open_stream import OpenStream
from occupancy.web.routes.stream import _frames
from tests.support.waiting import wait_until


class Clock:
    """Stands in for the module ``time``: moves only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(admission_module, "time", made)
    return made


def admitted(
    admission: StreamLimits,
    attempts: int,
    worker: str = "93",
    address: str = "a",
    credential: str = "",
    *,
    holds: bool = False,
) -> int:
    """How many of ``attempts`` are let in, and stay where ``holds``."""
    place = Place(worker, credential or f"of {worker}", address)
    count = 0
    for _ in range(attempts):
        try:
            admission.check(place)
        except RateLimited as error:
            assert error.extra["retry_after"] >= 1
        else:
            count += 1
            if holds:
                admission.hold(place)
    return count


def test_a_caller_has_so_many_streams_and_others_have_theirs(clock: Clock) -> None:
    admission = StreamLimits(per_caller=5, per_process=100)
    assert admitted(admission, 10, "93", holds=True) == 5
    assert admitted(admission, 1, "93") == 0
    assert admitted(admission, 1, "94") == 1
    admission.give_back(Place("93", "of 93", "a"))
    assert admitted(admission, 1, "93") == 1


def test_whoever_has_many_streams_leaves_places_for_the_walls_of_the_same_worker(
    clock: Clock,
) -> None:
    """With many credentials at one address, and with one credential at many addresses."""
    admission = StreamLimits(per_caller=100, per_process=10_000)
    assert admitted(admission, 500, address="greedy", credential="link", holds=True) == 100
    for number in range(100):
        admitted(admission, 10, address="greedy", credential=f"session {number}", holds=True)
        clock.now_s += 3600
    for number in range(100):
        admitted(admission, 10, address=f"greedy {number}", credential="link", holds=True)
    assert admission._total < 200  # not more for all that
    for hall in range(3):
        wall = {"address": f"hall {hall}", "credential": f"wall {hall}"}
        assert admitted(admission, 2, **wall, holds=True) == 2


def test_opening_streams_fast_slows_only_that_credential_and_address_down(clock: Clock) -> None:
    admission = StreamLimits(per_caller=20, per_process=40)
    assert admitted(admission, 1000, address="greedy", credential="link") == 20
    assert admitted(admission, 1, address="hall", credential="wall") == 1
    for number in range(100):
        admitted(admission, 20, address="greedy", credential=f"session {number}")
    assert admitted(admission, 1, address="greedy", credential="another") == 0
    assert admitted(admission, 1, address="hall", credential="wall") == 1


def test_a_process_has_so_many_streams(clock: Clock) -> None:
    admission = StreamLimits(per_caller=100, per_process=100)
    admission.limit_process(2)
    admission.limit_process(50)  # the least counts
    assert admitted(admission, 1, "93", holds=True) == admitted(admission, 1, "94", holds=True) == 1
    assert admitted(admission, 1, "95") == 0
    admission.give_back(Place("93", "of 93", "a"))
    assert admitted(admission, 1, "95") == 1


@pytest.mark.parametrize(("per_caller", "at_once"), [(50, 50), (3, 20)])
def test_streams_may_be_opened_at_once_and_as_many_over_ten_seconds(
    clock: Clock, per_caller: int, at_once: int
) -> None:
    admission = StreamLimits(per_caller=per_caller, per_process=1000)
    assert admitted(admission, 2 * at_once) == at_once
    assert admitted(admission, 1, "94") == 1
    clock.now_s += 5.001
    assert admitted(admission, 2 * at_once) == at_once // 2
    clock.now_s += 3600
    assert admitted(admission, 2 * at_once) == at_once


def test_an_address_opens_at_once_what_the_process_may_have(clock: Clock) -> None:
    admission = StreamLimits(per_caller=30, per_process=50)
    assert sum(admitted(admission, 30, str(number)) for number in range(5)) == 50
    assert admitted(admission, 1, "6", address="b") == 1


def test_who_is_refused_pays_nothing(clock: Clock) -> None:
    admission = StreamLimits(per_caller=20, per_process=1000)
    assert admitted(admission, 1000) == 20
    clock.now_s += 0.501
    assert admitted(admission, 1) == 1


def test_what_is_remembered_of_rates_is_bounded(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates_module, "_MAX_NAMES", 100)
    admission = StreamLimits(per_caller=1000, per_process=1000)
    for number in range(1000):
        clock.now_s += 0.1
        assert admitted(admission, 1, str(number), str(number)) == 1
    assert len(admission._callers._due_s) <= 100
    assert len(admission._addresses._due_s) <= 100


def test_a_stream_that_fails_or_is_killed_gives_everything_back(valkey_services: Services) -> None:
    services = valkey_services
    services.workers.add("93", name="Worker 93", role=Role.WORKER)
    secret, _ = services.tokens.create("93")
    principal = services.authenticator.identify(Credential("token", digest_of(secret)))

    def follow(how: str) -> None:
        place = Place.of(principal, "a")
        frames = _frames(lambda: OpenStream(services, principal, "main", place), None, {})
        for frame in frames:
            if how == "fails" and b"event: ready\n" in frame:
                raise OSError(how)

    streams = [gevent.spawn(follow, "killed") for _ in range(15)]
    wait_until(lambda: services.hub.open_streams == 15, what="the streams")
    assert services.stream_limits._total == 15
    gevent.killall(streams)
    with pytest.raises(OSError, match="fails"):
        follow("fails")
    wait_until(lambda: not services.hub.open_streams, what="the end of the streams")
    assert services.stream_limits._total == 0
    assert not services.stream_limits._open
    assert not services.revocation._watched

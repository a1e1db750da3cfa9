"""Limits: how many operations and streams a caller and an address may have, and who is not hurt.

Tests of rates use up what may be done at once, which takes a moment, and look at the next request;
none waits for a rate to let it through again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy import create_app
from occupancy.boards.commands import RATE_BURST_S, Command
from occupancy.boards.records import Answer, Preconditions, Rate
from occupancy.core import rate_limit as rates_module
from occupancy.core.entities import Person, Role
from occupancy.core.errors import RateLimited
from occupancy.core.principal import Credential, digest_of
from occupancy.core.settings import Settings
from occupancy.core.transitions import TRANSITIONS
from occupancy.live import limits as admission_module
from occupancy.live.limits import Place, StreamLimits
from occupancy.services import Services
from occupancy.web.open_stream import OpenStream
from occupancy.web.routes.stream import _frames
from tests.conftest import add_people
from tests.support.api_client import Api, assert_problem
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.shop import change, log_of
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until

TAKE = TRANSITIONS["take"]
ACTOR = Person("93", "Worker 93")
TAGS = [f"T-{number}" for number in range(50)]
AT_ONCE = 50  # what a rate of 1/s, the smallest, lets through at once: a whole batch
MORE = TAGS[:20]  # so many that no slow machine makes them pass after all


# Operations, in the script


class Rated:
    """Operations on the main board under two rates."""

    def __init__(self, services: Services, caller_per_s: int = 1, address_per_s: int = 1) -> None:
        self.services = services
        self.rates = (Rate("caller:93", caller_per_s), Rate("address:192.0.2.1", address_per_s))
        self.client: Any = services.store.client

    def take(self, tags: list[str], given: Preconditions | None = None) -> Answer:
        options: Any = {} if given is None else {"preconditions": given}
        return self.services.store.commands.execute(
            Command("main", TAKE, tags, actor=ACTOR, rates=self.rates, **options)
        )

    def wait_s(self, tags: list[str], given: Preconditions | None = None) -> int:
        """How long the refusal of an operation asks to wait."""
        with pytest.raises(RateLimited) as refused:
            self.take(tags, given)
        seconds: int = refused.value.extra["retry_after"]
        return seconds

    def key(self, number: int) -> str:
        return self.services.store.keys.board("main").rate(self.rates[number].who)

    def even_ms(self) -> list[bytes | None]:
        return [self.client.get(self.key(number)) for number in (0, 1)]

    def server_ms(self) -> int:
        seconds, microseconds = self.client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


@pytest.fixture
def rated(services: Services) -> Rated:
    return Rated(services)


def test_who_has_used_up_the_rate_is_refused_and_nothing_changes(rated: Rated) -> None:
    change(rated.services, "main", 0)
    rated.take(TAGS[2:])
    rated.take([TAGS[0]])
    rated.take([TAGS[1]])
    log = log_of(rated.services, "main")
    assert 1 <= rated.wait_s(MORE) <= len(MORE)
    assert log_of(rated.services, "main") == log


def test_a_refusal_costs_nothing(rated: Rated) -> None:
    rated.rates = (rated.rates[0], Rate("address:192.0.2.1", 8))
    rated.take(TAGS)
    charged = rated.even_ms()
    for _ in range(20):
        assert rated.wait_s(MORE) <= len(MORE)
    assert rated.even_ms() == charged


def test_the_address_is_not_charged_for_what_the_caller_may_not_and_the_other_way_round(
    rated: Rated,
) -> None:
    fast = Rate("address:192.0.2.1", 8), Rate("caller:93", 8)
    for rates in ((rated.rates[0], fast[0]), (rated.rates[1], fast[1])):
        rated.rates = rates
        rated.client.delete(rated.key(0), rated.key(1))
        rated.take(TAGS)
        charged = rated.even_ms()
        rated.wait_s(MORE)
        assert rated.even_ms() == charged


def test_a_batch_is_charged_by_its_tags_and_refused_as_a_whole(rated: Rated) -> None:
    change(rated.services, "main", 0)
    rated.take(TAGS[:40])
    seq = len(log_of(rated.services, "main"))
    assert 1 <= rated.wait_s(TAGS[:30]) <= 20
    assert len(log_of(rated.services, "main")) == seq
    rated.take(TAGS[:10])
    rated.wait_s(MORE)


@pytest.mark.parametrize("per_s", [*range(1, 14), 49, 50, 51, 60, 333, 500, 2000, 100_000])
def test_a_batch_of_fifty_passes_whoever_was_idle(valkey_services: Services, per_s: int) -> None:
    rated = Rated(valkey_services, per_s, per_s)
    assert len(rated.take(TAGS).outcomes) == len(TAGS)


@pytest.mark.parametrize("per_s", [7, 60, 333])
def test_no_more_than_ten_seconds_worth_passes_at_once(
    valkey_services: Services, per_s: int
) -> None:
    rated = Rated(valkey_services, per_s, 100_000)
    started_ms = rated.server_ms()
    passed = 0
    tags = TAGS[: per_s // 7]  # a busy machine does not do 333 calls a second
    with pytest.raises(RateLimited):
        while passed < 2 * RATE_BURST_S * per_s:  # bounded, whatever the limit does
            rated.take(tags)
            passed += len(tags)
    elapsed_s = (rated.server_ms() - started_ms + 1) / 1000
    assert RATE_BURST_S * per_s < passed + len(tags)
    assert passed <= (RATE_BURST_S + elapsed_s) * per_s * 1.001 + 1


def test_the_keys_expire_when_their_owner_is_even_again(rated: Rated) -> None:
    rated.take(["T-1"])
    for number in (0, 1):
        assert 0 < rated.client.pttl(rated.key(number)) <= 1000
    rated.take(TAGS[:49])
    for number in (0, 1):
        assert 1000 < rated.client.pttl(rated.key(number)) <= 50_000


def test_a_clock_that_was_set_back_by_an_hour_stops_nobody(rated: Rated) -> None:
    for number in (0, 1):
        rated.client.set(rated.key(number), f"{rated.server_ms() + 3_600_000}.00")
    rated.take(["T-1"])
    even_ms = [float(each or 0) for each in rated.even_ms()]
    assert all(each <= rated.server_ms() + 1000 for each in even_ms)


def test_a_clock_that_was_set_back_a_little_stops_for_a_little(rated: Rated) -> None:
    for number in (0, 1):
        rated.client.set(rated.key(number), f"{rated.server_ms() + 60_000}.00")
    assert 1 <= rated.wait_s(["T-1"]) <= 2 * AT_ONCE


def test_other_callers_addresses_and_boards_have_their_own(rated: Rated) -> None:
    rated.take(TAGS)
    store = rated.services.store
    board = store.boards.create("north").board
    own = rated.rates
    for others in (Rate("caller:94", 1), Rate("address:192.0.2.2", 1)), ():
        store.commands.execute(Command("main", TAKE, ["T-1"], actor=ACTOR, rates=others))
    store.commands.execute(Command(board, TAKE, ["T-1"], actor=ACTOR, rates=own))
    rated.wait_s(MORE)


def test_a_refused_request_may_be_sent_again_with_its_idempotency_key(rated: Rated) -> None:
    change(rated.services, "main", 0)
    given = Preconditions(idempotency_key="k", fingerprint="f")
    rated.take(TAGS)
    rated.services.store.commands.execute(
        Command("main", TRANSITIONS["release"], ["T-1"], actor=ACTOR)
    )
    rated.wait_s(MORE, given)
    rated.client.delete(rated.key(0), rated.key(1))  # time passes
    first = rated.take(MORE, given)
    assert not first.is_replayed
    assert first.outcomes[1].changed
    again = rated.take(MORE, given)
    assert again.is_replayed
    assert again.outcomes == first.outcomes


def test_a_replay_is_charged_too_and_refused_without_forgetting_the_first_answer(
    rated: Rated,
) -> None:
    change(rated.services, "main", 0)
    given = Preconditions(idempotency_key="k", fingerprint="f")
    first = rated.take(MORE, given)
    rated.take(TAGS[:10])
    assert rated.take(MORE, given).is_replayed
    rated.wait_s(MORE, given)
    rated.client.delete(rated.key(0), rated.key(1))
    assert rated.take(MORE, given).outcomes == first.outcomes


# Operations, over HTTP


@pytest.fixture
def limited(settings: Settings) -> Iterator[Callable[..., tuple[Api, FlaskClient]]]:
    """The application with other settings; one operation a second unless they say otherwise."""
    made: list[Services] = []

    def limit(**changes: Any) -> tuple[Api, FlaskClient]:
        changes = {"operations_per_s": 1, **changes}
        services = Services.for_web(dataclasses.replace(settings, **changes))
        made.append(services)
        client = create_app(services).test_client()
        return Api(client, add_people(services), services), client

    yield limit
    for each in made:
        each.close()


def more(api: Api, who: str, **headers: str) -> TestResponse:
    """The answer to operations beyond that."""
    return api.batch("take", MORE, who, headers)


def use_up(api: Api, who: str = "holder", **headers: str) -> None:
    """Do at once what may be done at once."""
    assert api.batch("take", TAGS, who, headers).status_code == 200


def test_too_many_operations_are_a_problem_that_says_when_to_go_on(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited()
    use_up(api)
    refused = more(api, "holder")
    fields = assert_problem(refused, 429, "rate_limited")
    assert int(refused.headers["Retry-After"]) == fields["retry_after"] >= 1
    refused = api.batch("take", TAGS, "holder")
    assert_problem(refused, 429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 40


def test_a_limited_caller_may_still_look_and_others_may_still_do(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited()
    assert api.put("X-1").status_code == 201
    use_up(api)
    assert api.get("/main/items", who="holder").status_code == 200
    assert more(api, "holder").status_code == 429
    assert api.do("take", "X-1", "colleague").status_code == 200
    # All that changes an item counts: the supervisor has one put behind it.
    assert api.batch("block", TAGS, "supervisor", reason="x").status_code == 429


@pytest.mark.parametrize("credential", ["another token", "a session"])
def test_another_credential_of_the_same_worker_has_no_limit_of_its_own(
    limited: Callable[..., tuple[Api, FlaskClient]], credential: str
) -> None:
    api, client = limited()
    use_up(api)
    secret, _ = api.services.tokens.create("holder")
    if credential == "another token":
        api.people["again"] = {"Authorization": f"Bearer {secret}"}
    else:
        answer = client.post("/api/session", json={"token": secret})
        api.people["again"] = {"X-CSRF-Token": answer.get_json()["csrf_token"]}
    assert_problem(more(api, "again"), 429, "rate_limited")


def test_all_callers_of_an_address_share_its_limit(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited(operations_per_s=1000, address_operations_per_s=1)
    use_up(api, "holder")
    assert_problem(more(api, "colleague"), 429, "rate_limited")


def test_addresses_behind_a_proxy_count_apart(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited(operations_per_s=1000, address_operations_per_s=1, proxies=1)
    first, second = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    use_up(api, "holder", **first)
    assert more(api, "holder", **first).status_code == 429
    assert api.do("take", "T-1", "holder", headers=second).status_code == 404
    # What the client puts in front of what the proxy has seen is not believed.
    forged = {"X-Forwarded-For": "203.0.113.9, 192.0.2.1"}
    assert more(api, "holder", **forged).status_code == 429


def test_without_a_proxy_nobody_says_where_they_come_from(
    limited: Callable[..., tuple[Api, FlaskClient]],
) -> None:
    api, _ = limited(operations_per_s=1000, address_operations_per_s=1)
    use_up(api, "holder", **{"X-Forwarded-For": "192.0.2.1"})
    forged = {"X-Forwarded-For": "192.0.2.2"}
    assert more(api, "holder", **forged).status_code == 429


# Streams, counted in the process


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


# Streams, of a real deployment

PER_CALLER, PER_PROCESS = 5, 8
EVENT_SOURCE = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Deployment]:
    running = Deployment(
        tmp_path_factory.mktemp("state"),
        module_server.url,
        WEB_CONCURRENCY="1",
        OCCUPANCY_PROXIES="1",
        OCCUPANCY_STREAMS_PER_CALLER=str(PER_CALLER),
        OCCUPANCY_STREAMS_PER_PROCESS=str(PER_PROCESS),
    ).start()
    running.sign_in("admin", Role.ADMIN)
    yield running
    running.stop()


class Viewer:
    """A worker of its own, at an address of its own, that opens streams."""

    def __init__(self, deployment: Deployment, address: str = "") -> None:
        worker = f"w-{secrets.token_hex(4)}"
        services = deployment.services()
        services.workers.add(worker, name="Viewer", role=Role.OBSERVER)
        secret, _ = services.tokens.create(worker)
        self.deployment = deployment
        self.url = f"{deployment.url}/api/boards/main/events"
        address = address or f"198.51.100.{secrets.randbelow(250)}"
        self.headers = {"Authorization": f"Bearer {secret}", "X-Forwarded-For": address}

    def open(self, **headers: str) -> EventStream:
        return self.deployment.keep(EventStream(self.url, {**self.headers, **headers})).read()

    def open_many(self, count: int) -> list[EventStream]:
        streams = [self.open() for _ in range(count)]
        for stream in streams:
            assert stream.status == 200
            stream.wait_for("ready")
        return streams

    def head(self) -> requests.Response:
        return requests.head(self.url, headers=self.headers, timeout=10)


@pytest.fixture
def viewer(deployment: Deployment) -> Iterator[Viewer]:
    yield Viewer(deployment)
    deployment.close_streams()
    wait_until(lambda: open_streams(deployment) == 0, what="the streams' end")


def open_streams(deployment: Deployment) -> int:
    """Of a deployment with one process, whose figures are of this moment."""
    stats = deployment.request("GET", "/api/redis-connection-stats").json()
    return sum(each["streams"]["open"] for each in stats["workers"])


def assert_refused(stream: EventStream) -> None:
    """Refused as a program is told: by the status."""
    assert stream.status == 429
    assert stream.headers["content-type"] == "application/problem+json"
    assert int(stream.headers["retry-after"]) >= 1


def assert_put_off(stream: EventStream) -> None:
    """Put off as a browser is told, whose EventSource any other status would stop for good."""
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    stream.wait_for_end()
    assert [each.kind for each in stream.events] == ["degraded"]
    assert stream.events[0].data["detail"]
    assert stream.retry_ms is not None
    assert stream.retry_ms >= 2000


def test_a_caller_with_all_its_streams_is_refused_and_others_are_not(
    deployment: Deployment, viewer: Viewer
) -> None:
    viewer.open_many(PER_CALLER)
    assert_refused(viewer.open())
    assert_refused(viewer.open(Accept="*/*"))
    assert_put_off(viewer.open(**EVENT_SOURCE))
    assert open_streams(deployment) == PER_CALLER
    Viewer(deployment).open_many(1)


def test_closing_a_stream_makes_room_for_another(deployment: Deployment, viewer: Viewer) -> None:
    streams = viewer.open_many(PER_CALLER)
    for stream in streams[:2]:
        stream.close()
    wait_until(lambda: open_streams(deployment) == PER_CALLER - 2, what="the streams' end")
    viewer.open_many(2)
    assert_refused(viewer.open())


def test_a_full_process_refuses_everybody_and_goes_on_serving(
    deployment: Deployment, viewer: Viewer
) -> None:
    other, third = Viewer(deployment), Viewer(deployment)
    streams = viewer.open_many(PER_CALLER) + other.open_many(PER_PROCESS - PER_CALLER)
    assert_refused(other.open())
    assert_refused(third.open())
    assert_put_off(third.open(**EVENT_SOURCE))
    assert deployment.status_of("/readyz") == 200
    assert deployment.status_of("/api/boards/main/items") == 200
    change(deployment.services(), "main", 1, tag=f"T-{secrets.token_hex(4)}")
    for stream in streams:
        wait_until(functools.partial(stream.has, 2), what="the events")


def test_head_counts_as_no_stream(deployment: Deployment, viewer: Viewer) -> None:
    for _ in range(30):
        assert viewer.head().status_code == 200
    viewer.open_many(PER_CALLER)
    assert viewer.head().status_code == 200  # and a caller with all its streams may ask, too


def test_streams_that_are_opened_again_and_again_are_put_off(
    deployment: Deployment, viewer: Viewer
) -> None:
    for _ in range(100):  # twenty pass at once, and two a second
        stream = viewer.open()
        stream.close()
        if stream.status == 429:
            break
        wait_until(lambda: open_streams(deployment) == 0, what="the stream's end")
    assert_refused(viewer.open())
    Viewer(deployment).open_many(1)


def test_the_streams_are_counted_right_after_hundreds_have_been_cut(
    tmp_path: Path, module_server: RealServer
) -> None:
    limit = 500
    deployment = Deployment(
        tmp_path / "state",
        module_server.url,
        WEB_CONCURRENCY="1",
        OCCUPANCY_PROXIES="1",
        OCCUPANCY_STREAMS_PER_CALLER=str(limit),
        OCCUPANCY_STREAMS_PER_PROCESS=str(limit),
        OCCUPANCY_PREFIX=f"t-{secrets.token_hex(6)}",
    ).start()
    try:
        deployment.sign_in("admin", Role.ADMIN)
        for address in ("192.0.2.1", "192.0.2.2"):
            viewer = Viewer(deployment, address)
            streams = [viewer.open() for _ in range(limit)]
            assert {each.status for each in streams} == {200}
            assert_refused(Viewer(deployment).open())
            for number, stream in enumerate(streams):
                if number % 2:  # with a reset instead of an end
                    linger = struct.pack("ii", 1, 0)
                    stream.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                stream.close()
            wait_until(lambda: open_streams(deployment) == 0, what="the streams' end")
    finally:
        deployment.stop()


# Two processes, and Redis away


def test_both_processes_together_keep_one_limit(tmp_path: Path, own_server: RealServer) -> None:
    deployment = Deployment(
        tmp_path / "state", own_server.url, WEB_CONCURRENCY="2", OCCUPANCY_OPERATIONS_PER_S="5"
    ).start()
    try:
        deployment.sign_in("93", Role.WORKER)
        url = f"{deployment.url}/api/boards/main/items/T-1/take"
        statuses: list[int] = []

        def send() -> None:
            for _ in range(20):  # each on a connection of its own, and so on either process
                answer = requests.post(url, headers=deployment.headers, timeout=10)
                statuses.append(answer.status_code)
                if answer.status_code == 429:
                    assert int(answer.headers["Retry-After"]) >= 1

        started = time.monotonic()
        gevent.joinall([gevent.spawn(send) for _ in range(6)], raise_error=True)
        elapsed_s = time.monotonic() - started
        assert set(statuses) == {404, 429}  # there is no such item
        assert 50 <= statuses.count(404) <= 50 + 5 * elapsed_s + 1

        own_server.stop()
        answer = deployment.request("POST", "/api/boards/main/items/T-1/take")
        assert answer.status_code == 503
        assert answer.json()["code"] == "store_unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    finally:
        deployment.stop()
    trail = [json.loads(each) for each in deployment.log.splitlines() if each.startswith("{")]
    denied = [each for each in trail if each["event"] == "denied"]
    assert {each["worker"] for each in denied} == {"93"}
    # A line at once, and a count of the others, of each process.
    assert len(denied) <= 4
    assert sum(each.get("more", 1) for each in denied) == statuses.count(429)

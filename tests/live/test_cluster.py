"""Live delivery from a Cluster of real servers, while its slots move and its servers fail."""

from __future__ import annotations

import functools
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import gevent.pool
import pytest
from gevent.event import Event

from occupancy import create_app
from occupancy.core.entities import Role
from occupancy.core.errors import OccupancyError, RateLimited
from occupancy.core.settings import Settings
from occupancy.live.feed import Feed
from occupancy.live.limits import Place
from occupancy.services import Services
from occupancy.storage.topology.shard import slot_of
from tests.support.clusters import RealCluster, lose_replication
from tests.support.deployment import Deployment
from tests.support.pools import named
from tests.support.servers import RealServer
from tests.support.shop import change
from tests.support.sse_client import EventStream
from tests.support.waiting import wait_until
from tests.support.watching import Watching

FAULT_S = 20.0  # a promotion takes a second, more on a busy machine


@pytest.fixture(params=["valkey", "redis"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RealCluster]:
    """Three primaries and three replicas of the test's own."""
    made = RealCluster(request.param, tmp_path / "cluster")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def process(cluster: RealCluster, tmp_path: Path) -> Iterator[Callable[[], Services]]:
    """Makes the services of another process of one deployment."""
    made: list[Services] = []
    prefix = f"t-{secrets.token_hex(4)}"

    def make() -> Services:
        settings = Settings(
            redis_url=cluster.url, prefix=prefix, state_dir=str(tmp_path / f"state-{len(made)}")
        )
        services = Services.for_web(settings)
        made.append(services)
        services.topology.start()
        services.hub.start()
        wait_until(lambda: services.hub.trouble is None, what="live delivery")
        return services

    yield make
    for each in made:
        each.hub.drain(timeout_s=1.0)
        each.revocation.stop()
        each.close()


@pytest.fixture
def services(process: Callable[[], Services]) -> Services:
    return process()


def board_on(cluster: RealCluster, services: Services, server: RealServer) -> str:
    """A new board on that primary."""
    while True:
        name = f"b-{secrets.token_hex(4)}"
        if cluster.primary_of(services.store.keys.board(name).board) is server:
            return services.store.boards.create(name).board


def primary_of(cluster: RealCluster, services: Services, board: str) -> RealServer:
    return cluster.primary_of(services.store.keys.board(board).board)


def board_elsewhere(cluster: RealCluster, services: Services) -> str:
    """A new board on a primary that does not have the keys of access."""
    access = cluster.primary_of(services.store.keys.workers)
    return board_on(cluster, services, next(each for each in cluster.nodes[:3] if each != access))


def feed_of(services: Services, board: str) -> Feed:
    return next(each for each in services.hub._feeds.values() if board in each.logs)


def is_heard(services: Services, *boards: str) -> None:
    """Wait until publications of the boards are heard."""
    wait_until(
        lambda: all(
            feed_of(services, each).reader.subscription_of(each)
            and feed_of(services, each).trouble is None
            for each in boards
        ),
        what="the subscriptions",
    )


def changed(services: Services, board: str, tag: str) -> int:
    """Add an item, as soon as the board's server takes it; returns the seq of the event."""

    def try_it() -> bool:
        try:
            change(services, board, 0, tag=tag)
        except OccupancyError:
            return False
        return True

    wait_until(try_it, timeout_s=FAULT_S, what="an operation to succeed")
    return services.store.log.head(board).head_seq


def lose(services: Services, board: str, tag: str) -> None:
    """An event of which the publication is lost."""
    keys = services.store.keys.board(board)
    channel, keys.channel = keys.channel, f"nowhere:{{{board}}}"
    change(services, board, 0, tag=tag)
    keys.channel = channel


def promoted(
    cluster: RealCluster, services: Services, board: str, before: RealServer
) -> RealServer:
    """The board's new primary, when there is one."""
    return promoted_at(cluster, services.store.keys.board(board).board, before)


def promoted_at(cluster: RealCluster, key: str, before: RealServer) -> RealServer:
    def new_primary() -> RealServer | None:
        try:
            found = cluster.primary_of(key)
        except AssertionError:  # nobody has it now
            return None
        return found if found is not before else None

    return wait_until(new_primary, timeout_s=FAULT_S, what="the promotion")


def test_events_of_boards_on_every_shard_arrive_over_one_connection_to_each(
    cluster: RealCluster, services: Services
) -> None:
    boards = [board_on(cluster, services, each) for each in cluster.nodes[:3] for _ in range(2)]
    streams = [Watching(services, each) for each in boards]
    is_heard(services, *boards)
    for board in boards:
        change(services, board, 2)
    for stream in streams:
        stream.until_seq(3)
        assert stream.kinds == ["ready", "item", "item", "item"]
    for primary in cluster.nodes[:3]:
        assert len(named(primary, "occupancy-pubsub")) == 1
    for replica in cluster.nodes[3:]:
        assert named(replica, "occupancy-pubsub") == []
    for stream in streams:
        stream.end()


def test_a_board_that_is_watched_again_at_once_is_heard(
    cluster: RealCluster, services: Services
) -> None:
    board = services.store.boards.create("main-2").board
    for number in range(20):
        stream = Watching(services, board)
        if number % 2:
            is_heard(services, board)
        change(services, board, 0, tag=f"T-{number}")
        stream.until(b"T-%d" % number)
        stream.end()
    wait_until(
        lambda: not any(each.reader._subscribed.keys() & {services.store.keys.board(board).channel}
                        for each in services.hub._feeds.values()),
        what="the end of the subscription",
    )  # fmt: skip


def test_a_watched_board_whose_slot_moves_loses_nothing(
    cluster: RealCluster, services: Services
) -> None:
    source, target, bystander = cluster.nodes[:3]
    board, other = (board_on(cluster, services, each) for each in (source, bystander))
    streams = [Watching(services, each) for each in (board, other)]
    is_heard(services, board, other)
    last = 0
    mover = gevent.spawn(cluster.move_slot, slot_of(services.store.keys.board(board).board), target)
    while not mover.ready():
        last = changed(services, board, f"T-{last}")
    mover.get()
    wait_until(
        lambda: primary_of(cluster, services, board) is target, timeout_s=FAULT_S, what="the move"
    )
    last = changed(services, board, "LAST")
    wait_until(
        lambda: feed_of(services, board)._shard.address.endswith(f":{target.port}"),
        what="its feed",
    )
    streams[0].until_seq(last)
    is_heard(services, board)
    change(services, board, 0, tag="HEARD")
    streams[0].until(b"HEARD", timeout_s=1.5)  # a probe would take longer
    streams[0].assert_gapless()
    assert streams[1].kinds == ["ready"]
    if "degraded" in streams[0].kinds:
        streams[0].until(b"event: recovered")


def test_a_planned_failover_loses_nothing(cluster: RealCluster, services: Services) -> None:
    board, other = (board_on(cluster, services, each) for each in cluster.nodes[:2])
    before = primary_of(cluster, services, board)
    streams = [Watching(services, each) for each in (board, other)]
    is_heard(services, board, other)
    changed(services, board, "BEFORE")
    cluster.fail_over(cluster.replicas_of(before)[0])
    promoted(cluster, services, board, before)
    streams[0].until(b"event: reset", timeout_s=FAULT_S)
    is_heard(services, board)
    last = changed(services, board, "AFTER")
    streams[0].until_seq(last)
    streams[0].assert_gapless()
    assert streams[1].kinds == ["ready"]


def kill(server: RealServer) -> None:
    server.stop(signal.SIGKILL)


def freeze(server: RealServer) -> None:
    server.signal(signal.SIGSTOP)


@pytest.mark.parametrize("fault", [kill, freeze])
def test_a_failed_primary_concerns_its_boards_only(
    cluster: RealCluster, services: Services, fault: Callable[[RealServer], None]
) -> None:
    board = board_elsewhere(cluster, services)
    failed = primary_of(cluster, services, board)
    others = [board_on(cluster, services, each) for each in cluster.nodes[:3] if each != failed]
    streams = [Watching(services, each) for each in (board, *others)]
    is_heard(services, board, *others)
    seq = changed(services, board, "BEFORE")
    streams[0].until_seq(seq)
    fault(failed)
    promoted(cluster, services, board, failed)
    streams[0].until(b"event: reset", timeout_s=FAULT_S)
    last = changed(services, board, "AFTER")
    streams[0].until_seq(last)
    is_heard(services, board)
    kinds = streams[0].kinds
    if "degraded" in kinds:
        streams[0].until(b"event: recovered")
        assert kinds.index("reset") < streams[0].kinds.index("recovered")
    assert fault is freeze or "degraded" in kinds
    for number, each in enumerate(others):
        last = changed(services, each, f"OTHER-{number}")
    for stream in streams[1:]:
        stream.until(b"OTHER")
        assert stream.kinds == ["ready", "item"]
    if fault is freeze:  # what comes back disturbs nothing
        failed.signal(signal.SIGCONT)
        count = len(streams[0].kinds)
        wait_until(
            lambda: b"slave" in failed.client().execute_command("ROLE")[0],
            timeout_s=FAULT_S, what="the old primary to be a replica",
        )  # fmt: skip
        change(services, board, 0, tag="LATER")
        streams[0].until(b"LATER")
        assert streams[0].kinds[count:] == ["item"]
        assert named(failed, "occupancy-pubsub") == []
    streams[0].assert_gapless()


def test_lost_live_connections_are_replaced_and_what_was_missed_is_read(
    cluster: RealCluster, services: Services
) -> None:
    boards = [board_on(cluster, services, each) for each in cluster.nodes[:3]]
    streams = [Watching(services, each) for each in boards]
    is_heard(services, *boards)
    for number, primary in enumerate(cluster.nodes[:3]):
        for board in boards:
            lose(services, board, f"LOST-{number}")
        with primary.client() as admin:
            admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        streams[number].until(b"LOST-%d" % number)
        is_heard(services, *boards)
        for board in boards:
            change(services, board, 0, tag=f"NEXT-{number}")
        for stream in streams:
            stream.until(b"NEXT-%d" % number)
    for stream in streams:
        stream.assert_gapless()
        assert set(stream.kinds) == {"ready", "item"}


def test_every_process_resets_its_streams_when_acknowledged_writes_are_lost(
    cluster: RealCluster, process: Callable[[], Services]
) -> None:
    one, two = process(), process()
    board = board_elsewhere(cluster, one)
    failed = primary_of(cluster, one, board)
    streams = [Watching(each, board) for each in (one, two)]
    for each in (one, two):
        is_heard(each, board)
    seq = changed(one, board, "KEPT")
    lose_replication(failed)
    lost = change(one, board, 3, tag="LOST")
    for stream in streams:
        stream.until_seq(seq + 4)
    kill(failed)
    promoted(cluster, one, board, failed)
    changed(one, board, "NEXT")
    for stream in streams:
        stream.until(b"event: reset", timeout_s=FAULT_S)
        assert lost in [id_ for _, id_, _ in stream.events]
    assert not one.store.log.replay(board, lost, 10).is_known
    head = one.store.log.head(board)
    assert head.version_floor > 0
    for stream in streams:
        resets = [data for kind, _, data in stream.events if kind == "reset"]
        assert resets[-1]["version_floor"] == head.version_floor
    for stream, each in zip(streams, (one, two), strict=True):
        stream.until_seq(head.head_seq)
        is_heard(each, board)
        stream.assert_gapless()
    change(one, board, 0, tag="HEARD")
    for stream in streams:
        stream.until(b"HEARD")
        stream.end()


def test_an_entry_that_follows_another_than_the_last_one_is_not_taken(
    cluster: RealCluster, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number fits, the predecessor does not: the stream is at a lost event of that number."""
    board = board_elsewhere(cluster, services)
    failed = primary_of(cluster, services, board)
    stream = Watching(services, board)
    is_heard(services, board)
    seq = changed(services, board, "KEPT")
    lose_replication(failed)
    change(services, board, 1, tag="LOST")  # seq + 1, seq + 2
    stream.until_seq(seq + 2)
    may_look = Event()
    heads = services.store.log.heads
    monkeypatch.setattr(services.store.log, "promote", lambda boards: may_look.wait(FAULT_S))
    monkeypatch.setattr(
        services.store.log, "heads", lambda boards: may_look.wait(FAULT_S) and heads(boards)
    )
    kill(failed)
    promoted(cluster, services, board, failed)
    wait_until(
        lambda: not feed_of(services, board)._shard.address.endswith(f":{failed.port}")
        and feed_of(services, board).reader.subscription_of(board),
        timeout_s=FAULT_S, what="the subscription",
    )  # fmt: skip
    keys = services.store.keys.board(board)
    channel, keys.channel = keys.channel, f"nowhere:{{{board}}}"
    assert changed(services, board, "UNHEARD") == seq + 1
    assert changed(services, board, "UNHEARD-2") == seq + 2
    keys.channel = channel
    assert changed(services, board, "FITS") == seq + 3
    stream.until(b"event: reset")
    stream.assert_gapless()
    assert b"FITS" not in stream.received.partition(b"event: reset")[0]
    may_look.set()
    stream.end()


def test_a_revocation_is_heard_at_once_also_after_its_server_has_failed(
    cluster: RealCluster, services: Services
) -> None:
    heard: list[bytes | None] = []
    services.hub.on_access_changed = heard.append
    services.workers.add("93", name="Worker 93", role=Role.OBSERVER)
    services.workers.sign_out("93")
    wait_until(lambda: is_announced(heard), what="the announcement")
    heard.clear()
    failed = cluster.primary_of(services.store.keys.workers)
    kill(failed)
    promoted_at(cluster, services.store.keys.workers, failed)
    wait_until(lambda: None in heard, timeout_s=FAULT_S, what="the new subscription")
    wait_until(lambda: services.hub.trouble is None, timeout_s=FAULT_S, what="live delivery")
    heard.clear()
    services.workers.sign_out("93")
    wait_until(lambda: is_announced(heard), what="the announcement")


def is_announced(heard: list[bytes | None]) -> bool:
    return any(each is not None and each.endswith(b" 93") for each in heard)


def test_trouble_with_one_shard_leaves_the_process_ready(
    cluster: RealCluster, services: Services
) -> None:
    client = create_app(services).test_client()
    board = board_elsewhere(cluster, services)
    failed = primary_of(cluster, services, board)
    stream = Watching(services, board)
    is_heard(services, board)
    assert client.get("/readyz").json == {"status": "ready"}
    kill(cluster.replicas_of(failed)[0])  # so that nobody is promoted
    kill(failed)
    stream.until(b"event: degraded")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    body: Any = answer.json
    assert body["status"] == "ready"
    assert f"127.0.0.1:{failed.port}" in body["impaired"]
    failed.start()
    stream.until(b"event: recovered", timeout_s=FAULT_S)
    wait_until(
        lambda: client.get("/readyz").json == {"status": "ready"},
        timeout_s=FAULT_S, what="readiness without trouble",
    )  # fmt: skip
    stream.end()


def test_a_process_without_the_server_of_access_is_not_ready(
    cluster: RealCluster, services: Services
) -> None:
    client = create_app(services).test_client()
    failed = cluster.primary_of(services.store.keys.workers)
    kill(failed)

    def is_live_a_reason() -> bool:
        answer = client.get("/readyz")
        body: Any = answer.json
        # Named once: as a reason, not among the servers that impair some boards only.
        assert f"127.0.0.1:{failed.port}" not in body.get("impaired", {})
        return answer.status_code == 503 and "live" in body["reasons"]

    wait_until(is_live_a_reason, what="it not to be ready")
    promoted_at(cluster, services.store.keys.workers, failed)
    wait_until(
        lambda: client.get("/readyz").status_code == 200, timeout_s=FAULT_S, what="readiness"
    )


def test_a_full_process_opens_streams_as_soon_as_another_server_is_promoted(
    cluster: RealCluster, tmp_path: Path
) -> None:
    """With the smallest budget, whose slots are of each server."""
    settings = Settings(
        redis_url=cluster.url, prefix=f"t-{secrets.token_hex(4)}", redis_budget=8,
        redis_reserved=2, processes=1, streams_per_process=20, state_dir=str(tmp_path / "full"),
    )  # fmt: skip
    services = Services.for_web(settings)
    assert (services.budget.ops, services.budget.pubsub, services.budget.topology) == (1, 1, 1)
    try:
        services.topology.start()
        services.hub.start()
        board = services.store.boards.create("full").board
        place = Place("93", "credential", "192.0.2.1")
        for _ in range(settings.streams_per_process):
            services.stream_limits.hold(place)
        streams = [Watching(services, board) for _ in range(settings.streams_per_process)]
        is_heard(services, board)
        failed = primary_of(cluster, services, board)
        kill(failed)
        key = services.store.keys.board(board).board
        promoted = promoted_at(cluster, key, failed)
        wait_until(
            lambda: str(promoted.port) in getattr(services.topology.shard_of(key), "address", ""),
            timeout_s=FAULT_S, what="the promotion to be known",
        )  # fmt: skip
        with pytest.raises(RateLimited):
            services.stream_limits.check(place)
        streams.pop().end()
        services.stream_limits.give_back(place)
        services.stream_limits.check(Place("94", "another", "192.0.2.2"))
        opened = Watching(services, board)  # waits for "ready", at the first attempt
        change(services, board, 1)
        seq = services.store.log.head(board).head_seq
        for each in (*streams, opened):
            each.until_seq(seq, timeout_s=FAULT_S)  # by the event, or by a reset beyond it
            each.end()
    finally:
        services.hub.drain(timeout_s=1.0)
        services.revocation.stop()
        services.close()


def test_two_processes_of_gunicorn_serve_their_streams_through_a_failover(
    cluster: RealCluster, tmp_path: Path
) -> None:
    deployment = Deployment(tmp_path / "gunicorn", cluster.url, WEB_CONCURRENCY="2").start()
    try:
        deployment.sign_in("watcher", Role.OBSERVER)
        shop = deployment.services()
        shop.topology.start()
        board = board_elsewhere(cluster, shop)
        failed = primary_of(cluster, shop, board)
        other = board_on(cluster, shop, next(e for e in cluster.nodes[:3] if e is not failed))
        untouched = deployment.stream(other)
        untouched.wait_for("ready")
        streams: list[EventStream] = []

        def is_on_both() -> bool:
            streams.append(deployment.stream(board))
            streams[-1].wait_for("ready")
            return len(named(failed, "occupancy-pubsub")) == 2

        wait_until(is_on_both, what="streams of both processes")
        changed(shop, board, "BEFORE")
        for each in streams:
            wait_until(functools.partial(each.has, 1), what="the event")
        kill(failed)
        promoted(cluster, shop, board, failed)
        changed(shop, board, "AFTER")
        for each in streams:
            each.wait_for("reset", timeout_s=FAULT_S)
            each.wait_for("recovered", timeout_s=FAULT_S)
        last = changed(shop, board, "LIVE")
        for each in streams:
            wait_until(lambda each=each: each.seqs()[-1] == last, what="the event")  # type: ignore[misc] # bound now
            assert not each.has_ended
        assert [event.kind for event in untouched.events] == ["ready"]
        assert all(deployment.status_of("/readyz") == 200 for _ in range(8))
        shop.workers.edit("watcher", disabled=True)
        for each in [*streams, untouched]:
            each.wait_for("bye", timeout_s=5)
    finally:
        deployment.stop()


def _counted(
    sent: list[int],
    caller: object,
    exchange: Callable[..., Any],
    commands: Sequence[Any],
    **options: Any,
) -> Any:
    """Count the commands of one greenlet: the feed's own probe may run at the same moment."""
    if gevent.getcurrent() is caller:
        sent.append(len(commands))
    return exchange(commands, **options)


def test_many_quiet_boards_cost_a_round_trip_for_each_shard(
    cluster: RealCluster, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = [f"q-{number}" for number in range(1000)]
    making = gevent.pool.Pool(8)
    making.map(services.store.boards.create, boards)
    subscribers = [services.hub.subscribe(each) for each in boards]
    making.map(lambda each: each.log.open(), subscribers)
    wait_until(
        lambda: (
            services.hub.troubles() == {}
            and sum(len(each.reader._subscribed) for each in services.hub._feeds.values()) == 1001
        ),
        what="the subscriptions",
    )
    feeds = list(services.hub._feeds.values())
    assert sum(len(each.logs) for each in feeds) == 1000
    for primary in cluster.nodes[:3]:
        assert len(named(primary, "occupancy-pubsub")) == 1
    for feed in feeds:
        feed.compare()  # now none is new
        sent: list[int] = []
        count = functools.partial(_counted, sent, gevent.getcurrent(), feed._shard.client.exchange)
        monkeypatch.setattr(feed._shard.client, "exchange", count)
        feed.compare()
        assert sent == [len(feed.logs)]
    for each in subscribers:
        services.hub.unsubscribe(each)

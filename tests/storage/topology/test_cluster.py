"""The Cluster on real servers, three primaries and three replicas: each change is followed.

The servers are shared by the tests of a kind, and each test leaves them whole.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import redis

from occupancy.core.errors import PoolTimeout, StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.storage.budget import plan
from occupancy.storage.scripts import Script
from occupancy.storage.topology.cluster import Cluster
from occupancy.storage.topology.factory import topology_of
from occupancy.storage.topology.shard import slot_of
from tests.support.clusters import RealCluster
from tests.support.servers import BINARIES, RealServer
from tests.support.waiting import wait_until

COUNT = "return redis.call('INCR', KEYS[1])"


@pytest.fixture(scope="module", params=BINARIES)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealCluster]:
    made = RealCluster(request.param, tmp_path_factory.mktemp("cluster"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def topologies(cluster: RealCluster, tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Makes topologies of processes that share the budget of this machine."""
    made: list[Any] = []

    def make(url: str = "", **options: Any) -> Any:
        fields = {"pool_wait_s": 4.0, "redis_timeout_s": 2.0, "redis_budget": 30, "processes": 1}
        settings = Settings(
            redis_url=url or cluster.url, state_dir=str(tmp_path), **{**fields, **options}
        )
        made.append(topology_of(settings, plan(settings)))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def topology(topologies: Callable[..., Cluster]) -> Cluster:
    return topologies()


def keys_of_each(cluster: RealCluster) -> list[str]:
    """A key on each primary."""
    found: dict[int, str] = {}
    while len(found) < cluster.primary_count:
        key = f"{{b-{secrets.token_hex(4)}}}:key"
        found.setdefault(cluster.primary_of(key).port, key)
    return list(found.values())


def value_of(cluster: RealCluster, key: str) -> Any:
    with cluster.primary_of(key).client() as admin:
        return admin.get(key)


@contextlib.contextmanager
def migrating(cluster: RealCluster, slot: int) -> Iterator[tuple[RealServer, RealServer]]:
    """The slot is on its way from the first server to the second; no key has moved yet."""
    source, target = cluster.begin_move(slot)
    try:
        yield source, target
    finally:
        cluster.end_move(slot, source, target)


# Commands go to the shard of their keys


def test_commands_pipelines_and_transactions_reach_every_shard(
    cluster: RealCluster, topology: Cluster
) -> None:
    keys, client = keys_of_each(cluster), topology.client
    for number, key in enumerate(keys):
        client.set(key, number)
    assert [int(value_of(cluster, key)) for key in keys] == [0, 1, 2]
    counted = client.run_pipeline(lambda each: [each.incr(key) for key in keys * 2])
    assert counted == [1, 2, 3, 2, 3, 4]
    counted = client.read_each_atomically([
        lambda each, key=key: (each.time(), each.get(key)) for key in keys  # type: ignore[misc] # mypy infers no lambda with defaults
    ])  # fmt: skip
    assert [found for _, found in counted] == [b"2", b"3", b"4"]
    assert client.run_pipeline(
        lambda each: (each.get(keys[1]), each.incr(keys[1])), transaction=True
    ) == [b"3", 4]
    assert client.ping()
    assert client.time()
    assert client.publish("somewhere", "x") == 0


def test_an_error_of_one_shard_stands_in_the_place_of_its_replies(
    cluster: RealCluster, topology: Cluster
) -> None:
    keys = keys_of_each(cluster)
    topology.client.run_pipeline(lambda each: [each.set(key, "1") for key in keys])
    topology.client.lpush(keys[0] + ":list", "x")
    found = topology.client.run_separately(
        lambda each: (each.get(keys[0] + ":list"), each.get(keys[1]), each.get(keys[2]))
    )
    assert isinstance(found[0], redis.ResponseError)
    assert found[1:] == [b"1", b"1"]
    with pytest.raises(redis.ResponseError):
        topology.client.run_pipeline(lambda each: [each.get(keys[1]), each.get(keys[0] + ":list")])


def test_a_script_is_loaded_at_every_shard_that_gets_calls_of_it(
    cluster: RealCluster, topology: Cluster
) -> None:
    script = Script(topology.client, "access/use_ticket")
    for each in cluster.nodes:
        with each.client() as admin:
            admin.script_flush()
    keys = keys_of_each(cluster)
    assert script.run_many([([key], ["a", 5]) for key in keys * 3]) == [None] * 9
    for key in keys:
        with cluster.primary_of(key).client() as admin:
            assert admin.script_exists(script.sha1) == [True]


# A slot moves


def test_operations_go_on_while_a_board_moves(cluster: RealCluster, topology: Cluster) -> None:
    key = keys_of_each(cluster)[0]
    slot, client = slot_of(key), topology.client
    done: list[int] = []

    def work() -> None:
        while len(done) < 10_000:
            done.append(client.execute_command("EVAL", COUNT, 1, key))
            gevent.sleep(0.001)

    working = gevent.spawn(work)
    wait_until(lambda: len(done) > 20)
    source = cluster.primary_of(key)
    cluster.move_slot(slot, next(each for each in cluster.primaries() if each is not source))
    moved = len(done)
    wait_until(lambda: len(done) > moved + 20 or working.ready(), what="operations after the move")
    working.kill()
    assert working.exception is None
    assert done == list(range(1, len(done) + 1))
    assert cluster.primary_of(key) is not source
    assert str(cluster.primary_of(key).port) in topology.owner(slot).address


def test_a_move_raises_the_incarnation_of_the_board(
    cluster: RealCluster, topology: Cluster
) -> None:
    key = keys_of_each(cluster)[0]
    topology.client.get(key)
    before = topology.owner(slot_of(key)).incarnation
    source = cluster.primary_of(key)
    cluster.move_slot(
        slot_of(key), next(each for each in cluster.primaries() if each is not source)
    )
    topology.client.get(key)
    assert topology.owner(slot_of(key)).incarnation > before


@pytest.mark.parametrize("way", ["command", "script", "pipeline", "transaction"])
def test_keys_that_have_moved_already_are_found_during_a_migration(
    cluster: RealCluster, topology: Cluster, way: str
) -> None:
    """ASK: some keys of the slot are here, some there."""
    key = keys_of_each(cluster)[0]
    other = keys_of_each(cluster)[1]
    gone, stays = key + ":gone", key + ":stays"
    client = topology.client
    client.run_pipeline(lambda each: [each.set(name, "5") for name in (gone, stays)])
    client.set(other, "5")
    with migrating(cluster, slot_of(key)) as (source, target):
        cluster.move_key(gone, source=source, target=target)
        names = (stays, gone, other, gone)
        if way == "command":
            assert [client.incr(name) for name in names] == [6, 6, 6, 7]
        elif way == "script":
            found = [client.execute_command("EVAL", COUNT, 1, name) for name in names]
            assert found == [6, 6, 6, 7]
        elif way == "pipeline":
            found = client.run_pipeline(lambda each: [each.incr(name) for name in names])
            assert found == [6, 6, 6, 7]
        else:
            for name in (stays, gone):
                found = client.run_pipeline(
                    functools.partial(_increment_and_get, name), transaction=True
                )
                assert found == [6, b"6"]
            read = [functools.partial(_get_and_measure, name) for name in names]
            found = client.read_each_atomically(read)
            assert found == [[b"6", 1], [b"6", 1], [b"5", 1], [b"6", 1]]
    for name in (gone, stays):
        assert int(value_of(cluster, name)) == (7 if name == gone and way != "transaction" else 6)


def test_a_script_that_the_new_server_does_not_know_is_sent_with_its_source(
    cluster: RealCluster, topology: Cluster
) -> None:
    key = keys_of_each(cluster)[0]
    script = Script(topology.client, "access/use_ticket")
    script.run([key], ["a", 5])
    source = cluster.primary_of(key)
    target = next(each for each in cluster.primaries() if each is not source)
    with target.client() as admin:
        admin.script_flush()
    cluster.move_slot(slot_of(key), target)
    assert script.run([key], ["a", 5]) is None
    with target.client() as admin:
        admin.script_flush()
    assert script.run_many([([key], ["a", 5])] * 3) == [None] * 3


@pytest.mark.parametrize("way", ["command", "pipeline", "transaction"])
def test_what_cannot_be_served_during_a_migration_waits_for_its_end_or_for_the_pool_wait(
    cluster: RealCluster, topologies: Callable[..., Cluster], way: str
) -> None:
    """TRYAGAIN: of two keys that a command names, one has moved."""
    key = keys_of_each(cluster)[0]
    names = [key + ":1", key + ":2"]
    client = topologies(pool_wait_s=0.5).client

    def run() -> Any:
        if way == "command":
            return client.mget(names)
        return client.run_pipeline(lambda each: each.mget(names), transaction=way != "pipeline")[0]

    client.run_pipeline(lambda each: [each.set(name, "5") for name in names])
    with migrating(cluster, slot_of(key)) as (source, target):
        cluster.move_key(names[0], source=source, target=target)
        began = time.monotonic()
        with gevent.Timeout(20), pytest.raises(StoreUnavailable) as caught:
            run()
        assert time.monotonic() - began >= 0.5
        assert caught.value.code == "store_unavailable"
        assert caught.value.extra["retry_after"]
        patient = topologies(pool_wait_s=10).client
        waiting = gevent.spawn(patient.mget, names)
        gevent.sleep(0.2)
        assert not waiting.ready()
    assert waiting.get(timeout=10) == [b"5", b"5"]
    assert run() == [b"5", b"5"]


# A primary is replaced


def test_a_planned_failover_is_followed_without_an_error(
    cluster: RealCluster, topology: Cluster
) -> None:
    key = keys_of_each(cluster)[0]
    client = topology.client
    client.set(key, 0)
    before, old = topology.owner(slot_of(key)).incarnation, cluster.primary_of(key)
    (replica, *_) = cluster.replicas_of(old)
    cluster.fail_over(replica)
    assert client.incr(key) == 1
    assert topology.owner(slot_of(key)).incarnation > before
    assert cluster.primary_of(key) is replica
    assert len(topology.shards()) == 3


def test_only_the_boards_of_a_killed_primary_are_away_until_the_promotion(
    cluster: RealCluster, topologies: Callable[..., Cluster]
) -> None:
    topology = topologies(redis_timeout_s=1.0)
    topology.start()
    killed_key, *others = keys_of_each(cluster)
    client = topology.client
    client.run_pipeline(lambda each: [each.set(key, 0) for key in (killed_key, *others)])
    killed = cluster.primary_of(killed_key)
    killed.stop(signal.SIGKILL)
    failures = 0

    def is_back() -> bool:
        nonlocal failures
        for each in others:
            client.incr(each)
        try:
            client.incr(killed_key)
        except StoreUnavailable:
            failures += 1
            return False
        return True

    try:
        wait_until(is_back, timeout_s=20, what="the promotion")
        assert failures  # and before each, the others were served
        found = client.run_separately(lambda each: [each.get(key) for key in (killed_key, *others)])
        assert all(isinstance(each, bytes) for each in found)
    finally:
        killed.start()
        wait_until(cluster.is_whole, timeout_s=30, what="the cluster to be whole")


def test_a_hung_primary_hurts_only_its_own_boards(
    cluster: RealCluster, topologies: Callable[..., Cluster]
) -> None:
    topology = topologies(pool_wait_s=1.0, redis_timeout_s=2.0, ops_pool_size=3)
    hung_key, *others = keys_of_each(cluster)
    client = topology.client
    client.run_pipeline(lambda each: [each.set(key, 0) for key in (hung_key, *others)])
    hung = cluster.primary_of(hung_key)
    pool = topology.owner(slot_of(hung_key)).ops_pool
    hung.signal(signal.SIGSTOP)
    try:
        stuck = [gevent.spawn(client.incr, hung_key) for _ in range(12)]
        wait_until(lambda: pool.stats()["waiting"] >= 9, what="the pool to be exhausted")
        served = 0
        while not any(each.ready() for each in stuck):
            client.run_pipeline(lambda each: [each.incr(key) for key in others])
            served += not any(each.ready() for each in stuck)
            gevent.sleep(0.01)
        assert served > 1
        gevent.joinall(stuck, timeout=20)
        assert {type(each.exception) for each in stuck} == {PoolTimeout, StoreUnavailable}
    finally:
        hung.signal(signal.SIGCONT)
        wait_until(cluster.is_whole, timeout_s=30, what="the cluster to be whole")
    assert pool.stats()["in_use"] == 0
    wait_until(lambda: _succeeds(client.incr, hung_key), timeout_s=20, what="its boards")


def test_a_server_that_does_not_answer_is_a_suspect_from_the_first_operation_on(
    cluster: RealCluster, topologies: Callable[..., Cluster]
) -> None:
    """So the next operation asks who serves its board, and does not run into it as well."""
    topology = topologies(pool_wait_s=1.0, redis_timeout_s=0.5)
    key = keys_of_each(cluster)[0]
    topology.client.set(key, 0)
    shard, primary = topology.owner(slot_of(key)), cluster.primary_of(key)
    assert not shard.is_suspect
    primary.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            topology.client.incr(key)
        assert shard.is_suspect
    finally:
        primary.signal(signal.SIGCONT)
        wait_until(cluster.is_whole, timeout_s=30, what="the cluster to be whole")
    wait_until(lambda: _succeeds(topology.client.incr, key), timeout_s=20, what="its boards")


def test_a_slot_without_a_server_is_waited_for_and_then_refused(
    cluster: RealCluster, topologies: Callable[..., Cluster]
) -> None:
    """CLUSTERDOWN."""
    key = keys_of_each(cluster)[0]
    slot, client = slot_of(key), topologies(pool_wait_s=0.5).client
    patient = topologies(pool_wait_s=10).client
    client.set(key, "5")
    assert patient.get(key) == b"5"  # so that it knows the owner, which will refuse it
    owner = cluster.primary_of(key)
    with owner.client() as admin:

        def refusals() -> int:
            errors: Any = admin.info("errorstats")
            return int(errors.get("errorstat_CLUSTERDOWN", {"count": 0})["count"])

        for each in cluster.nodes:
            with each.client() as other:
                other.execute_command("CLUSTER", "DELSLOTS", slot)
        try:
            with gevent.Timeout(20), pytest.raises(StoreUnavailable):
                client.get(key)
            before = refusals()
            waiting = gevent.spawn(patient.get, key)
            wait_until(lambda: refusals() > before, what="it to be refused")
            assert not waiting.ready()
        finally:
            admin.execute_command("CLUSTER", "ADDSLOTS", slot)
            wait_until(cluster.is_whole, timeout_s=30, what="the cluster to be whole")
    assert waiting.get(timeout=10) == b"5"
    assert client.get(key) == b"5"


# A lost answer


@pytest.mark.parametrize("way", ["command", "pipeline", "transaction"])
def test_what_may_have_run_is_not_sent_again(
    cluster: RealCluster, topology: Cluster, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    key = keys_of_each(cluster)[0]
    client = topology.client
    client.set(key, 0)
    connection: Any = topology.owner(slot_of(key)).ops_pool.pool.queue[-1]
    read = type(connection).read_response

    lost: list[bool] = []

    def lose(self: Any, *args: Any, **options: Any) -> Any:
        reply = read(self, *args, **options)
        if not lost:
            lost.append(reply)
            self.disconnect()
            raise redis.ConnectionError("the answer is lost")
        return reply

    with monkeypatch.context() as patch, pytest.raises(StoreUnavailable):
        patch.setattr(type(connection), "read_response", lose)
        if way == "command":
            client.execute_command("EVAL", COUNT, 1, key)
        else:
            client.run_pipeline(
                lambda each: each.eval(COUNT, 1, key), transaction=way == "transaction"
            )
    gevent.sleep(0.3)  # time in which it would be sent again
    assert int(value_of(cluster, key)) == 1


# Connections


def test_connections_stay_within_the_budget_on_each_server(
    cluster: RealCluster, topologies: Callable[..., Cluster]
) -> None:
    made = [topologies(redis_budget=12, ops_pool_size=2) for _ in range(3)]
    for each in made:
        each.start()
    keys, most = keys_of_each(cluster), 0
    until = time.monotonic() + 8
    served: set[tuple[int, str]] = set()

    def work(topology: Cluster, key: str) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(StoreUnavailable, PoolTimeout):
                topology.client.get(key)
                served.add((made.index(topology), key))
            gevent.sleep(0)

    working = [gevent.spawn(work, each, key) for each in made for key in keys for _ in range(4)]
    moved = False
    while time.monotonic() < until:
        for server in cluster.nodes:
            with server.client() as admin:
                ours = [
                    each for each in admin.client_list() if each["name"].startswith("occupancy-")
                ]
            most = max(most, len(ours))
        if not moved:
            moved = True
            cluster.fail_over(cluster.replicas_of(cluster.primary_of(keys[0]))[0])
        gevent.sleep(0.05)
    gevent.joinall(working, timeout=10, raise_error=True)
    assert served == {(number, key) for number in range(3) for key in keys}
    assert 2 <= most <= 12
    for each in made:
        each.stop()
        assert all(shard.ops_pool.stats()["in_use"] == 0 for shard in each.shards())
    for server in cluster.nodes:
        wait_until(lambda server=server: not _ours(server), what="all to be closed")  # type: ignore[misc] # mypy infers no lambda with defaults


def _increment_and_get(name: str, pipeline: Any) -> None:
    pipeline.incr(name)
    pipeline.get(name)


def _get_and_measure(name: str, pipeline: Any) -> None:
    pipeline.get(name)
    pipeline.strlen(name)


def _ours(server: RealServer) -> list[Any]:
    with server.client() as admin:
        return [each for each in admin.client_list() if each["name"].startswith("occupancy-")]


def _succeeds(call: Callable[..., Any], *args: Any) -> bool:
    try:
        call(*args)
    except (StoreUnavailable, PoolTimeout):
        return False
    return True

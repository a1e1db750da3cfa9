"""Statistics, health and promotions of a deployment with several servers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy.core.entities import Role
from occupancy.core.errors import OccupancyError
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.storage.topology.shard import slot_of
from tests.support.applications import application
from tests.support.clusters import RealCluster, RealSentinels
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RealCluster]:
    made = RealCluster("valkey", tmp_path / "cluster")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[RealSentinels]:
    made = RealSentinels("valkey", tmp_path / "sentinels")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Services]]:
    made: list[Services] = []
    yield made
    for each in made:
        each.hub.drain(timeout_s=1.0)
        each.revocation.stop()
        each.close()


def begin(processes: list[Services], url: str, tmp_path: Path, count: int = 1) -> list[Services]:
    for _ in range(count):
        settings = Settings(redis_url=url, state_dir=str(tmp_path / "state"))
        services = Services.for_web(settings)
        services.topology.start()
        services.hub.start()
        processes.append(services)
    first = processes[0]
    wait_until(lambda: len(first.processes.all()) == count, what="the reports")
    return processes


def stats_of(services: Services) -> dict[str, Any]:
    return services.process_report.connection_stats()


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_each_server_of_a_cluster_is_counted_against_the_budget(
    cluster: RealCluster, processes: list[Services], tmp_path: Path
) -> None:
    one, other = begin(processes, cluster.url, tmp_path, count=2)
    for number in range(20):
        one.store.boards.create(f"b{number}")
    found = stats_of(one)
    primaries = [each for each in found["servers"] if each["role"] == "primary"]
    replicas = [each for each in found["servers"] if each["role"] == "replica"]
    assert len(primaries) == len(replicas) == 3
    assert {each["primary"] for each in replicas} == {each["address"] for each in primaries}
    assert all(0 < each["used"] <= each["limit"] == 50 for each in found["servers"])
    # The connection that counts counts itself.
    assert all(each["topology"] >= 1 for each in found["servers"])
    for name in ("connected", "ops", "pubsub", "topology", "other"):
        assert found["server"][name] == sum(each[name] for each in primaries)
    assert sum(each["boards"]["count"] for each in primaries) == 21  # with main
    named = {name: each["address"] for each in primaries for name in each["boards"]["names"]}
    assert named.keys() == {"main", *(f"b{number}" for number in range(20))}
    for name, address in named.items():
        assert port_of(address) == cluster.primary_of(one.store.keys.board(name).board).port
    for worker in found["workers"]:
        assert worker["ops"]["max"] == sum(each["ops"]["max"] for each in worker["shards"])
        assert worker["pubsub"]["in_use"] == sum(
            each["pubsub"]["in_use"] for each in worker["shards"]
        )
    assert {each["process"] for each in found["workers"]} == {
        one.process_name, other.process_name,
    }  # fmt: skip


def test_a_server_that_hangs_is_unreachable_and_delays_the_others_once(
    cluster: RealCluster, processes: list[Services], tmp_path: Path
) -> None:
    (services,) = begin(processes, cluster.url, tmp_path)
    replicas = cluster.nodes[3:]
    for each in replicas:
        each.signal(signal.SIGSTOP)
    with gevent.Timeout(4):  # three of them, one after the other, and their timeouts
        found = stats_of(services)
    assert [each["status"] for each in found["servers"]] == ["healthy"] * 3 + ["unreachable"] * 3
    assert all(each["detail"] for each in found["servers"][3:])
    for each in replicas:
        each.signal(signal.SIGCONT)


def test_health_says_which_server_is_away_and_what_with_it(
    cluster: RealCluster, processes: list[Services], tmp_path: Path
) -> None:
    (services,) = begin(processes, cluster.url, tmp_path)
    access = cluster.primary_of(services.store.keys.workers)
    assert services.public_figures.health()["status"] == "healthy"
    other = next(each for each in cluster.nodes[:3] if each is not access)
    for each in cluster.replicas_of(other):
        each.stop(signal.SIGKILL)
    other.stop(signal.SIGKILL)

    def partly() -> Any:
        found = services.public_figures.health()
        return found if "detail" in found else None

    found = wait_until(partly, what="the loss")
    assert found["status"] == "healthy"
    assert f"127.0.0.1:{other.port} does not answer" in found["detail"]
    for each in cluster.replicas_of(access):
        each.stop(signal.SIGKILL)
    access.stop(signal.SIGKILL)
    found = wait_until(
        lambda: (found := services.public_figures.health())["status"] == "unhealthy" and found,
        what="the loss of access",
    )
    assert "access" in found["detail"]
    answered = [each for each in found["servers"] if each["status"] == "healthy"]
    assert len(answered) == 2  # the third primary and its replica
    assert all(each["latency_ms"] is not None for each in answered)
    # The figures of the servers that are left can still be read.
    left = [
        each["address"] for each in stats_of(services)["servers"] if each["status"] == "healthy"
    ]
    assert left == [each["address"] for each in answered]


def test_names_of_boards_are_for_supervisors(
    cluster: RealCluster, processes: list[Services], tmp_path: Path
) -> None:
    (services,) = begin(processes, cluster.url, tmp_path)
    client = application(services).test_client()

    def names(**headers: str) -> set[str]:
        found: Any = client.get("/api/redis-connection-stats", headers=headers).get_json()
        return {
            name for each in found["servers"] if each["boards"] for name in each["boards"]["names"]
        }

    assert names() == set()
    for role, seen in ((Role.WORKER, set()), (Role.SUPERVISOR, {"main"})):
        services.workers.add(role.label, name="Somebody", role=role)
        secret, _ = services.tokens.create(role.label)
        assert names(Authorization=f"Bearer {secret}") == seen


def test_a_promotion_is_the_same_on_every_process_and_counted_once(
    cluster: RealCluster, processes: list[Services], tmp_path: Path
) -> None:
    one, other = begin(processes, cluster.url, tmp_path, count=2)
    promoted = promote_and_watch(
        [one, other], cluster.primary_of(one.store.keys.board("main").board), cluster
    )
    for each in (one, other):
        assert each.promotions.of_a_day() == promoted
    (found,) = promoted
    assert (found["boards"], found["streams"]) == (1, 3)
    counted = [
        each.metrics.promotions.labels(found["server"])._value.get() for each in (one, other)
    ]
    assert sum(counted) == 1
    shown = [each for each in stats_of(one)["promotions"] if each["server"] == found["server"]]
    assert shown == promoted


def watch_main(services: Services, count: int) -> None:
    """Streams of main, until the board is compared with its log."""
    subscribers = [services.hub.subscribe("main") for _ in range(count)]
    log = subscribers[0].log
    log.open()
    wait_until(lambda: log.has_incarnation and services.promotions._known, what="a look")


def promote_and_watch(
    processes: list[Services], primary: RealServer, cluster: RealCluster
) -> list[dict[str, Any]]:
    """Promote the replica of a server; what is recorded. One process has two streams of main."""
    one, other = processes
    watch_main(one, 2)
    watch_main(other, 1)
    (replica,) = cluster.replicas_of(primary)
    cluster.fail_over(replica)

    def recorded() -> Any:
        found = one.promotions.of_a_day()
        return found if found and found[0]["streams"] == 3 else None

    return list(wait_until(recorded, what="the promotion"))


def test_sentinels_are_listed_and_a_failover_is_recorded(
    sentinels: RealSentinels, processes: list[Services], tmp_path: Path
) -> None:
    (services,) = begin(processes, sentinels.url, tmp_path)
    watch_main(services, 1)
    found = stats_of(services)
    assert [each["role"] for each in found["servers"]] == ["primary", "replica", "replica"]
    assert {port_of(each["address"]) for each in found["sentinels"]} == set(sentinels.ports)
    primary = found["servers"][0]["address"]
    assert {each["primary"] for each in found["sentinels"]} == {primary}
    wait_until(lambda: services.promotions._known, what="the first primary to be known")
    sentinels.fail_over()

    def recorded() -> list[dict[str, Any]]:
        with contextlib.suppress(OccupancyError):  # no server takes commands during the failover
            return services.promotions.of_a_day()
        return []

    (promoted,) = wait_until(recorded, what="the promotion")
    assert promoted["server"] != primary
    assert (promoted["boards"], promoted["streams"]) == (1, 1)
    health = services.public_figures.health()
    assert health["status"] == "healthy"
    assert f'occupancy_redis_primary{{server="{promoted["server"]}"}} 1.0' in (
        services.public_figures.metrics().decode()
    )


def test_a_slot_move_is_told_apart_from_a_promotion(
    cluster: RealCluster, processes: list[Services], tmp_path: Path
) -> None:
    (services,) = begin(processes, cluster.url, tmp_path)
    key = services.store.keys.board("main").board
    target = next(each for each in cluster.primaries() if each is not cluster.primary_of(key))
    wait_until(lambda: services.promotions._known, what="the first primaries to be known")
    cluster.move_slot(slot_of(key), target)
    (moved,) = wait_until(services.promotions.of_a_day, what="the move")
    assert (port_of(moved["server"]), moved["kind"]) == (target.port, "slot_move")
    assert services.metrics.promotions.labels(moved["server"])._value.get() == 0
    (replica,) = cluster.replicas_of(target)
    cluster.fail_over(replica)
    (promoted,) = wait_until(
        lambda: [each for each in services.promotions.of_a_day() if each != moved],
        what="the promotion",
    )
    assert (port_of(promoted["server"]), promoted["kind"]) == (replica.port, "promotion")


def test_the_streams_of_all_slots_of_a_move_are_counted(
    cluster: RealCluster, processes: list[Services], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (services,) = begin(processes, cluster.url, tmp_path)
    watch_main(services, 2)
    slot = slot_of(services.store.keys.board("main").board)
    source = cluster.primary_of(services.store.keys.board("main").board)
    target = next(each for each in cluster.primaries() if each is not source)
    # The first slot raises the incarnation, and has no board.
    cluster.move_slot(slot + 1 if slot % 2 == 0 else slot - 1, target)
    wait_until(lambda: services.promotions.has_untold, what="the move to be seen")
    cluster.move_slot(slot, target)

    def counted() -> Any:
        found = services.promotions.of_a_day()
        return found if found and found[0]["streams"] else None

    (moved,) = wait_until(counted, what="the streams")
    assert (moved["kind"], port_of(moved["server"])) == ("slot_move", target.port)
    assert (moved["boards"], moved["streams"]) == (1, 2)
    assert "1 board watched here, 2 streams reset" in caplog.text

"""The connection pools: fair, inside their bounds, counted and named."""

from __future__ import annotations

import gevent
import pytest
import redis

from occupancy.core.errors import PoolTimeout
from tests.support.pools import (
    Pools,
    assert_whole,
    named,
    pool_of,
)
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

# In turn


def test_operations_wait_in_turn_instead_of_failing(pools: Pools, url: str) -> None:
    client = pools(url, size=2)
    workers = [gevent.spawn(client.echo, f"{number}") for number in range(200)]
    gevent.joinall(workers, raise_error=True)
    assert [each.value for each in workers] == [b"%d" % number for number in range(200)]
    assert pool_of(client).stats()["timeouts"] == 0
    assert_whole(client)


def test_a_busy_greenlet_does_not_starve_a_waiter(pools: Pools, url: str) -> None:
    client = pools(url)
    client.ping()
    done: list[str] = []
    begun: list[int] = []

    def hog() -> None:
        for _ in range(300):
            client.ping()
            done.append("hog")

    def guest() -> None:
        begun.append(len(done))  # an immediate reply lets no other greenlet begin
        client.ping()
        done.append("guest")

    busy, waiter = gevent.spawn(hog), gevent.spawn(guest)
    gevent.joinall([busy, waiter], raise_error=True)
    assert done.index("guest") - begun[0] < 5


def test_a_pool_that_stays_busy_raises_its_own_error_after_the_wait(pools: Pools, url: str) -> None:
    client = pools(url, wait_s=0.05)
    connection = pool_of(client).get_connection()
    with pytest.raises(PoolTimeout) as caught:
        client.ping()
    assert not isinstance(caught.value, redis.ConnectionError)
    assert caught.value.extra["retry_after"] >= 1
    assert "0.05 s" in caught.value.detail
    with pytest.raises(PoolTimeout):
        client.run_pipeline(lambda pipeline: pipeline.ping())
    pool_of(client).release(connection)
    assert pool_of(client).stats()["timeouts"] == 2
    assert_whole(client)


# Figures and names


def test_draining_closes_idle_connections_and_keeps_none(
    pools: Pools, own_server: RealServer
) -> None:
    client = pools(own_server.url, size=3)
    assert_whole(client)
    busy = pool_of(client).get_connection()
    pool_of(client).drain()
    wait_until(lambda: len(named(own_server, "occupancy-ops")) == 1)
    assert len(pools.slots._held) == 1
    pool_of(client).release(busy)
    wait_until(lambda: not named(own_server, "occupancy-ops"))
    assert not pools.slots._held
    assert client.ping()  # it still serves running requests
    wait_until(lambda: not named(own_server, "occupancy-ops"))


def test_the_figures_are_right(pools: Pools, url: str) -> None:
    client = pools(url, size=3)
    pool = pool_of(client)
    assert pool.stats() == {
        "max": 3, "in_use": 0, "idle": 0, "waiting": 0, "acquired": 0, "timeouts": 0,
        "peak": {"in_use": 0, "waiting": 0},
        "wait_ms": {"p50": 0.0, "p99": 0.0, "max": 0.0},
    }  # fmt: skip
    taken = [pool.get_connection() for _ in range(3)]
    waiters = [gevent.spawn(client.ping) for _ in range(2)]
    wait_until(lambda: pool.stats()["waiting"] == 2)
    figures = pool.stats()
    assert (figures["in_use"], figures["idle"], figures["acquired"]) == (3, 0, 3)
    for each in taken:
        pool.release(each)
    gevent.joinall(waiters, raise_error=True)
    figures = pool.stats()
    assert (figures["in_use"], figures["idle"], figures["acquired"]) == (0, 3, 5)
    assert figures["waiting"] == 0
    assert figures["peak"] == {"in_use": 3, "waiting": 2}
    assert figures["wait_ms"]["max"] > 0
    assert figures["wait_ms"]["p50"] <= figures["wait_ms"]["p99"] <= figures["wait_ms"]["max"]


def test_one_caller_after_another_uses_one_connection(pools: Pools, own_server: RealServer) -> None:
    client = pools(own_server.url, size=5)
    for _ in range(20):
        client.ping()
    assert len(named(own_server, "occupancy-ops")) == 1


def test_the_pools_are_named_to_the_server(pools: Pools, own_server: RealServer) -> None:
    for name in ("ops", "pubsub", "cli"):
        client = pools(own_server.url, name=name)
        client.ping()
        assert len(named(own_server, f"occupancy-{name}")) == 1

"""The connection pools while the server goes and comes."""

from __future__ import annotations

import math
from collections.abc import Callable

import gevent
import pytest

from occupancy.core.errors import StoreUnavailable
from occupancy.storage.scripts import Script
from tests.support.pools import (
    Pools,
    assert_slots_are_those_of_open_connections,
    assert_whole,
    named,
    pool_of,
)
from tests.support.relay import Relay
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


def test_the_next_command_works_after_a_restart_of_the_server(
    pools: Pools, own_server: RealServer
) -> None:
    client = pools(own_server.url, size=2)
    assert_whole(client)
    own_server.stop()
    with pytest.raises(StoreUnavailable):
        client.ping()
    assert pool_of(client).stats()["in_use"] == 0
    assert_slots_are_those_of_open_connections(pools, client)
    own_server.start()
    assert client.ping()
    assert client.ping()
    assert_whole(client)


def test_idle_connections_that_the_server_has_closed_are_replaced(
    pools: Pools, own_server: RealServer
) -> None:
    client = pools(own_server.url, size=3)
    assert_whole(client)
    with own_server.client() as admin:
        for each in named(own_server, "occupancy-ops"):
            admin.client_kill_filter(_id=each["id"])
    assert client.ping()
    assert_whole(client)
    assert len(named(own_server, "occupancy-ops")) == 3


def test_a_connection_that_was_being_opened_while_the_server_changed_is_opened_again(
    pools: Pools, module_server: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = pool_of(pools(module_server.url, size=1))
    connection = pool.get_connection()
    pool.release(connection)
    connection.disconnect()
    connect, opened = connection.connect, []

    def connect_and_change() -> None:
        connect()
        opened.append(connection._sock)
        if len(opened) == 1:
            pool.renew()  # it may lead to the old server

    monkeypatch.setattr(connection, "connect", connect_and_change)
    assert pool.get_connection() is connection
    assert len(opened) == 2
    assert connection._sock is opened[1]
    assert connection.generation == pool.generation
    pool.release(connection)
    assert connection._sock is opened[1]  # it leads to the new one, and stays


def test_a_script_runs_once_though_its_answer_is_lost(
    pools: Pools, own_server: RealServer, relay_to: Callable[[int], Relay]
) -> None:
    relay = relay_to(own_server.port)
    client = pools(f"redis://127.0.0.1:{relay.port}/0")
    client.ping()
    relay.passing, relay.is_cutting = 0, True
    with pytest.raises(StoreUnavailable):
        client.execute_command("EVAL", "return redis.call('INCR', KEYS[1])", 1, "count")
    relay.passing = math.inf
    with own_server.client() as admin:
        assert admin.get("count") == b"1"
    assert client.ping()
    assert_whole(client)


def test_a_blocked_command_whose_connection_is_killed_is_not_sent_again(
    pools: Pools, own_server: RealServer
) -> None:
    client = pools(own_server.url)
    refused: list[StoreUnavailable] = []

    def block() -> None:
        with pytest.raises(StoreUnavailable) as caught:
            client.blpop(["nothing"], 2)
        refused.append(caught.value)

    blocked = gevent.spawn(block)
    with own_server.client() as admin:
        wait_until(lambda: admin.info("clients")["blocked_clients"] == 1)
        for each in named(own_server, "occupancy-ops"):
            admin.client_kill_filter(_id=each["id"])
        blocked.get(timeout=5)
        assert len(refused) == 1
        assert admin.info("clients")["blocked_clients"] == 0  # a resent command would block again
    assert_whole(client)


def test_scripts_are_loaded_again_after_a_flush(pools: Pools, own_server: RealServer) -> None:
    client = pools(own_server.url)
    script = Script(client, "board/replay")
    for _ in range(2):
        assert script.run(["b", "l"], ["1", "", 0])[0] == b"ok"
        assert len(script.run_many([(["b", "l"], ["1", "", 0])] * 3)) == 3
        with own_server.client() as admin:
            admin.script_flush()
    assert script.run_many([(["b", "l"], ["1", "", 0])])[0][0] == b"ok"

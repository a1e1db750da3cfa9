"""The connection pools are whole whatever is killed, and no reply reaches another caller."""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from occupancy.core.errors import SettingError, StoreUnavailable
from occupancy.storage.client import OpsClient
from tests.support.pools import (
    DATABASE,
    Pools,
    assert_slots_are_those_of_open_connections,
    assert_whole,
    killed_in_connect,
    pool_of,
)
from tests.support.relay import Relay
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


def test_a_greenlet_killed_while_it_waits_costs_no_place(pools: Pools, url: str) -> None:
    client = pools(url, size=2)
    taken = [pool_of(client).get_connection() for _ in range(2)]
    waiters = [gevent.spawn(client.ping) for _ in range(10)]
    wait_until(lambda: pool_of(client).stats()["waiting"] == 10)
    gevent.killall(waiters[::2])
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        client.ping()
    for each in taken:
        pool_of(client).release(each)
    gevent.joinall(waiters[1::2], raise_error=True)
    assert_whole(client)


def test_a_greenlet_killed_while_the_server_never_answers_the_handshake(pools: Pools) -> None:
    with gevent.socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        client = pools(f"redis://:x@127.0.0.1:{silent.getsockname()[1]}/3", size=2)
        connecting = [gevent.spawn(client.ping) for _ in range(2)]
        wait_until(lambda: len(pools.slots._held) == 2, what="both to be connecting")
        gevent.killall(connecting)
        assert pool_of(client).stats()["in_use"] == 0
        assert len(pool_of(client).pool.queue) == 2
        assert_slots_are_those_of_open_connections(pools, client)
        assert not pools.slots._held


def test_a_handshake_that_gets_no_answer_ends_as_unavailable(pools: Pools) -> None:
    with gevent.socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        client = pools(f"redis://127.0.0.1:{silent.getsockname()[1]}/3", timeout_s=0.05)
        with pytest.raises(StoreUnavailable):
            client.ping()
        assert not pools.slots._held
        assert len(pool_of(client).pool.queue) == 1


@pytest.mark.parametrize("replies", [0, 1, 2, 3])
def test_a_connection_killed_in_its_handshake_is_not_handed_out_half_made(
    pools: Pools, own_server: RealServer, password_url: str, relay_to: Callable[[int], Relay],
    replies: int,
) -> None:  # fmt: skip
    relay = relay_to(own_server.port)
    client = pools(password_url.replace(str(own_server.port), str(relay.port)))
    relay.passing = replies  # one each for AUTH, SETNAME, SELECT and the command
    greenlet = gevent.spawn(client.ping)
    wait_until(lambda: relay.kept == 1, what="the handshake to stand still")
    greenlet.kill()
    relay.passing = math.inf
    assert client.echo("after") == b"after"
    assert_whole(client, database=DATABASE)
    assert_slots_are_those_of_open_connections(pools, client)


@killed_in_connect
def test_a_kill_at_any_switch_point_of_connecting_leaves_the_pool_whole(
    pools: Pools, password_url: str
) -> None:
    client = pools(password_url, size=2)
    for turns in range(60):
        pool_of(client).disconnect()
        greenlets = [gevent.spawn(client.set, "k", turns) for _ in range(3)]
        for _ in range(turns):
            gevent.sleep(0)
        gevent.killall(greenlets)
        assert client.echo(str(turns)) == b"%d" % turns
        assert_slots_are_those_of_open_connections(pools, client)
    assert_whole(client, database=DATABASE)


def test_a_greenlet_killed_in_the_middle_of_a_command_leaves_no_reply_behind(
    pools: Pools, own_server: RealServer
) -> None:
    client = pools(own_server.url, size=2)
    client.set("a", "value-of-a")
    client.set("b", "value-of-b")
    own_server.signal(signal.SIGSTOP)
    try:
        stuck = [gevent.spawn(client.get, "a") for _ in range(2)]
        wait_until(lambda: pool_of(client).stats()["in_use"] == 2)
        gevent.sleep(0.05)  # both have written their command and wait for the reply
        gevent.killall(stuck)
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
            client.get("a")
    finally:
        own_server.signal(signal.SIGCONT)
    assert [client.get("b") for _ in range(4)] == [b"value-of-b"] * 4
    assert_whole(client)


def test_a_greenlet_killed_in_a_blocking_command_leaves_the_pool_whole(
    pools: Pools, own_server: RealServer
) -> None:
    client = pools(own_server.url)
    blocked = gevent.spawn(client.blpop, ["nothing"], 2)
    with own_server.client() as admin:
        wait_until(lambda: admin.info("clients")["blocked_clients"] == 1)
        blocked.kill()
        admin.rpush("nothing", "late")
        assert client.get("nothing-else") is None
        assert_whole(client)
        wait_until(lambda: admin.info("clients")["blocked_clients"] == 0)


def test_a_greenlet_killed_in_the_middle_of_a_pipeline_leaves_no_reply_behind(
    pools: Pools, own_server: RealServer, relay_to: Callable[[int], Relay]
) -> None:
    relay = relay_to(own_server.port)
    client = pools(f"redis://127.0.0.1:{relay.port}/0")
    client.ping()
    relay.passing = 0
    stuck = gevent.spawn(
        client.run_pipeline, lambda pipeline: [pipeline.echo(f"old-{n}") for n in range(5)]
    )
    wait_until(lambda: relay.kept > 0)
    stuck.kill()
    relay.passing = math.inf
    assert client.run_pipeline(lambda pipeline: [pipeline.echo("new"), pipeline.echo("newer")]) == [
        b"new",
        b"newer",
    ]
    assert_whole(client)


def test_a_late_reply_reaches_no_other_caller(pools: Pools, own_server: RealServer) -> None:
    client = pools(own_server.url, timeout_s=1.0)
    client.set("a", "value-of-a")
    own_server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            client.get("a")
    finally:
        own_server.signal(signal.SIGCONT)
    wait_until(lambda: _answers(client))
    assert client.get("b") is None
    assert_whole(client)


def _answers(client: OpsClient) -> bool:
    try:
        return bool(client.ping())
    except StoreUnavailable:
        return False


@killed_in_connect
def test_replies_are_never_mixed_up_whatever_is_killed(pools: Pools, url: str) -> None:
    dice = random.Random(7)
    client = pools(url, size=3)
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(20):
            word = f"{number}-{turn}"
            if dice.random() < 0.2:
                with gevent.Timeout(dice.choice([0.0001, 0.001]), False):
                    wrong.extend(x for x in [client.echo(word)] if x != word.encode())
            elif dice.random() < 0.3:
                answers = client.run_pipeline(lambda p: [p.echo(word), p.echo(word)])  # noqa: B023 - runs now
                wrong.extend(x for x in answers if x != word.encode())
            else:
                wrong.extend(x for x in [client.echo(word)] if x != word.encode())

    workers = [gevent.spawn(work, number) for number in range(60)]
    for worker in workers[::2]:
        gevent.sleep(dice.choice([0, 0.001, 0.003]))
        worker.kill(block=False)
    gevent.joinall(workers, timeout=20, raise_error=True)
    assert wrong == []
    assert_whole(client)
    assert_slots_are_those_of_open_connections(pools, client)


def test_a_connection_with_an_unread_reply_is_not_handed_out(pools: Pools, url: str) -> None:
    client = pools(url)
    connection = pool_of(client).get_connection()
    connection.send_command("ECHO", "unread")
    wait_until(lambda: connection.can_read(timeout=0))
    pool_of(client).release(connection)
    assert client.echo("mine") == b"mine"
    assert_whole(client)


def test_a_wrong_option_costs_no_place_and_fails_at_once(pools: Pools, url: str) -> None:
    with pytest.raises(SettingError, match="nonsense"):
        pools(url + "?nonsense=1")

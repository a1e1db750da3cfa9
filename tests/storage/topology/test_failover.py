"""Failover: the address leads to another server, and connections to the old one stay open.

That is what a proxy or a virtual address does: nothing is closed, and the demoted primary goes on
to answer, as a replica.
"""

from __future__ import annotations

import contextlib
import gc
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import gevent.socket
import pytest
import redis
from gevent.server import StreamServer

from occupancy.core.entities import Role
from occupancy.core.errors import StoreUnavailable
from occupancy.storage.client import OpsClient
from tests.conftest import require_binary
from tests.support.deployment import Deployment
from tests.support.pools import (
    Pools,
    assert_slots_are_those_of_open_connections,
    assert_whole,
    killed_in_connect,
    named,
    pool_of,
)
from tests.support.servers import BINARIES, RealServer
from tests.support.shop import change
from tests.support.tls import make_certificate
from tests.support.waiting import wait_until


class Address:
    """A proxy's address: new connections go to ``port``, open ones stay."""

    def __init__(self, port: int) -> None:
        self.target_port = port
        self.accepted = 0
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"redis://127.0.0.1:{self._server.server_port}/0"

    def _serve(self, client: Any, _address: Any) -> None:
        self.accepted += 1
        upstream = gevent.socket.create_connection(("127.0.0.1", self.target_port))
        back = gevent.spawn(_copy, upstream, client)
        _copy(client, upstream)
        back.kill()
        client.close()
        upstream.close()

    def stop(self) -> None:
        self._server.stop()


def _copy(source: Any, target: Any) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(2)
    except OSError:
        pass  # either end has closed the connection


class Pair:
    """Two servers behind one address, which leads to the first."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.old = RealServer(require_binary(kind), directory / "old")
        self.new = RealServer(require_binary(kind), directory / "new")
        for each in (self.old, self.new):
            each.start()
        self.address = Address(self.old.port)

    def demote(self, *, follows_new: bool = False) -> None:
        """Make the old one a replica, of the new one or of an unreachable server."""
        port = self.new.port if follows_new else 1
        with self.old.client() as admin:
            admin.execute_command("REPLICAOF", "127.0.0.1", port)

    def switch(self) -> None:
        """New connections lead to the new one."""
        self.address.target_port = self.new.port

    def copy_to_new(self) -> None:
        """Bring the new one up to date, and promote it."""
        with self.new.client() as admin:
            admin.execute_command("REPLICAOF", "127.0.0.1", self.old.port)
            wait_until(
                lambda: admin.info("replication")["master_link_status"] == "up", what="the copy"
            )
            admin.execute_command("REPLICAOF", "NO", "ONE")

    def stop(self) -> None:
        self.address.stop()
        for each in (self.old, self.new):
            each.stop()


@pytest.fixture(params=BINARIES)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(request.param, tmp_path)
    yield made
    made.stop()


def _all_connected(client: OpsClient) -> None:
    """Open every connection that the pool may have."""
    pool = pool_of(client)
    for each in [pool.get_connection() for _ in range(pool.max_connections)]:
        pool.release(each)


def _set(client: OpsClient) -> None:
    client.set("key", "value")


def _set_in_a_script(client: OpsClient) -> None:
    client.execute_command("EVAL", "return redis.call('SET', KEYS[1], '1')", 1, "key")


def _set_in_a_pipeline(client: OpsClient) -> None:
    client.run_pipeline(lambda each: (each.get("key"), each.set("key", "1"), each.get("k")))


def _set_in_a_transaction(client: OpsClient) -> None:
    client.run_pipeline(lambda pipeline: pipeline.set("key", "1"), transaction=True)


@pytest.mark.parametrize(
    "write", [_set, _set_in_a_script, _set_in_a_pipeline, _set_in_a_transaction]
)
def test_the_operation_after_a_refused_one_goes_to_the_new_primary(
    pools: Pools, pair: Pair, write: Callable[[OpsClient], None]
) -> None:
    client = pools(pair.address.url, size=4)
    _all_connected(client)
    pair.demote()
    pair.switch()
    with pytest.raises(StoreUnavailable):
        write(client)
    write(client)
    assert not named(pair.old, "occupancy-ops")  # the idle ones as well
    assert_whole(client)
    assert_slots_are_those_of_open_connections(pools, client)


def test_a_connection_that_was_busy_when_another_was_refused_is_not_used_again(
    pools: Pools, pair: Pair
) -> None:
    client = pools(pair.address.url, size=2)
    busy = pool_of(client).get_connection()
    client.ping()
    pair.demote()
    pair.switch()
    with pytest.raises(StoreUnavailable):
        client.set("key", "1")
    assert len(named(pair.old, "occupancy-ops")) == 1
    pool_of(client).release(busy)
    wait_until(lambda: not named(pair.old, "occupancy-ops"), what="the busy one to be closed")
    client.set("key", "1")
    assert_whole(client)


def test_a_waiter_is_not_handed_a_connection_to_the_old_primary(pools: Pools, pair: Pair) -> None:
    client = pools(pair.address.url, size=2)
    pool = pool_of(client)
    refused, other = pool.get_connection(), pool.get_connection()
    waiters = [gevent.spawn(client.set, f"key-{number}", "1") for number in range(6)]
    wait_until(lambda: pool.stats()["waiting"] == 6)
    pair.demote()
    pair.switch()
    refused.send_command("SET", "key", "1")
    with pytest.raises(redis.ReadOnlyError):
        refused.read_response()
    pool.release(other)  # to the first waiter, which has not run yet at the generation change
    pool.release(refused)
    gevent.joinall(waiters, raise_error=True)
    assert_whole(client)


def test_a_replica_that_has_lost_its_primary_and_serves_no_reads_is_left(
    pools: Pools, pair: Pair
) -> None:
    client = pools(pair.address.url, size=2)
    _all_connected(client)
    with pair.old.client() as admin:
        admin.config_set("replica-serve-stale-data", "no")
    pair.demote()
    pair.switch()
    with pytest.raises(StoreUnavailable):  # MASTERDOWN
        client.get("key")
    assert client.get("key") is None
    assert_whole(client)


def test_an_old_primary_that_is_cut_off_from_its_replicas_is_left(pools: Pools, pair: Pair) -> None:
    client = pools(pair.address.url, size=2)
    _all_connected(client)
    with pair.old.client() as admin:
        admin.config_set("min-replicas-to-write", "1")
    pair.switch()
    with pytest.raises(StoreUnavailable):  # NOREPLICAS
        client.set("key", "1")
    client.set("key", "1")
    assert_whole(client)


def test_a_server_that_is_promoted_again_is_used_again(pools: Pools, pair: Pair) -> None:
    client = pools(pair.address.url, size=2)
    _all_connected(client)
    pair.demote()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            client.set("key", "1")
    assert client.get("key") is None  # reads are served meanwhile
    with pair.old.client() as admin:
        admin.execute_command("REPLICAOF", "NO", "ONE")
    client.set("key", "1")
    assert_whole(client)


@killed_in_connect
def test_kills_during_a_failover_leave_the_pool_whole_and_no_connection_to_the_old_primary(
    pools: Pools, pair: Pair
) -> None:
    client = pools(pair.address.url, size=3)
    for turns in range(40):
        with pair.old.client() as admin:
            admin.execute_command("REPLICAOF", "NO", "ONE")
        pair.address.target_port = pair.old.port
        pool_of(client).disconnect()
        _all_connected(client)
        pair.demote()

        def work() -> None:
            for number in range(10):
                with contextlib.suppress(StoreUnavailable):
                    client.set("key", number)

        workers = [gevent.spawn(work) for _ in range(8)]
        for turn in range(turns):
            gevent.sleep(0)
            if turn == turns // 2:
                pair.switch()
        pair.switch()
        gevent.killall(workers)
        gc.collect()
        with pytest.raises(StoreUnavailable), gevent.Timeout(5):
            while True:  # at most one refusal per connection that still leads there
                client.set("key", "x")
                if not named(pair.old, "occupancy-ops"):
                    raise StoreUnavailable("none leads there")
        _set(client)
        assert_slots_are_those_of_open_connections(pools, client)
        assert pool_of(client).stats()["in_use"] == 0
    assert_whole(client)


def test_waiters_are_served_in_turn_while_every_command_is_refused(
    pools: Pools, pair: Pair
) -> None:
    client = pools(pair.address.url, size=1)
    client.ping()
    pair.demote()
    order: list[int] = []

    def work(number: int) -> None:
        with pytest.raises(StoreUnavailable):
            client.set("key", "1")
        order.append(number)

    workers = [gevent.spawn(work, number) for number in range(30)]
    gevent.joinall(workers, raise_error=True)
    assert order == list(range(30))
    assert_whole(client)


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("is_reading", [False, True])
def test_a_read_without_end_is_ended_by_hanging_up(
    pools: Pools, tmp_path: Path, is_tls: bool, is_reading: bool
) -> None:
    """The end of a connection has the same effect, even if its reader is busy at that time."""
    tls: dict[str, Any] = {}
    query = ""
    if is_tls:
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        make_certificate(key, certificate)
        tls["ssl_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls["ssl_context"].load_cert_chain(certificate, key)
        query = "?ssl_cert_reqs=none&ssl_check_hostname=false"

    def serve(connection: Any, _address: Any) -> None:
        while connection.recv(65536):
            connection.sendall(b"+OK\r\n")  # the reply to the handshake
        connection.close()

    server = StreamServer(("127.0.0.1", 0), serve, **tls)
    server.start()
    client = pools(f"redis{'s' if is_tls else ''}://127.0.0.1:{server.server_port}/0{query}")
    pool = pool_of(client)
    reading: list[bool] = []
    go_on = gevent.event.Event()
    if is_reading:
        go_on.set()

    def read() -> None:
        connection = pool.get_connection()
        reading.append(True)
        go_on.wait()
        try:
            connection.read_response()
        finally:
            connection.disconnect()
            pool.release(connection)

    reader = gevent.spawn(read)
    wait_until(lambda: reading, what="the read")
    pool.hang_up()
    go_on.set()
    with pytest.raises(redis.ConnectionError):
        reader.get(timeout=5)
    assert pool.stats()["in_use"] == 0
    assert_slots_are_those_of_open_connections(pools, client)
    pools.close()
    server.stop()


def test_operations_and_live_delivery_go_on_after_a_failover_that_closes_no_connection(
    tmp_path: Path, pair: Pair
) -> None:
    deployment = Deployment(tmp_path / "state", pair.address.url).start()
    try:
        deployment.sign_in("admin", Role.ADMIN)
        shop = deployment.services()
        board = shop.store.boards.create("b").board
        change(shop, board, 0)
        stream = deployment.stream(board)
        stream.wait_for("ready")
        pair.copy_to_new()
        pair.demote()  # from now on, no publication reaches the old server
        pair.switch()
        path = f"/api/boards/{board}/items/T-1/take"
        wait_until(lambda: deployment.request("POST", path).status_code == 200, what="an operation")
        # In every process, all connections lead to the new server.
        wait_until(
            lambda: (
                not [
                    each
                    for name in ("occupancy-ops", "occupancy-pubsub")
                    for each in named(pair.old, name)
                ]
            ),
            what="all to leave the old one",
        )
        processes = len(deployment.worker_pids())
        wait_until(
            lambda: len(named(pair.new, "occupancy-pubsub")) == processes, what="live connections"
        )
        wait_until(lambda: stream.seqs() == [2], what="the event")
        wait_until(lambda: deployment.status_of("/readyz") == 200, what="readiness")
        assert not stream.has_ended
    finally:
        deployment.stop()

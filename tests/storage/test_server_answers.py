"""What a server answers that cannot serve now: a 503, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from gevent.server import StreamServer

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.errors import StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from tests.support.pools import (
    PASSWORD,
    Pools,
    assert_whole,
    pool_of,
)
from tests.support.servers import RealServer, free_port

SOMEBODY = Person("93", "Worker 93")


def test_a_wrong_password_is_unavailable(pools: Pools, password_url: str) -> None:
    client = pools(password_url.replace(PASSWORD, "wrong"), size=2)
    for _ in range(3):
        with pytest.raises(StoreUnavailable) as caught:
            client.ping()
        assert "wrong" not in str(caught.value)
    assert not pools.slots._held
    assert len(pool_of(client).pool.queue) == 2


def test_a_closed_port_is_unavailable(pools: Pools) -> None:
    client = pools(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreUnavailable) as caught:
        client.ping()
    assert caught.value.extra["retry_after"] >= 1
    assert not pools.slots._held


@pytest.mark.parametrize(
    "reply",
    [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN.",
        "MISCONF Errors writing to the AOF file: No space left on device",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "NOREPLICAS Not enough good replicas to write.",
        "CLUSTERDOWN The cluster is down",
        "NOPERM User default has no permissions to run the 'echo' command",
        "NOAUTH Authentication required.",
        "ERR max number of clients reached",
    ],
)
def test_an_answer_that_will_pass_is_unavailable(pools: Pools, reply: str) -> None:
    def serve(connection: Any, _address: Any) -> None:
        while data := connection.recv(65536):
            is_handshake = b"CLIENT" in data
            connection.sendall(b"+OK\r\n" if is_handshake else f"-{reply}\r\n".encode())
        connection.close()

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    try:
        client = pools(f"redis://127.0.0.1:{server.server_port}/0")
        with pytest.raises(StoreUnavailable):
            client.echo("word")
        with pytest.raises(StoreUnavailable):
            client.run_pipeline(lambda pipeline: pipeline.echo("word"))
        assert pool_of(client).stats()["in_use"] == 0
    finally:
        pools.close()
        server.stop()


def test_a_mistake_of_ours_is_not_called_unavailable(pools: Pools, url: str) -> None:
    client = pools(url)
    with pytest.raises(redis.ResponseError):
        client.execute_command("NONSENSE")
    assert_whole(client)


def _everything(server: RealServer) -> dict[bytes, Any]:
    with server.client() as admin:
        keys: Any = admin.keys("*")
        return {key: admin.dump(key) for key in keys}


def _make_full(admin: Any) -> None:
    admin.config_set("maxmemory-policy", "noeviction")
    admin.config_set("maxmemory", "1mb")
    assert admin.info("memory")["used_memory"] > 0
    admin.config_set("maxmemory", "1")


def _make_readonly(admin: Any) -> None:
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")


def _make_without_replicas(admin: Any) -> None:
    admin.config_set("min-replicas-to-write", "1")


@pytest.mark.parametrize("spoil", [_make_full, _make_readonly, _make_without_replicas])
def test_an_operation_that_the_server_cannot_take_writes_nothing_at_all(
    own_server: RealServer, tmp_path: Path, spoil: Callable[[Any], None]
) -> None:
    services = Services.for_web(
        Settings(redis_url=own_server.url, state_dir=str(tmp_path / "state"))
    )
    store = services.store
    tags = [f"T-{number}" for number in range(5)]
    try:
        store.commands.execute(Command("main", PUT, tags, actor=SOMEBODY, items=[{}] * 5))
        store.commands.execute(Command("main", TRANSITIONS["take"], tags[:2], actor=SOMEBODY))
        before = _everything(own_server)
        with own_server.client() as admin:
            spoil(admin)
        operations: list[Callable[[], Any]] = [
            lambda: store.commands.execute(
                Command("main", TRANSITIONS["take"], tags[2:], actor=SOMEBODY)
            ),
            lambda: store.commands.execute(
                Command("main", TRANSITIONS["pause"], tags[:2], actor=SOMEBODY)
            ),
            lambda: store.commands.execute(
                Command("main", PUT, ["NEW"], actor=SOMEBODY, items=[{}])
            ),
            lambda: list(store.commands.put_many("main", [("X", {}), ("Y", {})], actor=SOMEBODY)),
            lambda: store.boards.create("other"),
        ]
        for operation in operations:
            with pytest.raises(StoreUnavailable):
                operation()
        assert _everything(own_server) == before
    finally:
        services.close()

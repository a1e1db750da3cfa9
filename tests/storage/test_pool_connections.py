"""What a pool asks of a connection before it hands it out."""

from __future__ import annotations

import socket
import types
from typing import Any

import pytest

from occupancy.storage import pool as pool_module
from occupancy.storage.pool import FairPool
from tests.support.pools import Pools, assert_whole, pool_of
from tests.support.waiting import wait_until


class Connection:
    """A connection that leads nowhere."""

    _sock = None
    slot_deadline = 0.0

    def __init__(self, **options: Any) -> None:
        pass

    def connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def can_read(self) -> bool:
        return False


def test_the_wait_for_the_turn_is_a_part_of_the_wait_for_a_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(pool_module, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    pool = FairPool(size=1, wait_s=5.0, connection_class=Connection)
    get = pool.pool.get

    def get_later(timeout: float) -> Any:
        now[0] += 3  # it waits for its turn
        return get(timeout)

    monkeypatch.setattr(pool.pool, "get", get_later)
    for deadline in (105.0, 108.0):
        connection = pool.get_connection()
        assert connection.slot_deadline == deadline
        pool.pool.put_nowait(connection)


@pytest.mark.parametrize("read", [0, 1], ids=["on the wire", "read with another reply"])
def test_a_reply_that_nobody_took_is_given_to_nobody(pools: Pools, url: str, read: int) -> None:
    client = pools(url)
    connection = pool_of(client).get_connection()
    connection.send_packed_command(connection.pack_commands([("ECHO", "a"), ("ECHO", "b")]))

    def arrived() -> int:
        flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
        return len(connection._sock._sock.recv(100, flags))

    wait_until(lambda: connection.can_read(timeout=0), what="a reply")
    wait_until(lambda: arrived() == 14, what="both replies")
    for _ in range(read):
        assert connection.read_response() == b"a"
    pool_of(client).release(connection)
    assert client.echo("mine") == b"mine"
    assert_whole(client)

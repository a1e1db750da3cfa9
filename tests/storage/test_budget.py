"""The connection budget: the share of each process, and the bound over any number of processes."""

from __future__ import annotations

import gc
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy.core.errors import PoolTimeout, SettingError, StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.storage.budget import GENERATIONS, Slots, plan
from occupancy.storage.client import OpsClient
from occupancy.storage.connections import make_pool
from tests.support.deployment import ROOT
from tests.support.servers import RealServer, free_port
from tests.support.waiting import wait_until

# Takes all free slots, prints their number, and holds them until its
# standard input ends; each line on it makes it give one back.
TAKER = """
import sys
from pathlib import Path
from occupancy.storage.budget import Slots
slots, held = Slots(Path(sys.argv[1]), range(int(sys.argv[2]), int(sys.argv[3]))), []
while (slot := slots.take()) is not None and len(held) < int(sys.argv[4]):
    held.append(slot)
if slot is not None:
    slots.give_back(slot)
print(len(held), flush=True)
for line in sys.stdin:
    slots.give_back(held.pop())
    print(len(held), flush=True)
"""


class Taker:
    """Another process that holds slots."""

    def __init__(self, path: Path, low: int, high: int, most: int = 1000) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKER, str(path), str(low), str(high), str(most)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip

    def count(self) -> int:
        """The number of slots that it holds, by its own report."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def give_one_back(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self.count()

    def __enter__(self) -> Taker:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "slots.lock"


def all_of(slots: Slots) -> list[int]:
    return list(iter(slots.take, None))


# The plan


@pytest.mark.parametrize(
    ("given", "ops", "pubsub"),
    [
        ({}, 11, 1),  # (50 - 2) / (2 x 2) = 12
        ({"redis_budget": 20}, 3, 1),
        ({"redis_budget": 10}, 1, 1),  # the minimum for two processes
        ({"redis_budget": 6, "processes": 1}, 1, 1),
        ({"redis_budget": 20, "processes": 4}, 1, 1),
        ({"redis_budget": 100, "nodes": 2}, 11, 1),
        ({"redis_budget": 101, "nodes": 2}, 11, 1),  # the odd one is unused
        ({"redis_budget": 50, "redis_reserved": 10}, 9, 1),
        ({"redis_budget": 50, "pubsub_pool_size": 3}, 9, 3),
        ({"redis_budget": 50, "ops_pool_size": 4}, 4, 1),
        ({"redis_budget": 322, "ops_pool_size": 20, "pubsub_pool_size": 60}, 20, 60),
    ],
)
def test_the_budget_is_dealt_out(given: dict[str, int], ops: int, pubsub: int) -> None:
    dealt = plan(Settings(**given))  # type: ignore[arg-type] # only numbers are given
    assert (dealt.ops, dealt.pubsub) == (ops, pubsub)


@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster"])
def test_a_budget_is_refused_only_where_its_least_pools_do_not_fit(scheme: str) -> None:
    url = {"redis+sentinel": "redis+sentinel://h:1/n"}.get(scheme, f"{scheme}://h:1")
    for budget in range(4, 100):
        settings = Settings(redis_url=url, redis_budget=budget)
        topology = int(scheme == "redis+cluster")
        if budget < 2 + 4 * (2 + topology):  # reserved; old and new of two processes
            with pytest.raises(SettingError):
                plan(settings)
            continue
        dealt = plan(settings)
        used = 4 * (dealt.ops + dealt.pubsub + dealt.topology) + 2
        assert dealt.topology == topology
        assert budget - 4 < used <= budget


def test_pools_that_the_budget_cannot_hold_are_refused_with_the_sum() -> None:
    with pytest.raises(SettingError) as caught:
        plan(Settings(ops_pool_size=20, pubsub_pool_size=60))
    message = caught.value.detail
    assert "OCCUPANCY_REDIS_BUDGET=50" in message
    assert "2 processes x 2" in message
    assert "20 for operations + 60 for streams" in message
    assert "= 322 connections" in message
    assert "Set it to 322 or more" in message


@pytest.mark.parametrize("nodes", [1, 2, 3, 7])
@pytest.mark.parametrize("workers", [1, 2, 5, 64])
@pytest.mark.parametrize("ops_pool_size", [0, 1, 20])
def test_the_number_that_the_refusal_asks_for_is_the_least_that_does(
    nodes: int, workers: int, ops_pool_size: int
) -> None:
    def settings(budget: int) -> Settings:
        return Settings(
            redis_budget=budget, nodes=nodes, processes=workers, ops_pool_size=ops_pool_size
        )

    with pytest.raises(SettingError) as caught:
        plan(settings(1))
    found = re.search(r"Set it to (\d+) or more", caught.value.detail)
    assert found is not None
    enough = int(found.group(1))
    plan(settings(enough))
    with pytest.raises(SettingError):
        plan(settings(enough - 1))


def test_every_plan_stays_within_the_budget_during_a_reload() -> None:
    planned = 0
    for budget in range(1, 200, 3):
        for workers in (1, 2, 3, 8):
            for nodes in (1, 2, 3):
                for reserved in (1, 2, 5):
                    settings = Settings(
                        redis_budget=budget, processes=workers, nodes=nodes, redis_reserved=reserved
                    )
                    try:
                        dealt = plan(settings)
                    except SettingError:
                        continue
                    planned += 1
                    node = GENERATIONS * workers * (dealt.ops + dealt.pubsub) + reserved
                    assert dealt.ops >= 1
                    assert dealt.pubsub >= 1
                    assert nodes * node <= budget
                    assert dealt.node_limit * nodes <= budget
    assert planned == 2012


# Slots


def test_a_process_takes_no_more_slots_than_there_are(path: Path) -> None:
    slots = Slots(path, range(2, 7))
    assert sorted(all_of(slots)) == [2, 3, 4, 5, 6]
    assert slots.take() is None
    slots.give_back(4)
    assert slots.take() == 4
    assert slots.take() is None
    assert len(slots) == 5


def test_two_processes_never_hold_more_than_all_slots_together(path: Path) -> None:
    with ExitStack() as stack:
        takers = [stack.enter_context(Taker(path, 0, 12)) for _ in range(3)]
        assert sum(each.count() for each in takers) == 12
        assert Slots(path, range(12)).take() is None


def test_a_slot_given_back_is_free_for_another_process(path: Path) -> None:
    ours = Slots(path, range(3))
    with Taker(path, 0, 3) as other:
        assert other.count() == 3
        assert ours.take() is None
        assert other.give_one_back() == 2
        assert ours.take() is not None
        assert ours.take() is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_gives_its_slots_back(path: Path, how: signal.Signals) -> None:
    ours = Slots(path, range(5))
    with Taker(path, 0, 5) as other:
        assert other.count() == 5
        assert ours.take() is None
        other.process.send_signal(how)
        other.process.wait(timeout=10)
        assert len(all_of(ours)) == 5


def test_a_child_that_inherits_our_slots_does_not_take_them_along(path: Path) -> None:
    ours = Slots(path, range(2))
    assert len(all_of(ours)) == 2
    subprocess.run([sys.executable, "-c", "pass"], check=True, close_fds=False)
    with Taker(path, 0, 2) as other:
        assert other.count() == 0


def test_the_command_line_and_the_workers_have_slots_of_their_own(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path), redis_budget=20, redis_reserved=3)
    dealt = plan(settings)
    workers = all_of(Slots.for_workers(settings, dealt))
    commands = all_of(Slots.for_command_line(settings, dealt))
    assert len(workers) == 17
    assert len(commands) == 3
    assert not set(workers) & set(commands)


def test_deployments_that_share_a_directory_share_no_slots(tmp_path: Path) -> None:
    shared = {"state_dir": str(tmp_path), "redis_budget": 20}
    one, same, other_server, other_prefix = (
        Settings(**shared, **each)  # type: ignore[arg-type] # texts and a number
        for each in (
            {"redis_url": "redis://a"},
            {"redis_url": "redis://a"},
            {"redis_url": "redis://b"},
            {"redis_url": "redis://a", "prefix": "other"},
        )
    )
    paths = [Slots.for_workers(each, plan(each))._path for each in (one, same)]
    assert paths[0] == paths[1]
    for each in (other_server, other_prefix):
        assert Slots.for_workers(each, plan(each))._path != paths[0]


# Connections on slots


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., OpsClient]]:
    clients: list[OpsClient] = []

    def make(url: str, slots: Slots, *, size: int = 2, wait_s: float = 5.0) -> OpsClient:
        settings = Settings(redis_url=url, pool_wait_s=wait_s, state_dir=str(tmp_path))
        pool = make_pool(settings, slots, name="ops", size=size)
        clients.append(OpsClient(connection_pool=pool))
        return clients[-1]

    yield make
    for each in clients:
        each.connection_pool.disconnect()


def test_a_connection_waits_for_a_slot_and_gets_it_when_one_is_free(
    connect: Callable[..., OpsClient], url: str, path: Path
) -> None:
    client = connect(url, Slots(path, range(2)))
    with Taker(path, 0, 2) as other:
        assert other.count() == 2
        waiting = gevent.spawn(client.ping)
        wait_until(lambda: stats_of(client)["in_use"] == 1)
        gevent.sleep(0)
        assert not waiting.ready()
        other.give_one_back()
        assert waiting.get(timeout=5) is True


def test_without_a_slot_the_wait_ends_in_a_pool_timeout(
    connect: Callable[..., OpsClient], url: str, path: Path
) -> None:
    client = connect(url, Slots(path, range(2)), wait_s=0.05)
    with Taker(path, 0, 2) as other:
        assert other.count() == 2
        with pytest.raises(PoolTimeout, match="OCCUPANCY_REDIS_BUDGET"):
            client.ping()
        other.give_one_back()
        assert client.ping()
    assert stats_of(client)["in_use"] == 0


def test_a_greenlet_killed_while_it_waits_for_a_slot_leaves_all_whole(
    connect: Callable[..., OpsClient], url: str, path: Path
) -> None:
    slots = Slots(path, range(1))
    client = connect(url, slots, size=1)
    held = slots.take()
    assert held is not None
    waiting = gevent.spawn(client.ping)
    wait_until(lambda: stats_of(client)["in_use"] == 1)
    waiting.kill()
    assert stats_of(client)["in_use"] == 0
    slots.give_back(held)
    assert client.ping()


def test_two_pools_never_open_more_connections_than_there_are_slots(
    connect: Callable[..., OpsClient], own_server: RealServer, path: Path
) -> None:
    slots = Slots(path, range(3))
    one = connect(own_server.url, slots, size=3)
    other = connect(own_server.url, slots, size=3, wait_s=0.05)
    taken = [one.connection_pool.get_connection() for _ in range(3)]
    with pytest.raises(PoolTimeout):
        other.ping()
    taken[0].disconnect()
    assert other.ping()
    with own_server.client() as admin:
        wait_until(lambda: len(_ours(admin)) == 3)
    for each in taken:
        one.connection_pool.release(each)


def stats_of(client: OpsClient) -> dict[str, Any]:
    pool: Any = client.connection_pool
    figures: dict[str, Any] = pool.stats()
    return figures


def _ours(admin: Any) -> list[Any]:
    return [each for each in admin.client_list() if each["name"] == "occupancy-ops"]


def test_a_slot_goes_back_when_the_connection_closes(
    connect: Callable[..., OpsClient], url: str, path: Path
) -> None:
    slots = Slots(path, range(2))
    client = connect(url, slots)
    client.ping()
    assert len(slots._held) == 1
    client.connection_pool.disconnect()
    assert not slots._held
    client.connection_pool.disconnect()  # a second close returns no slot twice
    client.ping()
    assert len(slots._held) == 1


def test_a_slot_goes_back_when_connecting_fails(
    connect: Callable[..., OpsClient], path: Path
) -> None:
    slots = Slots(path, range(2))
    client = connect(f"redis://127.0.0.1:{free_port()}", slots)
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            client.ping()
    assert not slots._held


def test_a_slot_goes_back_when_a_connection_is_forgotten(url: str, path: Path) -> None:
    slots = Slots(path, range(2))
    pool = make_pool(Settings(redis_url=url), slots, name="ops", size=1)
    connection = pool.get_connection()
    assert len(slots._held) == 1
    del connection, pool
    gc.collect()
    assert not slots._held


def test_a_greenlet_that_is_killed_while_it_connects_leaves_no_socket_open(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting: list[socket.socket] = []

    def hang(self: socket.socket, _address: object) -> None:
        connecting.append(self)
        gevent.sleep(60)

    monkeypatch.setattr(socket.socket, "connect", hang)
    services = Services.for_web(settings)
    asking = gevent.spawn(services.workers.is_any)
    wait_until(lambda: connecting, what="the connection to begin")
    asking.kill()
    assert connecting[0].fileno() == -1
    services.close()

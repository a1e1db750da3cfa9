"""The connection pools: fair, complete whatever is killed, and inside their bounds."""

from __future__ import annotations

import math
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import redis
from gevent.server import StreamServer

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.errors import PoolTimeout, SettingError, StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from occupancy.storage.client import OpsClient
from occupancy.storage.fair_queue import FairQueue
from occupancy.storage.scripts import Script
from tests.support.pools import (
    Pools,
    assert_slots_are_those_of_open_connections,
    assert_whole,
    killed_in_connect,
    named,
    pool_of,
)
from tests.support.servers import RealServer, free_port
from tests.support.waiting import wait_until

PASSWORD = "a-password"
DATABASE = 3
SOMEBODY = Person("93", "Worker 93")


@pytest.fixture
def password_url(own_server: RealServer) -> Iterator[str]:
    """A server with a password, and a database other than the first."""
    with own_server.client() as admin:
        admin.config_set("requirepass", PASSWORD)
    yield f"redis://:{PASSWORD}@127.0.0.1:{own_server.port}/{DATABASE}"
    with own_server.client(password=PASSWORD) as admin:
        admin.config_set("requirepass", "")


class Relay:
    """A relay in front of a server that passes on a number of replies and keeps the rest."""

    def __init__(self, port: int) -> None:
        self.passing = math.inf  # the number of replies that may still pass
        self.is_cutting = False  # close the connection instead of keeping a reply
        self.kept = 0
        self._upstream_port = port
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port: int = self._server.server_port
        self._open: list[Any] = []

    def _serve(self, client: Any, _address: Any) -> None:
        upstream = gevent.socket.create_connection(("127.0.0.1", self._upstream_port))
        self._open += [client, upstream]
        requests = gevent.spawn(self._copy_requests, client, upstream)
        try:
            while data := upstream.recv(65536):
                if self.passing > 0:
                    self.passing -= 1
                    client.sendall(data)
                else:
                    self.kept += 1
                    if self.is_cutting:
                        break
        except OSError:
            pass  # the test has closed the connection on purpose
        requests.kill()
        client.close()
        upstream.close()

    @staticmethod
    def _copy_requests(client: Any, upstream: Any) -> None:
        try:
            while data := client.recv(65536):
                upstream.sendall(data)
            upstream.shutdown(2)
        except OSError:
            pass  # as above

    def stop(self) -> None:
        self._server.stop()
        for each in self._open:
            each.close()


@pytest.fixture
def relay_to() -> Iterator[Callable[[int], Relay]]:
    running: list[Relay] = []

    def start(port: int) -> Relay:
        running.append(Relay(port))
        return running[-1]

    yield start
    for each in running:
        each.stop()


# The queue alone


def test_a_queue_gives_places_last_in_first_out() -> None:
    queue = FairQueue(3)
    for each in "abc":
        queue.put_nowait(each)  # type: ignore[arg-type] # any object serves
    given: list[Any] = [queue.get(), queue.get()]
    assert given == ["c", "b"]


def test_a_queue_refuses_more_than_its_size() -> None:
    import queue as standard

    queue = FairQueue(1)
    queue.put_nowait(None)
    with pytest.raises(standard.Full):
        queue.put_nowait(None)


def test_waiters_are_served_first_come_first_served() -> None:
    queue = FairQueue(1)
    served: list[int] = []

    def wait(number: int) -> None:
        place = queue.get(timeout=5)
        served.append(number)
        gevent.sleep(0)
        queue.put_nowait(place)

    waiters = [gevent.spawn(wait, number) for number in range(20)]
    gevent.sleep(0)
    assert queue.waiting == 20
    queue.put_nowait(None)
    gevent.joinall(waiters, raise_error=True)
    assert served == list(range(20))
    assert queue.queue == [None]


def test_a_caller_that_returns_a_place_and_asks_again_queues_behind_the_waiters() -> None:
    queue = FairQueue(1)
    order: list[str] = []
    place = None

    def wait() -> None:
        taken = queue.get(timeout=5)
        order.append("waiter")
        queue.put_nowait(taken)

    waiter = gevent.spawn(wait)
    gevent.sleep(0)
    queue.put_nowait(place)
    place = queue.get(timeout=5)  # no switch in between: the waiter has the place already
    order.append("giver")
    queue.put_nowait(place)
    waiter.get()
    assert order == ["waiter", "giver"]


@pytest.mark.parametrize("is_handed_first", [True, False])
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_place_handed_to_a_greenlet_that_is_stopped_that_moment_is_not_lost(
    is_handed_first: bool, how: str
) -> None:
    queue = FairQueue(1)
    got: list[str] = []

    def wait(name: str) -> None:
        place = queue.get(timeout=5)
        got.append(name)
        queue.put_nowait(place)

    first, second = gevent.spawn(wait, "first"), gevent.spawn(wait, "second")
    gevent.sleep(0)
    assert queue.waiting == 2
    exception = gevent.GreenletExit() if how == "kill" else gevent.Timeout(1)

    def stop_first() -> None:
        first.kill(exception, block=False)

    steps = [lambda: queue.put_nowait(None), stop_first]
    for step in steps if is_handed_first else reversed(steps):
        step()
    second.get(timeout=5)
    first.join(timeout=5)
    if not is_handed_first:
        assert got == ["second"]
    assert got[-1] == "second"
    assert queue.queue == [None]
    assert queue.waiting == 0


def test_a_waiter_that_is_stopped_leaves_the_line() -> None:
    queue = FairQueue(1)
    killed = gevent.spawn(queue.get, timeout=5)
    other = gevent.spawn(queue.get, timeout=5)
    gevent.sleep(0)
    killed.kill()
    assert queue.waiting == 1
    queue.put_nowait(None)
    assert other.get(timeout=5) is None
    assert not other.exception


def test_chaos_among_waiters_loses_no_place_and_doubles_none() -> None:
    dice = random.Random(1)
    queue = FairQueue(3)
    places = [object() for _ in range(3)]
    for place in places:
        queue.put_nowait(place)  # type: ignore[arg-type] # any object serves
    out: set[int] = set()

    def work() -> None:
        for _ in range(5):
            try:
                place = queue.get(timeout=dice.choice([0.0005, 5]))
            except PoolTimeout:
                continue
            assert id(place) not in out, "a place was handed out twice"
            out.add(id(place))
            try:
                for _ in range(dice.randrange(3)):
                    gevent.sleep(0)
            finally:
                out.discard(id(place))
                queue.put_nowait(place)

    workers = [gevent.spawn(work) for _ in range(150)]
    for worker in workers:
        if dice.random() < 0.5:
            gevent.sleep(dice.choice([0, 0, 0.0005]))
            worker.kill(dice.choice([gevent.GreenletExit, gevent.Timeout(1)]), block=False)
    gevent.joinall(workers, timeout=20)
    failures = [each.exception for each in workers if each.exception is not None]
    assert all(isinstance(each, gevent.Timeout) for each in failures), failures
    assert queue.waiting == 0
    assert {id(each) for each in queue.queue} == {id(each) for each in places}
    assert len(queue.queue) == 3


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


# Whole


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
    client = pools(own_server.url, timeout_s=0.1)
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


# The server goes and comes


def test_the_next_command_works_after_a_restart_of_the_server(
    pools: Pools, own_server: RealServer
) -> None:
    client = pools(own_server.url, size=2)
    assert_whole(client)
    own_server.stop()
    with pytest.raises(StoreUnavailable):
        client.ping()
    assert not pools.slots._held or pool_of(client).stats()["idle"] > 0
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


# What the server answers


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

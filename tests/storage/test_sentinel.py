"""Services behind Sentinels: they find the primary, and follow it through every fault.

The real Sentinels promote; the fake ones say what real ones say only in rare moments.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from occupancy.boards.commands import Command
from occupancy.core.errors import StoreUnavailable
from occupancy.core.server_url import Address
from occupancy.core.settings import Settings
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from occupancy.storage.commands import INCARNATION
from occupancy.storage.topology import sentinel, sentinel_agreement, sentinel_answers
from occupancy.storage.topology.sentinel import Sentinel
from tests.conftest import require, require_binary
from tests.support.clusters import RealSentinels, lose_replication
from tests.support.deployment import ROOT
from tests.support.fake_sentinel import FakeSentinel, url_of
from tests.support.servers import BINARIES, RealServer, free_port
from tests.support.shop import SUPERVISOR, change
from tests.support.tls import make_certificate
from tests.support.waiting import wait_until

INCARNATION_STEP = 10**9  # versions and epochs begin at the incarnation times this


@pytest.fixture(params=BINARIES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def real(kind: str, tmp_path: Path) -> Iterator[RealSentinels]:
    """A primary, two replicas and three Sentinels."""
    made = RealSentinels(kind, tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def pair(kind: str, tmp_path: Path) -> Iterator[list[RealServer]]:
    """A primary and its replica, without Sentinels."""
    delay = {"repl-diskless-sync-delay": "0"}
    servers = [RealServer(require_binary(kind), tmp_path / f"{n}", **delay) for n in range(2)]
    for each in servers:
        each.start()
    follow(servers[1], servers[0])
    yield servers
    for each in servers:
        if each.is_running:
            each.signal(signal.SIGCONT)
        each.stop()


@pytest.fixture
def fakes(pair: list[RealServer]) -> Iterator[list[FakeSentinel]]:
    """Three Sentinels that name the first of the pair."""
    made = [FakeSentinel(pair[0]) for _ in range(3)]
    yield made
    for each in made:
        each.stop()


Make = Callable[..., Services]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes the services of a process, which follow the Sentinels."""
    made: list[Services] = []

    def services(url: str, *, is_command_line: bool = False, **settings: Any) -> Services:
        chosen = {"pool_wait_s": 5.0, "redis_timeout_s": 1.0, **settings}
        given = Settings(
            redis_url=url, prefix=f"t-{secrets.token_hex(4)}",
            state_dir=str(tmp_path / "state"), **chosen,
        )  # fmt: skip
        of = Services.for_command_line if is_command_line else Services.for_web
        made.append(of(given))
        if not is_command_line:
            made[-1].topology.start()
        return made[-1]

    yield services
    for each in made:
        each.close()


def follow(replica: RealServer, primary: RealServer) -> None:
    with replica.client() as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", primary.port)
        wait_until(lambda: admin.info("replication")["master_link_status"] == "up", what="the copy")


def promote(server: RealServer) -> None:
    with server.client() as admin:
        admin.execute_command("REPLICAOF", "NO", "ONE")


def set_(services: Services, name: str = "key") -> bool:
    """Write; False for a 503."""
    try:
        return bool(services.store.client.set(f"{services.settings.prefix}:{name}", name))
    except StoreUnavailable:
        return False


def wait_for_writes(services: Services) -> None:
    wait_until(lambda: set_(services), timeout_s=30, what="a write")


def address_of(services: Services) -> str:
    return services.topology.shards()[0].address


def is_at_port(services: Services, port: int) -> bool:
    return address_of(services) == f"127.0.0.1:{port}"


def is_at(services: Services, server: RealServer) -> bool:
    return is_at_port(services, server.port)


def wait_to_be_at(services: Services, server: RealServer) -> None:
    wait_until(lambda: is_at(services, server), timeout_s=30, what="the move to the primary")


def ours_at(admin: Any) -> list[str]:
    """The connections of ours that a server has."""
    names = [each["name"] for each in admin.client_list()]
    return [each for each in names if each in ("occupancy-ops", "occupancy-pubsub")]


class Writer:
    """Writes all the time; ``acknowledged`` has each name with when its answer came."""

    def __init__(self, services: Services, greenlets: int = 3) -> None:
        self.acknowledged: list[tuple[str, float]] = []
        self._services = services
        self._numbers = itertools.count()
        self._greenlets = [gevent.spawn(self._write) for _ in range(greenlets)]

    def _write(self) -> None:
        while True:
            name = f"n-{next(self._numbers)}"
            if set_(self._services, name):
                self.acknowledged.append((name, time.monotonic()))
                gevent.sleep(0)
            else:
                gevent.sleep(0.01)

    def stop(self) -> None:
        gevent.killall(self._greenlets)

    def lost(self, primary: Any) -> list[tuple[str, float]]:
        """What is acknowledged and not on the primary."""
        prefix = self._services.settings.prefix
        names = [f"{prefix}:{name}" for name, _ in self.acknowledged]
        found = primary.mget(names)
        return [each for each, value in zip(self.acknowledged, found, strict=True) if value is None]


def noticed_at(services: Services) -> list[float]:
    """Filled with when the process notices each change."""
    times: list[float] = []
    services.topology.on_change = lambda: times.append(time.monotonic())
    return times


# Faults, on real servers


def test_the_store_works_behind_sentinels(real: RealSentinels, make: Make) -> None:
    services = make(real.url)
    change(services, "main", 3)
    board = services.store.boards.create("b-1", steps=["A", "B"]).board
    cursor = change(services, board, 3)
    assert services.store.log.head(board).head_cursor == cursor
    assert [each.board for each in services.store.boards.all()] == ["b-1", "main"]
    services.process_report.publish()
    assert len(services.processes.all()) == 1


def test_a_killed_primary_is_replaced_and_what_was_copied_is_there(
    real: RealSentinels, make: Make
) -> None:
    services = make(real.url)
    set_(services, "before")
    services.store.client.execute_command("WAIT", 2, 1000)
    old = real.primary()
    old.stop(signal.SIGKILL)
    assert not set_(services)  # nothing is said to be written meanwhile
    wait_for_writes(services)
    assert not is_at(services, old)
    assert services.topology.shards()[0].incarnation > 0
    assert services.store.client.get(f"{services.settings.prefix}:before") == b"before"


def test_after_a_lossy_kill_cursors_are_unknown_and_epochs_are_new(
    real: RealSentinels, make: Make
) -> None:
    services = make(real.url)
    kept = change(services, "main", 2)
    services.store.client.execute_command("WAIT", 2, 1000)
    old = real.primary()
    lose_replication(old)
    lost = change(services, "main", 3)
    old.stop(signal.SIGKILL)
    wait_for_writes(services)
    outcome = services.store.commands.execute(
        Command("main", TRANSITIONS["take"], ["T-1"], actor=SUPERVISOR)
    )
    assert outcome.outcomes[0].changed
    assert not services.store.log.replay("main", lost, 10).is_known
    assert not services.store.log.replay("main", kept, 10).is_known  # it may have seen lost ones
    item = json.loads(services.store.queries.item("main", "T-1"))
    assert item["epoch"] > INCARNATION_STEP
    assert item["version"] > INCARNATION_STEP


def test_a_resumed_old_primary_takes_nothing_from_us(real: RealSentinels, make: Make) -> None:
    services = make(real.url)
    writer = Writer(services)
    wait_until(lambda: len(writer.acknowledged) > 20, what="writes")
    old = real.primary()
    old.signal(signal.SIGSTOP)
    wait_until(lambda: not is_at(services, old), timeout_s=30, what="the promotion")
    seen = len(writer.acknowledged)
    wait_until(lambda: len(writer.acknowledged) > seen + 20, timeout_s=30, what="writes again")
    old.signal(signal.SIGCONT)
    with old.client() as admin:
        wait_until(lambda: not ours_at(admin), what="our connections to be gone")
        seen = len(writer.acknowledged)
        wait_until(lambda: len(writer.acknowledged) > seen + 100, what="more writes")
        assert not ours_at(admin)
    writer.stop()
    with real.primary().client() as primary:
        late = {name for name, _ in writer.acknowledged[seen:]}
        assert [name for name, _ in writer.lost(primary) if name in late] == []


def test_nothing_is_lost_in_a_planned_failover_once_it_is_noticed(
    real: RealSentinels, make: Make
) -> None:
    services = make(real.url)
    times = noticed_at(services)
    writer = Writer(services)
    wait_until(lambda: len(writer.acknowledged) > 100, what="writes")
    old = real.primary()
    real.fail_over()
    wait_until(lambda: times, what="the change to be noticed")
    seen = len(writer.acknowledged)
    wait_until(lambda: len(writer.acknowledged) > seen + 200, timeout_s=20, what="writes again")
    writer.stop()
    assert len(times) == 1
    assert not is_at(services, old)
    with real.primary().client() as primary:
        lost = writer.lost(primary)
    assert [each for each in lost if each[1] > times[0]] == []


def test_a_primary_that_only_the_sentinels_do_not_reach_is_left(
    kind: str, tmp_path: Path, make: Make
) -> None:
    real = RealSentinels(kind, tmp_path, password="p@ss/word")
    real.start()
    try:
        services = make(real.url)
        times = noticed_at(services)
        writer = Writer(services)
        wait_until(lambda: len(writer.acknowledged) > 20, what="writes")
        old = real.primary()
        real.cut_off(old)
        wait_until(lambda: times, timeout_s=30, what="the promotion to be noticed")
        seen = len(writer.acknowledged)
        wait_until(lambda: len(writer.acknowledged) > seen + 100, timeout_s=30, what="writes")
        writer.stop()
        assert not is_at(services, old)
        # Sentinels tell each other within two seconds.
        wait_until(lambda: real.primary() is not old, what="the first Sentinel to know it too")
        with real.client(real.primary()) as primary:
            assert [each for each in writer.lost(primary) if each[1] > times[0]] == []
    finally:
        real.stop()


def test_operations_go_on_with_one_of_three_sentinels(real: RealSentinels, make: Make) -> None:
    services = make(real.url)
    assert set_(services)
    real.end_sentinel(0)
    real.end_sentinel(1)
    topology = services.topology
    assert isinstance(topology, Sentinel)
    wait_until(lambda: len(topology._agreement.troubles) == 2, what="the deaths to be noticed")
    services.topology.shards()[0].ops_pool.renew()  # new connections find it too
    assert set_(services)
    assert set_(make(real.url))
    assert set_(make(real.url, is_command_line=True))


def test_a_sentinel_that_hangs_delays_nothing(
    real: RealSentinels, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentinel_answers, "_TIMEOUT_S", 60.0)
    monkeypatch.setattr(sentinel, "_FIRST_ANSWER_S", 60.0)
    real.processes[0].send_signal(signal.SIGSTOP)
    services = make(real.url)
    with gevent.Timeout(20):
        assert set_(services)
    old = real.primary_by(1)
    old.stop(signal.SIGKILL)
    with gevent.Timeout(20):  # the two others promote
        wait_for_writes(services)
    assert not is_at(services, old)


def test_without_sentinels_at_the_start_requests_fail_and_then_succeed(
    kind: str, tmp_path: Path, make: Make
) -> None:
    real = RealSentinels(kind, tmp_path)
    real.start_servers()
    try:
        services = make(real.url)
        with gevent.Timeout(2), pytest.raises(StoreUnavailable, match="No Sentinel says"):
            services.store.client.get("key")
        real.start_sentinels()
        wait_for_writes(services)
    finally:
        real.stop()


def test_the_command_line_finds_the_primary_without_greenlets(
    real: RealSentinels, make: Make, tmp_path: Path
) -> None:
    services = make(real.url, is_command_line=True)
    assert set_(services)
    real.fail_over()
    # Its one connection leads to the old primary, which may be writable for some seconds.
    wait_for_writes(services)
    assert is_at(services, real.primary())
    ran = subprocess.run(
        [sys.executable, "-m", "flask", "boards", "list"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "REDIS_URL": real.url, "OCCUPANCY_STATE_DIR": str(tmp_path / "cli")},
        timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "main" in ran.stdout


# What real Sentinels say in rare moments


def test_a_sentinel_that_names_the_old_primary_for_ever_is_outvoted_by_the_epoch(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make
) -> None:
    _old, new = pair
    services = make(url_of(*fakes))
    assert set_(services)
    promote(new)
    for each in fakes[:2]:
        each.primary, each.epoch = new, 1
    wait_to_be_at(services, new)
    times = noticed_at(services)
    asked = fakes[2].asked
    wait_until(lambda: fakes[2].asked > asked + 8, what="more answers of the old one")
    assert is_at(services, new)
    assert not times
    again = make(url_of(fakes[2], *fakes[:2]))  # whose first answer is the old one's
    assert set_(again)
    assert is_at(again, new)


@pytest.mark.parametrize("how", ["command", "pipeline", "transaction", "script"])
def test_a_demoted_primary_refuses_and_the_operation_waits_for_the_new_one(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make, how: str
) -> None:
    old, new = pair
    services = make(url_of(*fakes))
    assert set_(services)
    promote(new)
    follow(old, new)
    key = f"{services.settings.prefix}:list"
    client = services.store.client

    def push() -> None:
        if how == "command":
            client.rpush(key, "once")
        elif how == "script":
            script = "return redis.call('RPUSH', KEYS[1], ARGV[1])"
            client.execute_command("EVAL", script, 1, key, INCARNATION)
        else:
            client.run_pipeline(
                lambda pipeline: (pipeline.exists(key), pipeline.rpush(key, "once")),
                transaction=how == "transaction",
            )

    pushing = gevent.spawn(push)
    with old.client() as admin:
        wait_until(
            lambda: "errorstat_READONLY" in admin.info("errorstats"), what="it to be refused"
        )
    assert not pushing.ready()
    for each in fakes:
        each.primary, each.epoch = new, 7
    pushing.get(timeout=10)
    with new.client() as admin:
        assert admin.lrange(key, 0, -1) == [b"7" if how == "script" else b"once"]


@pytest.mark.parametrize("is_connected", [True, False])
def test_where_no_primary_comes_the_wait_ends_in_a_503(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make, is_connected: bool
) -> None:
    old, new = pair
    services = make(url_of(*fakes), pool_wait_s=0.5)
    if is_connected:
        assert set_(services)
    promote(new)
    follow(old, new)
    started = time.monotonic()
    with gevent.Timeout(10):
        assert not set_(services)
        assert time.monotonic() - started >= 0.5
        with pytest.raises(StoreUnavailable):
            services.store.client.run_pipeline(lambda pipeline: pipeline.set("key", "value"))
        with pytest.raises(StoreUnavailable):  # nor does the replica answer a read
            services.store.client.get("key")
    for each in fakes:
        each.primary, each.epoch = new, 1
    wait_for_writes(services)


def test_a_lost_answer_is_not_sent_again(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make
) -> None:
    old, new = pair
    services = make(url_of(*fakes))
    assert set_(services)
    key = f"{services.settings.prefix}:list"
    old.signal(signal.SIGSTOP)
    pushing = gevent.spawn(services.store.client.rpush, key, "once")
    pool = services.topology.shards()[0].ops_pool
    wait_until(lambda: pool.stats()["in_use"], what="the command to be on its way")
    promote(new)  # so that it would take the command
    for each in fakes:
        each.primary, each.epoch = new, 1
    with pytest.raises(StoreUnavailable):
        pushing.get(timeout=10)
    old.signal(signal.SIGCONT)
    with old.client() as admin, new.client() as primary:
        wait_until(lambda: admin.llen(key) == 1, what="the old primary to run it")
        assert primary.llen(key) == 0


def test_a_reply_that_arrived_before_the_change_counts_as_lost(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make
) -> None:
    services = make(url_of(*fakes))
    topology = services.topology
    assert isinstance(topology, Sentinel)
    assert set_(services)
    pool = topology.shards()[0].ops_pool
    connection: Any = pool.get_connection()
    connection.send_command("SET", "key", "value")
    with pair[0].client() as admin:
        wait_until(lambda: admin.get("key") == b"value", what="the write")
    assert topology._primary is not None
    topology._move(sentinel_answers.Primary(topology._primary.address, 1))
    with pytest.raises(Exception, match=r"not used any more|closed by server"):
        connection.read_response()
    pool.release(connection)
    assert set_(services)


def test_a_connection_that_was_being_opened_during_a_change_is_not_used(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the change falls into the second attempt of the pool."""
    old, new = pair
    services = make(url_of(*fakes))
    topology = services.topology
    assert isinstance(topology, Sentinel)
    assert set_(services)
    pool = topology.shards()[0].ops_pool
    idle: Any = pool.get_connection()
    pool.release(idle)
    idle._sock.shutdown(2)  # stale: the pool opens it a second time
    promote(new)
    greet = idle.send_command
    seen: list[str] = []

    def send_and_change(*args: Any, **options: Any) -> None:
        greet(*args, **options)
        if args == ("ROLE",) and not seen:
            seen.append("changed")
            # Without ``hang_up``, which finds no socket while TCP connects.
            for each in fakes:
                each.primary, each.epoch = new, 1
            topology._primary = sentinel_answers.Primary(Address("127.0.0.1", new.port), 1)

    monkeypatch.setattr(idle, "send_command", send_and_change)
    assert set_(services)
    assert seen
    key = f"{services.settings.prefix}:key"
    with old.client() as admin, new.client() as primary:
        assert admin.delete(key) == 1  # the write from before
        assert primary.get(key) == b"key"
        monkeypatch.undo()
        assert set_(services)
        assert admin.get(key) is None


def test_after_the_sentinels_were_set_up_anew_a_dead_primary_is_left(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(sentinel_agreement, "AGREEMENT_S", 0.5)
    old, new = pair
    for each in fakes:
        each.epoch = 5
    services = make(url_of(*fakes))
    assert set_(services)
    promote(new)
    for each in fakes[:2]:
        each.primary, each.epoch = new, 0
    asked = fakes[0].asked
    wait_until(lambda: fakes[0].asked > asked + 6, what="some answers")
    assert is_at(services, old)  # it serves, and has the higher epoch
    assert set_(services)
    # Higher than the known one: only then is the other server followed while this one serves.
    wait_until(lambda: "`sentinel config-epoch board 6`" in caplog.text, what="the advice")
    old.stop(signal.SIGKILL)
    wait_for_writes(services)
    assert is_at(services, new)
    assert services.topology.shards()[0].incarnation == 5  # it never goes back
    asked = fakes[2].asked
    wait_until(lambda: fakes[2].asked > asked + 6, what="more answers of the past")
    assert is_at(services, new)


def test_sentinels_whose_epochs_begin_anew_are_told_of_with_what_to_do(
    fakes: list[FakeSentinel], make: Make,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(sentinel_agreement, "AGREEMENT_S", 0.2)
    for each in fakes:
        each.epoch = 5
    services = make(url_of(*fakes))
    assert set_(services)
    fakes[0].epoch = 0  # one may have missed a failover
    asked = fakes[0].asked
    wait_until(lambda: fakes[0].asked > asked + 6, what="some answers")
    assert "config-epoch" not in caplog.text
    fakes[1].epoch = 0
    wait_until(lambda: "`sentinel config-epoch board 5`" in caplog.text, what="the advice")
    asked = fakes[1].asked
    wait_until(lambda: fakes[1].asked > asked + 6, what="more answers")
    assert caplog.text.count("config-epoch") == 1


def test_a_minority_does_not_lead_back_even_where_the_primary_is_dead(
    pair: list[RealServer], fakes: list[FakeSentinel], make: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sentinel_agreement, "AGREEMENT_S", 0.2)
    _old, new = pair
    for each in fakes[:2]:
        each.primary, each.epoch = new, 1
    promote(new)
    services = make(url_of(*fakes))
    assert set_(services)
    new.stop(signal.SIGKILL)
    assert not set_(services)
    for each in fakes[:2]:
        each.stop()  # nobody contradicts it
    asked = fakes[2].asked
    wait_until(lambda: fakes[2].asked > asked + 24, what="more answers of the old one")
    assert is_at(services, new)
    assert not set_(services)


# Settings


def test_passwords_of_servers_and_of_sentinels_and_a_database(
    kind: str, tmp_path: Path, make: Make
) -> None:
    real = RealSentinels(
        kind, tmp_path, replicas=1, sentinels=1, password="servers", sentinel_password="sentinels"
    )
    real.start()
    try:
        where = f"127.0.0.1:{real.ports[0]}/board/3"
        services = make(f"redis+sentinel://:servers@{where}?sentinel_password=sentinels")
        assert set_(services)
        assert set_(
            make(
                f"redis+sentinel://default:servers@{where}"
                "?sentinel_username=default&sentinel_password=sentinels"
            )
        )
        key = f"{services.settings.prefix}:key"
        with real.client(real.primary()) as admin:
            admin.select(3)
            assert admin.get(key) == b"key"
        for wrong in ("", "?sentinel_password=wrong"):
            with pytest.raises(StoreUnavailable, match="sentinel_password"):
                make(f"redis+sentinel://:servers@{where}{wrong}").store.client.get(key)
        with pytest.raises(StoreUnavailable) as caught:
            make(f"redis+sentinel://:no@{where}?sentinel_password=sentinels").store.client.get(key)
        assert "password" in str(caught.value.__cause__)
    finally:
        real.stop()


def test_tls_is_spoken_with_servers_and_sentinels(tmp_path: Path, make: Make) -> None:
    """On redis-server only: the wheel's Valkey is built without TLS."""
    require(shutil.which("openssl"), "openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make_certificate(key, certificate)
    real = RealSentinels("redis", tmp_path, replicas=0, sentinels=1, tls=(key, certificate))
    real.start()
    try:
        where = f"127.0.0.1:{real.ports[0]}/board"
        query = f"ssl_ca_certs={certificate}&ssl_check_hostname=false"
        services = make(f"rediss+sentinel://{where}?{query}")
        wait_for_writes(services)
        assert is_at_port(services, real.tls_ports[0])
        with real.servers[0].client() as admin:
            key_name = f"{services.settings.prefix}:key"
            assert admin.get(key_name) == b"key"
        with pytest.raises(StoreUnavailable):  # an unknown certificate
            make(f"rediss+sentinel://{where}").store.client.get("key")
        with pytest.raises(StoreUnavailable):  # without TLS
            make(f"redis+sentinel://{where}").store.client.get("key")
    finally:
        real.stop()


def test_a_name_that_the_sentinels_do_not_know_is_said(
    real: RealSentinels, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    services = make(real.url.replace("/board", "/unknown"))
    with pytest.raises(StoreUnavailable, match="know no primary of the name in REDIS_URL"):
        services.store.client.get("key")
    wait_until(
        lambda: "knows no primary named 'unknown'" in caplog.text, what="the line in the log"
    )
    assert "unknown" not in make(real.url).topology.shards()[0].address


def test_a_server_that_is_no_sentinel_is_said(
    server_of: Callable[[str], RealServer], kind: str, make: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    services = make(f"redis+sentinel://127.0.0.1:{server_of(kind).port}/board")
    with pytest.raises(StoreUnavailable, match="must name Sentinels"):
        services.store.client.get("key")
    wait_until(lambda: "it is no Sentinel" in caplog.text, what="the line in the log")


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()}/board"
    ran = subprocess.run(
        [sys.executable, "-m", "flask", "boards", "list"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "REDIS_URL": url, "OCCUPANCY_STATE_DIR": str(tmp_path)},
        timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "No Sentinel says where the primary is" in line
    assert url.removeprefix("redis+sentinel://").removesuffix("/board") in line

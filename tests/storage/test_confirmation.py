"""Confirmed changes on real replicas: what is acknowledged survives a failover."""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import gevent
import pytest

from occupancy.boards.commands import Command
from occupancy.boards.records import Answer, Preconditions
from occupancy.core.entities import Person, Role
from occupancy.core.errors import (
    NotFound,
    PoolTimeout,
    SettingError,
    StoreUnavailable,
    Unconfirmed,
    answered_kinds,
)
from occupancy.core.principal import Credential, digest_of
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from occupancy.storage import confirmation
from occupancy.storage.topology.shard import Shard
from tests.support.clusters import SERVICE, RealCluster, RealSentinels, lose_replication
from tests.support.servers import BINARIES, RealServer
from tests.support.waiting import wait_until

T = TypeVar("T")
SOMEBODY = Person("w1", "Worker One")
TAKE = TRANSITIONS["take"]


@contextlib.contextmanager
def sentinels_of(kind: str, directory: Path, *, replicas: int = 2) -> Iterator[RealSentinels]:
    made = RealSentinels(kind, directory, replicas=replicas)
    try:
        made.start()
        with made.client(made.primary()) as admin:  # a replica confirms late at first
            admin.set("first", "")
            assert admin.execute_command("WAIT", replicas, 4_000) == replicas
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def services_on(
    url: str, directory: Path, *, replicas: int = 0, prefix: str = ""
) -> Iterator[Services]:
    settings = Settings(
        redis_url=url, prefix=prefix or f"t-{secrets.token_hex(6)}",
        state_dir=str(directory / "state"),
        confirm_replicas=replicas, confirm_s=0.5, redis_timeout_s=1.0, pool_wait_s=2.0,
    )  # fmt: skip
    made = Services.for_web(settings)
    made.topology.start()
    try:
        wait_until(lambda: made.topology.is_complete, timeout_s=30, what="the servers to be known")
        yield made
    finally:
        made.close()


def put(services: Services, tag: str, title: str, key: str) -> Answer:
    given = Preconditions(idempotency_key=key, fingerprint=title.ljust(32, "0"))
    texts = {"title": json.dumps(title)}
    command = Command("main", PUT, [tag], SOMEBODY, items=[texts], preconditions=given)
    return services.store.commands.execute(command)


def replicas_of(sentinels: RealSentinels) -> list[RealServer]:
    return [each for each in sentinels.servers if each is not sentinels.primary()]


def never_count_as_down(sentinels: RealSentinels) -> None:
    """Have the Sentinels still count a replica that is stopped for some seconds."""
    for number in range(len(sentinels.ports)):
        sentinels.ask(
            "SENTINEL", "SET", SERVICE, "down-after-milliseconds", "60000", sentinel=number
        )


@contextlib.contextmanager
def stopped(*servers: RealServer) -> Iterator[None]:
    for each in servers:
        each.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in servers:
            each.signal(signal.SIGCONT)


def until_confirmed(change: Callable[[], T]) -> T:
    def sent() -> T | None:
        with contextlib.suppress(StoreUnavailable):
            return change()
        return None

    return wait_until(sent, timeout_s=20, what="the replicas to confirm")


# The rules, without servers


def shard(*, replicas: int, known: int | None = None) -> Shard:
    made = Shard.__new__(Shard)
    made.address = "10.0.0.1:6379"
    made.client = type("Client", (), {"replicas": replicas})()  # all that is asked
    made.known_replicas = replicas if known is None else known
    return made


@pytest.mark.parametrize(
    ("wanted", "shards", "why"),
    [
        (2, [shard(replicas=2)], None),
        (1, [shard(replicas=1), shard(replicas=1)], None),
        (0, [shard(replicas=2)], None),
        (2, [shard(replicas=1, known=2)], None),  # one is down: operations wait for it
        (1, [shard(replicas=2)], "too low"),
        (1, [shard(replicas=1), shard(replicas=2)], "until each primary has 2"),
        (2, [shard(replicas=1), shard(replicas=2)], "until each primary has 2"),
        (0, [shard(replicas=1), shard(replicas=2)], None),
        (2, [shard(replicas=1, known=2), shard(replicas=2)], None),
        (3, [shard(replicas=2)], "never be reached"),
        (1, [shard(replicas=1), shard(replicas=0)], "unequal numbers of replicas"),
    ],
)
def test_a_number_is_sound_if_every_replica_that_may_be_promoted_counts(
    wanted: int, shards: list[Shard], why: str | None
) -> None:
    found = confirmation.unsound(wanted, shards)
    assert found is None if why is None else why in str(found)


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OCCUPANCY_CONFIRM_REPLICAS": "1"}, "OCCUPANCY_CONFIRM_REPLICAS=1"),
        (
            {"OCCUPANCY_CONFIRM_REPLICAS": "1", "REDIS_URL": "redis://localhost"},
            "OCCUPANCY_CONFIRM_REPLICAS=1",
        ),
        ({"OCCUPANCY_CONFIRM_REPLICAS": "11"}, "OCCUPANCY_CONFIRM_REPLICAS='11'"),
        (
            {"OCCUPANCY_CONFIRM_S": "3", "REDIS_URL": "redis+cluster://a,b"},
            "OCCUPANCY_CONFIRM_S=3",
        ),
        (
            {"OCCUPANCY_REDIS_TIMEOUT_S": "0.5", "REDIS_URL": "redis+cluster://a,b"},
            "OCCUPANCY_CONFIRM_S=1",
        ),
    ],
)
def test_settings_that_cannot_be_right_stop_the_start(environ: dict[str, str], name: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_environ(environ)


def test_a_short_timeout_alone_is_no_error_for_a_single_server() -> None:
    assert Settings.from_environ({"OCCUPANCY_REDIS_TIMEOUT_S": "0.5"}).confirm_s == 1.0


def test_a_single_server_costs_nothing_more(valkey_services: Services) -> None:
    client, settings = valkey_services.store.client, valkey_services.settings
    assert confirmation.for_operations(client, settings) is client
    assert confirmation.for_access(client, settings) is client


def test_unconfirmed_is_one_of_the_answered_kinds() -> None:
    assert Unconfirmed in answered_kinds()


# Operations


@pytest.mark.parametrize("kind", BINARIES)
def test_a_repeated_answer_is_confirmed_too(kind: str, tmp_path: Path) -> None:
    with (
        sentinels_of(kind, tmp_path) as sentinels,
        services_on(sentinels.url, tmp_path, replicas=2) as services,
        # Another process: Valkey's WAIT knows the last write of its own connection.
        services_on(sentinels.url, tmp_path, replicas=2, prefix=services.settings.prefix) as other,
    ):
        until_confirmed(lambda: put(services, "T-1", "one", "first"))
        until_confirmed(lambda: put(other, "T-2", "one", "first of the other"))
        with stopped(*replicas_of(sentinels)):
            with pytest.raises(Unconfirmed) as first:
                put(services, "T-1", "two", "second")
            assert first.value.status == 503
            assert first.value.extra["retry_after"] >= 1
            # Sent again, it writes nothing: its effect stands already.
            with pytest.raises(Unconfirmed):
                put(other, "T-1", "two", "second")
            take = Command("main", TAKE, ["T-1"], SOMEBODY)
            for each in (services, other):  # the second one changes nothing
                with pytest.raises(Unconfirmed):
                    each.store.commands.execute(take)
        answer = until_confirmed(lambda: put(services, "T-1", "two", "second"))
        assert answer.is_replayed
        assert answer.outcomes[0].changed
        again = until_confirmed(lambda: services.store.commands.execute(take))
        assert not again.outcomes[0].changed


@pytest.mark.parametrize("required", [1, 2])
def test_one_replica_of_two_does_not_confirm_an_operation_and_reads_go_on(
    required: int, tmp_path: Path
) -> None:
    """Even if one is enough by the setting: the other one may be promoted."""
    with (
        sentinels_of("valkey", tmp_path) as sentinels,
        services_on(sentinels.url, tmp_path, replicas=required) as services,
    ):
        until_confirmed(lambda: put(services, "T-1", "one", "first"))
        never_count_as_down(sentinels)
        with stopped(replicas_of(sentinels)[0]):
            with pytest.raises(Unconfirmed, match="1 of 2 replicas"):
                put(services, "T-1", "two", "second")
            with pytest.raises(Unconfirmed):
                list(services.store.commands.put_many("main", [("T-2", {})], actor=SOMEBODY))
            assert services.store.boards.get("main").seq == 3


@pytest.mark.parametrize("kind", BINARIES)
def test_in_a_cluster_the_shard_of_the_board_confirms(kind: str, tmp_path: Path) -> None:
    cluster = RealCluster(kind, tmp_path)
    try:
        cluster.start()
        with services_on(cluster.url, tmp_path, replicas=1) as services:
            until_confirmed(lambda: put(services, "T-1", "one", "first"))
            primary = cluster.primary_of(services.store.keys.board("main").board)
            others = [each for each in cluster.nodes if each is not primary]
            (replica,) = cluster.replicas_of(primary)
            with stopped(replica):
                with pytest.raises(Unconfirmed):
                    put(services, "T-1", "two", "second")
                with pytest.raises(Unconfirmed):
                    list(services.store.commands.put_many("main", [("T-2", {})], actor=SOMEBODY))
            assert replica in others
            assert until_confirmed(lambda: put(services, "T-1", "two", "second")).is_replayed
    finally:
        cluster.stop()


# Access


@pytest.mark.parametrize("kind", BINARIES)
def test_a_revocation_is_confirmed_by_every_replica_that_is_not_down(
    kind: str, tmp_path: Path
) -> None:
    with (
        sentinels_of(kind, tmp_path) as sentinels,
        services_on(sentinels.url, tmp_path) as services,
    ):
        services.workers.add("w1", name="Worker One", role=Role.WORKER)
        _, token = services.tokens.create("w1")
        _, other = services.tokens.create("w1")
        dead, alive = replicas_of(sentinels)
        with stopped(dead, alive):
            with pytest.raises(Unconfirmed, match="Send it again"):
                services.tokens.revoke(token.id)
            assert [each.token.id for each in services.tokens.all()] == [other.id]
        with pytest.raises(NotFound):  # and that is confirmed
            until_confirmed(lambda: services.tokens.revoke(token.id))
        dead.stop(signal.SIGKILL)
        wait_until(lambda: services.topology.shards()[0].replicas == 1, what="one replica")
        assert services.topology.shards()[0].known_replicas == 2
        with stopped(alive), pytest.raises(Unconfirmed):
            services.workers.edit("w1", disabled=True)
        wait_until(lambda: services.topology.shards()[0].replicas == 1, what="one replica")
        services.workers.edit("w1", disabled=True)
        assert services.tokens.revoke(other.id).id == other.id


def test_every_change_of_access_waits_for_the_replicas(tmp_path: Path) -> None:
    with (
        sentinels_of("valkey", tmp_path) as sentinels,
        services_on(sentinels.url, tmp_path) as services,
    ):
        workers = services.workers
        pin_hash = services.pin_hasher.hash("4917", "w1")
        workers.add("w1", name="Worker One", role=Role.WORKER, pin_hash=pin_hash)
        secret, _ = services.sign_in.with_pin("w1", "4917", address="10.0.0.1")
        principal = services.authenticator.identify(Credential("session", digest_of(secret)))
        link = services.links.create("w1")
        ticket = services.tickets.create(principal)
        changes: dict[str, Callable[[], object]] = {
            "worker": lambda: workers.add("w2", name="Two", role=Role.WORKER),
            "role": lambda: workers.edit("w1", role=Role.ADMIN.label),
            "the same role again": lambda: workers.edit("w1", role=Role.ADMIN.label),
            "token": lambda: services.tokens.create("w1"),
            "link": lambda: services.links.create("w1"),
            "link used up": lambda: services.links.redeem(link),
            "ticket": lambda: services.tickets.create(principal),
            "ticket used": lambda: services.tickets.use(ticket, address="10.0.0.1", board="main"),
            "sign-in": lambda: services.sign_in.with_token(principal, address="10.0.0.1"),
            "sign-out": lambda: services.sessions.end(principal, address="10.0.0.1"),
            "sign-out everywhere": lambda: workers.sign_out("w1"),
        }
        never_count_as_down(sentinels)
        shard = services.topology.shards()[0]
        wait_until(lambda: shard.replicas == 2, what="two replicas")
        for name, change in changes.items():
            with stopped(replicas_of(sentinels)[0]):  # the other one is not enough
                try:
                    change()
                except Unconfirmed:
                    continue
                raise AssertionError(f"{name} is acknowledged without all replicas")


# Faults while four write


class Writers:
    """Four greenlets, each changing its own item; an operation is sent until it is acknowledged."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.acknowledged: list[str] = []  # cursors
        self.attempts = 0
        self._greenlets = [gevent.spawn(self._write, f"T-{number}") for number in range(4)]

    def _write(self, tag: str) -> None:
        for number in itertools.count():
            title = f"{tag} {number}"
            while True:
                self.attempts += 1
                try:
                    self.acknowledged.append(put(self._services, tag, title, title).cursor)
                    break
                except (StoreUnavailable, PoolTimeout):
                    gevent.sleep(0.01)

    def wait_for_more(self, count: int = 50) -> None:
        until = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= until, timeout_s=30, what="operations")

    def wait_for_attempts(self, count: int) -> None:
        until = self.attempts + count
        wait_until(lambda: self.attempts >= until, timeout_s=30, what="attempts")

    def stop(self) -> None:
        gevent.killall(self._greenlets)


def lost_of(services: Services, writers: Writers) -> list[str]:
    """The acknowledged operations that are not in the log; no operation is there twice."""
    log = services.store.keys.board("main").log

    def read() -> Any:
        with contextlib.suppress(StoreUnavailable):
            return services.store.client.xrange(log)
        return []

    entries = wait_until(read, timeout_s=20, what="the log")
    titles = [
        json.loads(fields[b"event"])["item"]["title"] for _, fields in entries if b"event" in fields
    ]
    assert [each for each, count in Counter(titles).items() if count > 1] == []
    kept = {cursor.decode() for cursor, _ in entries}
    return [each for each in writers.acknowledged if each not in kept]


FAULTS = ("kill", "lossy kill", "hang", "planned")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", BINARIES)
def test_behind_sentinels_strict_mode_loses_nothing(kind: str, fault: str, tmp_path: Path) -> None:
    with (
        sentinels_of(kind, tmp_path) as sentinels,
        services_on(sentinels.url, tmp_path, replicas=2) as services,
    ):
        assert lost_behind_sentinels(services, sentinels, fault) == []


@pytest.mark.parametrize("kind", BINARIES)
def test_behind_sentinels_acknowledged_operations_are_lost_without_strict_mode(
    kind: str, tmp_path: Path
) -> None:
    with (
        sentinels_of(kind, tmp_path) as sentinels,
        services_on(sentinels.url, tmp_path) as services,
    ):
        assert lost_behind_sentinels(services, sentinels, "lossy kill") != []


def lost_behind_sentinels(services: Services, sentinels: RealSentinels, fault: str) -> list[str]:
    writers = Writers(services)
    try:
        writers.wait_for_more()
        old = sentinels.primary()
        if fault == "planned":
            sentinels.fail_over()
            writers.wait_for_attempts(50)
        else:
            break_primary(old, fault, writers)
            wait_until(lambda: sentinels.primary() is not old, timeout_s=30, what="a promotion")
            if fault == "hang":
                old.signal(signal.SIGCONT)
            writers.wait_for_attempts(20)
    finally:
        writers.stop()
    return lost_of(services, writers)


def break_primary(primary: RealServer, fault: str, writers: Writers) -> None:
    if fault == "lossy kill":
        lose_replication(primary)
        writers.wait_for_attempts(20)
    if fault == "hang":
        primary.signal(signal.SIGSTOP)
    else:
        primary.stop(signal.SIGKILL)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", BINARIES)
def test_in_a_cluster_strict_mode_loses_nothing(kind: str, fault: str, tmp_path: Path) -> None:
    assert lost_in_a_cluster(kind, fault, tmp_path, replicas=1) == []


@pytest.mark.parametrize("kind", BINARIES)
def test_in_a_cluster_acknowledged_operations_are_lost_without_strict_mode(
    kind: str, tmp_path: Path
) -> None:
    assert lost_in_a_cluster(kind, "lossy kill", tmp_path, replicas=0) != []


def lost_in_a_cluster(kind: str, fault: str, tmp_path: Path, *, replicas: int) -> list[str]:
    cluster = RealCluster(kind, tmp_path)
    try:
        cluster.start()
        with services_on(cluster.url, tmp_path, replicas=replicas) as services:
            key = services.store.keys.board("main").board
            writers = Writers(services)
            try:
                writers.wait_for_more()
                old = cluster.primary_of(key)
                (replica,) = cluster.replicas_of(old)
                if fault == "planned":
                    cluster.fail_over(replica)
                    writers.wait_for_attempts(50)
                else:
                    break_primary(old, fault, writers)
                    wait_until(
                        lambda: replica.client().role()[0] in (b"master", "master"),
                        timeout_s=30, what="a promotion",
                    )  # fmt: skip
                    if fault == "hang":
                        old.signal(signal.SIGCONT)
                    writers.wait_for_attempts(20)
            finally:
                writers.stop()
            return lost_of(services, writers)
    finally:
        cluster.stop()

"""Moving in: the steps of docs/scaling.md and docs/operating.md to another server or a Cluster.

Histories, logs, Idempotency-Keys and tokens come along, epochs and versions go on, and streams
continue at their cursors.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler
from occupancy.boards.records import Preconditions
from occupancy.core.entities import Person, Role
from occupancy.core.principal import Credential, digest_of
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from tests.conftest import require, require_binary
from tests.support.clusters import RealSentinels
from tests.support.deployment import ROOT
from tests.support.servers import BINARIES, RealServer, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.thorough
ANA = Person("ana", "Ana")
BOARDS = ["b-1", "b-2", "b-3"]
KEY = Preconditions(idempotency_key="k", fingerprint="f" * 64)


class Before(NamedTuple):
    """What people and programs had before the move."""

    items: dict[str, list[bytes]]
    histories: dict[str, list[bytes]]
    cursors: dict[str, str]  # of an event that others follow
    secret: str


@pytest.fixture(params=BINARIES)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def old(kind: str, tmp_path: Path) -> Iterator[RealServer]:
    """A single server."""
    made = RealServer(require_binary(kind), tmp_path / "old", **{"repl-diskless-sync-delay": "0"})
    made.start()
    yield made
    if made.is_running:
        made.stop(signal.SIGKILL)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Callable[[str], Services]]:
    """Makes the services on a URL."""
    made: list[Services] = []

    def make(url: str) -> Services:
        settings = Settings(redis_url=url, state_dir=str(tmp_path / f"state-{len(made)}"))
        made.append(Services.for_web(settings))
        made[-1].topology.start()
        return made[-1]

    yield make
    for each in made:
        each.close()


def take(services: Services, board: str) -> Any:
    """Take an item with an Idempotency-Key; the same request each time."""
    return services.store.commands.execute(
        Command(board, TRANSITIONS["take"], ["A"], actor=ANA, preconditions=KEY)
    )


def work(services: Services) -> Before:
    """Some work on each board; what it leaves."""
    cursors = {}
    for board in BOARDS:
        services.store.boards.create(board, steps=["cut", "weld"])
        title = {"title": json.dumps("A spool")}
        services.store.commands.execute(Command(board, PUT, ["A"], actor=ANA, items=[title]))
        cursors[board] = take(services, board).cursor
        services.store.commands.execute(Command(board, TRANSITIONS["pause"], ["A"], actor=ANA))
    services.workers.add("ana", name="Ana", role=Role.WORKER)
    secret, _ = services.tokens.create("ana")
    return Before(items_of(services), histories_of(services), cursors, secret)


def items_of(services: Services) -> dict[str, list[bytes]]:
    found = {}
    for board in BOARDS:
        snapshot = services.store.queries.snapshot(board)
        assert snapshot is not None
        found[board] = list(snapshot.items)
    return found


def histories_of(services: Services) -> dict[str, list[bytes]]:
    return {each: services.store.queries.history(each, "A", limit=10)[0] for each in BOARDS}


def assert_all_came_along(services: Services, before: Before) -> None:
    assert items_of(services) == before.items
    assert histories_of(services) == before.histories
    for board, cursor in before.cursors.items():
        assert take(services, board).is_replayed
        replay = services.store.log.replay(board, cursor, 10)
        assert replay.is_known
        assert [each.seq for each in replay.entries] == [3]
        report = Reconciler(services.store).run(board, repair=False)
        assert report.problems == []
    assert (
        services.authenticator.identify(Credential("token", digest_of(before.secret))).worker.id
        == "ana"
    )


def assert_work_goes_on(services: Services) -> None:
    """Epochs and versions go on, and no event's number is left out."""
    for board in BOARDS:
        was = json.loads(services.store.queries.item(board, "A"))
        answer = services.store.commands.execute(
            Command(board, TRANSITIONS["take"], ["A"], actor=ANA)
        )
        item = json.loads(answer.outcomes[0].item)
        assert item["epoch"] > was["epoch"]
        assert item["version"] > was["version"]
        assert services.store.log.head(board).head_seq == 4


def is_copied(replica: redis.Redis, old: RealServer) -> bool:
    with old.client() as admin:
        is_up = replica.info("replication")["master_link_status"] == "up"
        return bool(is_up and replica.dbsize() == admin.dbsize())


def test_to_sentinel_by_replication(
    kind: str, old: RealServer, services: Callable[[str], Services], tmp_path: Path
) -> None:
    first = services(old.url)
    before = work(first)
    first.close()
    new = RealSentinels(kind, tmp_path / "new", replicas=1)
    try:
        new.start_servers()
        primary, replica = new.servers
        with primary.client() as admin, replica.client() as its_admin:
            admin.execute_command("REPLICAOF", "127.0.0.1", old.port)
            wait_until(lambda: is_copied(admin, old), timeout_s=30, what="the copy")
            wait_until(lambda: is_copied(its_admin, old), timeout_s=30, what="the copy of the copy")
            admin.execute_command("REPLICAOF", "NO", "ONE")
        new.start_sentinels()
        moved = services(new.url)
        assert_all_came_along(moved, before)
        assert_work_goes_on(moved)
    finally:
        new.stop()


def test_to_a_cluster_as_one_server_that_owns_all_slots(
    old: RealServer, services: Callable[[str], Services], tmp_path: Path
) -> None:
    redis_cli = require(shutil.which("redis-cli"), "redis-cli")  # Valkey's are the same commands
    first = services(old.url)
    before = work(first)
    first.close()

    of_a_cluster = {"cluster-enabled": "yes", "cluster-port": str(free_port())}
    new = RealServer(old._binary, tmp_path / "new", appendonly="no", **of_a_cluster)
    try:
        new.start()
        with new.client() as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        new.stop()
        dump = tmp_path / "new" / "dump.rdb"
        copy = [redis_cli, "-p", str(old.port), "--rdb", str(dump)]
        subprocess.run(copy, check=True, capture_output=True)
        new.start()
        moved = services(f"redis+cluster://127.0.0.1:{new.port}")
        assert_all_came_along(moved, before)
        assert_work_goes_on(moved)
    finally:
        if new.is_running:
            new.stop(signal.SIGKILL)


def test_from_the_embedded_server_to_one_of_your_own_by_backup_and_restore(
    tmp_path: Path, services: Callable[[str], Services]
) -> None:
    """The steps of docs/operating.md, with the commands; also into an older Redis."""
    ours = ("OCCUPANCY_", "REDIS_", "FLASK_", "PORT", "WEB_")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    environ["OCCUPANCY_STATE_DIR"] = str(tmp_path / "embedded")
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]

    def command(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            [*flask, *arguments], cwd=ROOT, env={**environ, **more}, timeout=120,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    command("demo", "load")
    secret = command("tokens", "create", "93").strip()
    file = tmp_path / "plant.backup"
    assert "1 board, 40 items" in command("backup", str(file))
    for kind in BINARIES:
        server = RealServer(require_binary(kind), tmp_path / kind)
        server.start()
        try:
            elsewhere = {"REDIS_URL": server.url, "OCCUPANCY_STATE_DIR": str(tmp_path / "own")}
            assert "1 board, 40 items" in command("restore", str(file), **elsewhere)
            moved = services(server.url)
            assert Reconciler(moved.store).run("taller", repair=False).problems == []
            caller = moved.authenticator.identify(Credential("token", digest_of(secret)))
            assert caller.worker.id == "93"
            moved.store.commands.execute(
                Command("taller", TRANSITIONS["take"], ["MK-1335-CW-25238-012"], actor=ANA)
            )
            item = json.loads(moved.store.queries.item("taller", "MK-1335-CW-25238-012"))
            assert item["holder"]["id"] == "ana"
        finally:
            server.stop()

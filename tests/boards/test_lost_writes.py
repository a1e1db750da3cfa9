"""A failover that loses the last writes: two real servers, one of which was the other's replica.

What the old primary wrote alone is lost. The new one must never give the same cursor, the same
version or the same epoch of an item to something else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from occupancy.boards.commands import Command
from occupancy.core.entities import DEFAULT_STEP, Person
from occupancy.core.settings import Settings
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from tests.conftest import require, require_binary
from tests.support.servers import BINARIES, RealServer, libfaketime
from tests.support.waiting import wait_until

WORKERS = [Person(f"w{number}", f"Worker {number}") for number in range(3)]
TAGS = ("A", "B", "C")
OPERATIONS = 200
Start = Callable[[int], RealServer]
Open = Callable[[RealServer, int], Services]


@pytest.fixture(params=BINARIES)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts a server whose clock is so many seconds behind."""
    servers: list[RealServer] = []

    def make(behind_s: int) -> RealServer:
        server = RealServer(
            require_binary(request.param), tmp_path / f"server-{len(servers)}",
            **{"repl-diskless-sync-delay": "0"},
        )  # fmt: skip
        if behind_s:
            library = require(libfaketime(), "libfaketime")
            server.environment = {"LD_PRELOAD": str(library), "FAKETIME": f"-{behind_s}s"}
        server.start()
        servers.append(server)
        return server

    yield make
    for each in servers:
        each.stop()


@pytest.fixture
def open_services(tmp_path: Path) -> Iterator[Open]:
    """The services on a server of a failover epoch."""
    made: list[Services] = []

    def make(server: RealServer, incarnation: int) -> Services:
        settings = Settings(redis_url=server.url, state_dir=str(tmp_path / "state"))
        services = Services.for_command_line(settings)
        services.store.client.has_failover = True
        services.topology.shards()[0].incarnation = incarnation
        made.append(services)
        return services

    yield make
    for each in made:
        each.close()


def copy(old: RealServer, new: RealServer) -> None:
    """Make ``new`` what ``old`` is now; from then on both are primaries."""
    with old.client() as primary, new.client() as replica:
        replica.execute_command("REPLICAOF", "127.0.0.1", old.port)

        def has_all() -> bool:
            theirs: Any = primary.info("replication")
            ours: Any = replica.info("replication")
            return bool(
                ours.get("master_link_status") == "up"
                and ours["slave_repl_offset"] >= theirs["master_repl_offset"]
            )

        wait_until(has_all, timeout_s=30, what="the replica to have all")
        replica.execute_command("REPLICAOF", "NO", "ONE")


class Witness:
    """Somebody who remembers everything that the servers have acknowledged or published."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, int], set[str]] = {}
        self.holders: dict[tuple[str, int], set[str | None]] = {}

    def sees(self, item: bytes | str) -> None:
        """An item as it was shown."""
        shown = json.loads(item)
        holder = shown["holder"] and shown["holder"]["id"]
        text = json.dumps(shown, sort_keys=True)
        self.versions.setdefault((shown["tag"], shown["version"]), set()).add(text)
        self.holders.setdefault((shown["tag"], shown["epoch"]), set()).add(holder)

    def reads(self, services: Services) -> None:
        """The whole log."""
        for fields in log_of(services).values():
            if b"event" in fields:
                self.sees(json.dumps(json.loads(fields[b"event"])["item"]))

    def contradictions(self) -> dict[tuple[str, int], Any]:
        return {
            key: found
            for table in (self.versions, self.holders)
            for key, found in table.items()
            if len(found) > 1
        }


def ms_of(services: Services) -> int:
    """The time of the server's clock."""
    seconds, microseconds = services.store.client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def log_of(services: Services) -> dict[str, dict[bytes, bytes]]:
    found: Any = services.store.client.xrange(services.store.keys.board("main").log)
    return {cursor.decode(): fields for cursor, fields in found}


def work(services: Services, count: int, chance: random.Random, witness: Witness) -> list[str]:
    """Operations at random; returns the cursors after them."""
    cursors: list[str] = []
    while len(cursors) < count:
        row = chance.choice([PUT, REMOVE, *TRANSITIONS.values()])
        tag, actor, to = chance.choice(TAGS), chance.choice(WORKERS), chance.choice(WORKERS)
        options: dict[str, Any] = {}
        if row is PUT:
            options["items"] = [{"title": json.dumps(str(chance.random()))}]
        if row.holder == "to":
            options["to"] = to
        if row.reason == "required":
            options["reason"] = str(chance.random())
        if row.step == "required":
            options["step"] = DEFAULT_STEP
        answer = services.store.commands.execute(Command("main", row, [tag], actor, **options))
        if answer.outcomes[0].changed:
            witness.sees(answer.outcomes[0].item)
            cursors.append(answer.cursor)
    return cursors


@pytest.mark.parametrize("start", ["valkey"], indirect=True)  # redis-server hangs in libfaketime
@pytest.mark.parametrize("behind_s", [1, 5])
def test_no_lost_cursor_names_another_entry_although_the_new_primarys_clock_is_behind(
    start: Start, open_services: Open, behind_s: int
) -> None:
    old, new = start(0), start(behind_s)
    chance, witness = random.Random(7), Witness()
    before, after = open_services(old, 1), open_services(new, 2)
    common = work(before, 20, chance, witness)
    copy(old, new)
    lost = work(before, OPERATIONS, chance, witness)
    first_ms = int(lost[0].partition("-")[0])

    assert ms_of(after) < ms_of(before), "its clock is behind"
    # Half of them before its clock is where the other's was, the rest in the same milliseconds.
    kept = work(after, OPERATIONS // 2, chance, witness)
    wait_until(lambda: ms_of(after) >= first_ms, timeout_s=30, what="the clock to catch up")
    kept += work(after, OPERATIONS, chance, witness)
    log = log_of(after)
    assert set(kept) <= set(log)
    assert set(lost) & set(log) == set()
    for cursor in (*common, *lost):
        assert not after.store.log.replay("main", cursor, 10).is_known
    assert witness.contradictions() == {}


def test_no_version_and_no_epoch_is_given_twice_with_different_contents(
    start: Start, open_services: Open
) -> None:
    chance, witness = random.Random(11), Witness()
    server = start(0)
    work(open_services(server, 1), 50, chance, witness)
    for incarnation in (2, 3):
        old, server = server, start(0)
        copy(old, server)
        before = open_services(old, incarnation - 1)
        work(before, OPERATIONS, chance, witness)  # lost
        witness.reads(before)
        after = open_services(server, incarnation)
        work(after, OPERATIONS, chance, witness)
        witness.reads(after)
    assert len(witness.versions) > 4 * OPERATIONS
    assert witness.contradictions() == {}

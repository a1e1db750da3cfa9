"""Services behind real Sentinels find the primary, and follow it through every fault."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import gevent
import pytest

from occupancy.boards.commands import Command
from occupancy.core.errors import StoreUnavailable
from occupancy.core.transitions import TRANSITIONS
from occupancy.storage.topology import sentinel, sentinel_answers
from occupancy.storage.topology.sentinel import Sentinel
from tests.storage.topology.behind_sentinels import (
    INCARNATION_STEP,
    Make,
    Writer,
    is_at,
    noticed_at,
    ours_at,
    set_,
    wait_for_writes,
)
from tests.support.clusters import RealSentinels, lose_replication
from tests.support.deployment import ROOT
from tests.support.shop import SUPERVISOR, change
from tests.support.waiting import wait_until


def test_the_store_works_behind_sentinels(real: RealSentinels, make: Make) -> None:
    services = make(real.url)
    change(services, "main", 3)
    board = services.store.boards.create("b-1", steps=["A", "B"]).board
    cursor = change(services, board, 3)
    assert services.store.log.head(board).head_cursor == cursor
    assert [each.board for each in services.store.boards.all()] == ["b-1", "main"]
    services.process_report.publish()
    assert len(services.processes.all()) == 1


def wait_for_replicas(real: RealSentinels) -> None:
    """Until both have all that was written before."""
    with real.client(real.primary()) as admin:
        admin.set("copied", "")  # a WAIT of Valkey's is for the writes of its own connection
        assert admin.execute_command("WAIT", 2, 4_000) == 2


def test_a_killed_primary_is_replaced_and_what_was_copied_is_there(
    real: RealSentinels, make: Make
) -> None:
    services = make(real.url)
    set_(services, "before")
    wait_for_replicas(real)
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
    wait_for_replicas(real)
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
    wait_until(
        lambda: set_(services) and is_at(services, real.primary()),
        timeout_s=30, what="a write to the new primary",
    )  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-m", "flask", "boards", "list"], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "REDIS_URL": real.url, "OCCUPANCY_STATE_DIR": str(tmp_path / "cli")},
        timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "main" in ran.stdout

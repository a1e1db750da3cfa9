"""The doctor: its findings on a good server, and its advice for each problem."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from occupancy.cli.doctor import CHECKS, Check, Facts, examine, read_facts
from occupancy.core.errors import StoreUnavailable
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.storage.capacity import WorstCase
from tests.conftest import require_binary
from tests.support.servers import BINARIES, RealServer, free_port

GOOD = Facts(
    info={
        "redis_version": "7.0.15", "role": "master", "aof_enabled": 1, "cluster_enabled": 0,
        "rdb_last_bgsave_status": "ok", "aof_last_write_status": "ok",
        "maxmemory_policy": "noeviction", "used_memory": 1_000_000, "maxmemory": 0,
        "maxclients": 1000,
    },
    config={"save": ""}, clients=["occupancy-ops", "occupancy-cli", ""],
    ping_ms=0.2, clock_s=0.01, budget=50, denied=[],
    needs=WorstCase(logs=100_000_000, histories=0, records=400_000_000), boards=2,
)  # fmt: skip


def judged(
    name: str, *, without: str = "", info: dict[str, Any] | None = None, **facts: Any
) -> Check:
    """The check of that name on a good server with the given differences."""
    told = {key: value for key, value in GOOD.info.items() if key != without} | (info or {})
    changed = msgspec.structs.replace(GOOD, info=told, **facts)
    (found,) = [each for each in (check(changed) for check in CHECKS) if each.name == name]
    return found


def test_a_good_server_has_nothing_to_change() -> None:
    assert {(check(GOOD).level, check(GOOD).advice) for check in CHECKS} == {("ok", "")}


@pytest.mark.parametrize(
    ("info", "level", "finding"),
    [
        ({"redis_version": "7.0.0"}, "ok", "redis 7.0.0"),
        ({"redis_version": "6.0.16"}, "error", "redis 6.0.16"),
        ({"redis_version": "10.1.0"}, "ok", "redis 10.1.0"),
        ({"server_name": "valkey", "valkey_version": "9.1.2"}, "ok", "valkey 9.1.2"),
        ({"server_name": "valkey", "valkey_version": "7.1.0"}, "error", "valkey 7.1.0"),
        ({"server_name": "dragonfly", "dragonfly_version": "v1"}, "unknown", "dragonfly v1"),
        ({"redis_version": ""}, "unknown", "redis "),
    ],
)
def test_the_version_must_be_new_enough(info: dict[str, Any], level: str, finding: str) -> None:
    check = judged("server", info=info)
    assert (check.level, check.finding) == (level, finding)


def test_a_replica_and_a_cluster_are_errors() -> None:
    assert judged("role", info={"role": "slave"}).level == "error"
    assert judged("role", info={"cluster_enabled": 1}).level == "error"


def test_without_an_append_only_file_it_warns() -> None:
    off = {"aof_enabled": 0}
    assert judged("persistence", info=off).level == "warning"
    assert "everything" in judged("persistence", info=off).finding
    snapshots = judged("persistence", info=off, config={"save": "3600 1"})
    assert (snapshots.level, "appendonly" in snapshots.advice) == ("warning", True)
    assert judged("persistence", info=off, config=None).level == "unknown"


@pytest.mark.parametrize("status", ["rdb_last_bgsave_status", "aof_last_write_status"])
def test_a_failed_write_to_disk_is_an_error(status: str) -> None:
    assert judged("writing to disk", info={status: "err"}).level == "error"


def test_any_eviction_is_an_error() -> None:
    check = judged("eviction", info={"maxmemory_policy": "allkeys-lru"})
    assert (check.level, check.finding) == ("error", "allkeys-lru")
    assert "noeviction" in check.advice


def test_nearly_full_memory_is_a_warning() -> None:
    assert judged("memory", info={"maxmemory": 1_050_000}).level == "warning"
    assert judged("memory", info={"maxmemory": 2_000_000}).level == "ok"


def test_full_memory_is_an_error() -> None:
    check = judged("memory", info={"maxmemory": 1_000_000})
    assert (check.level, "changes are refused" in check.advice) == ("error", True)


def test_logs_and_idempotency_keys_at_their_bounds_must_fit_into_memory() -> None:
    assert judged("room", info={"maxmemory": 500_000_000}).level == "ok"
    assert judged("room", info={"maxmemory": 0}).level == "ok"  # no bound
    check = judged("room", info={"maxmemory": 499_999_999})
    assert check.level == "warning"
    assert "500 MB or more" in check.advice


def test_maxclients_must_leave_room_for_the_budget_and_others() -> None:
    others = ["other"] * 30
    assert judged("connections", clients=others, info={"maxclients": 80}).level == "ok"
    check = judged("connections", clients=others, info={"maxclients": 79})
    assert (check.level, "80 or more" in check.advice) == ("error", True)


def test_a_slow_round_trip_and_a_wrong_clock_are_warnings() -> None:
    assert judged("round trip", ping_ms=5.1).level == "warning"
    assert judged("clock", clock_s=-2.5).level == "warning"
    assert "behind" in judged("clock", clock_s=-2.5).finding


@pytest.mark.parametrize(
    ("name", "missing"),
    [("role", "role"), ("persistence", "aof_enabled"), ("eviction", "maxmemory_policy"),
     ("memory", "maxmemory"), ("connections", "maxclients")],
)  # fmt: skip
def test_withheld_facts_are_unknown(name: str, missing: str) -> None:
    assert judged(name, without=missing).level == "unknown"


def test_connections_that_may_not_be_listed_are_unknown() -> None:
    assert judged("connections", clients=None).level == "unknown"


# On real servers


@pytest.mark.parametrize("kind", BINARIES)
def test_it_examines_a_real_server(
    kind: str, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> None:
    settings = Settings(redis_url=server_of(kind).url, state_dir=str(tmp_path))
    services = Services.for_command_line(settings)
    try:
        levels = {check.name: check.level for check in examine(services)}
    finally:
        services.close()
    levels.pop("round trip")  # not this test's subject: the machine may be busy
    assert set(levels.values()) == {"ok"}


def test_it_finds_the_problems_of_a_real_server(tmp_path: Path) -> None:
    server = RealServer(
        require_binary("valkey"), tmp_path / "server",
        **{"appendonly": "no", "maxmemory-policy": "allkeys-lru", "maxmemory": "50mb",
           "maxclients": "40"},
    )  # fmt: skip
    server.start()
    services = Services.for_command_line(Settings(redis_url=server.url, state_dir=str(tmp_path)))
    try:
        levels = {check.name: check.level for check in examine(services)}
    finally:
        services.close()
        server.stop()
    assert levels["persistence"] == "warning"
    assert levels["eviction"] == "error"
    assert levels["connections"] == "error"


def test_a_server_that_forbids_config_and_client_list_is_examined_all_the_same(
    tmp_path: Path, own_server: RealServer
) -> None:
    with own_server.client() as admin:
        admin.execute_command(
            "ACL", "SETUSER", "managed", "on", ">secret", "~*", "&*", "+@all", "-config",
            "-client|list",
        )  # fmt: skip
    url = own_server.url.replace("redis://", "redis://managed:secret@")
    services = Services.for_command_line(Settings(redis_url=url, state_dir=str(tmp_path)))
    try:
        facts = read_facts(services)
        levels = {check(facts).name: check(facts).level for check in CHECKS}
    finally:
        services.close()
    assert (facts.config, facts.clients) == (None, None)
    assert levels["connections"] == "unknown"
    assert levels["eviction"] == "ok"


def test_a_server_that_is_away_is_an_error(tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    services = Services.for_command_line(Settings(redis_url=url, state_dir=str(tmp_path)))
    with pytest.raises(StoreUnavailable):
        examine(services)
    services.close()


@pytest.mark.parametrize("kind", BINARIES)
def test_a_full_server_is_examined_to_the_end(kind: str, tmp_path: Path) -> None:
    server = RealServer(require_binary(kind), tmp_path / "server")
    server.start()
    settings = Settings(redis_url=server.url, state_dir=str(tmp_path / "state"))
    services = Services.for_command_line(settings)
    try:
        with server.client() as client:
            client.config_set("maxmemory", "1")
        found = {check.name: check for check in examine(services)}
    finally:
        services.close()
        server.stop()
    assert found["memory"].level == "error"
    assert found["round trip"].level in ("ok", "warning")  # the machine may be busy


def test_a_user_without_any_rights_gets_the_list_of_missing_ones(
    own_server: RealServer, tmp_path: Path
) -> None:
    with own_server.client() as admin:
        admin.execute_command(
            "ACL", "SETUSER", "poor", "on", ">pw", "~*", "&*", "+@read", "+@write", "+@connection"
        )
    url = own_server.url.replace("redis://", "redis://poor:pw@")
    services = Services.for_command_line(Settings(redis_url=url, state_dir=str(tmp_path / "state")))
    try:
        found = {check.name: check for check in examine(services)}
    finally:
        services.close()
    assert found["rights"].level == "error"
    assert {"+evalsha", "+multi", "+time"} <= set(found["rights"].finding.split())
    assert found["clock"].level == "unknown"


@pytest.mark.parametrize(
    ("facts", "level", "finding"),
    [
        ({}, "ok", "no replicas"),
        ({"replicas": 2}, "ok", "may lose"),
        ({"replicas": 2, "confirm_replicas": 2}, "ok", "by 2 replicas"),
        ({"replicas": 1, "confirm_replicas": 2}, "error", "1 of 2 replicas"),
        ({"replicas": 2, "confirm_replicas": 1, "unsound": "Too low."}, "error", "by 1 replica"),
        ({"replicas": 0, "confirm_replicas": 1}, "error", "0 of 1 replica is up"),
    ],
)
def test_strict_mode_is_checked_against_the_replicas(
    facts: dict[str, Any], level: str, finding: str
) -> None:
    check = judged("confirmation", **facts)
    assert check.level == level
    assert finding in check.finding
    assert "1 replicas" not in check.finding
    assert bool(check.advice) is (level == "error" or "may lose" in finding)

"""Commands of upkeep: reconciliation, the connections, the check."""

from __future__ import annotations

import json
import os

import pytest

from occupancy.services import Services
from tests.cli.command_line import Run, answer, error
from tests.support.applications import application
from tests.support.servers import RealServer

# Reconciliation


def test_reconcile_reports_and_repairs(run: Run, shop: Services) -> None:
    assert run("items", "reconcile").stdout == "2 items checked, 0 problems.\n"
    shop.store.client.zrem(shop.store.keys.board("main").by_state, "available|T-1")
    assert "1 problem left" in error(run("items", "reconcile"))
    repaired = answer(run("items", "reconcile", "--repair", "--json"))
    assert [(each["tag"], each["kind"]) for each in repaired["problems"]] == [("T-1", "by_state")]
    assert repaired["mended"] == 1
    assert run("items", "reconcile").exit_code == 0


def test_reconcile_lists_a_board_again_that_the_index_has_lost(run: Run, shop: Services) -> None:
    run("boards", "create", "hall")
    shop.store.client.srem(shop.store.keys.boards, "hall")
    assert "1 problem left" in error(run("items", "reconcile"))
    repaired = run("items", "reconcile", "--repair")
    assert repaired.exit_code == 0
    assert "the board hall is missing in the index of boards" in repaired.stdout
    assert "hall" in run("boards", "list").stdout
    assert run("items", "reconcile").stdout == "2 items checked, 0 problems.\n"


# The server


def test_stats_are_the_table_of_the_api(run: Run, valkey_services: Services) -> None:
    valkey_services.processes.report("host-71", valkey_services.process_report.figures())
    stats = answer(run("redis", "stats", "--json"))
    told = application(valkey_services).test_client().get("/api/redis-connection-stats").json
    assert told is not None
    assert stats.keys() == told.keys() == {"budget", "server", "workers"}
    assert stats["server"].keys() == told["server"].keys()
    assert stats["budget"] == told["budget"]
    (figures,) = stats["workers"]
    assert figures["pid"] == os.getpid()
    assert [each.keys() for each in told["workers"]] == [figures.keys()]
    assert str(os.getpid()) in run("redis", "stats").stdout


def test_check_ends_with_status_1_where_something_is_wrong(run: Run, own_server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip # noqa: E501
    monkeypatch.setenv("REDIS_URL", own_server.url)
    assert run("redis", "check").exit_code == 0
    with own_server.client() as admin:
        admin.config_set("maxmemory-policy", "allkeys-lru")
    result = run("redis", "check")
    assert error(result) == "1 error: eviction."
    assert "-> CONFIG SET maxmemory-policy noeviction" in result.stdout
    assert result.exit_code == 1
    found = {
        c["name"]: c["level"] for c in json.loads(run("redis", "check", "--json").stdout)["checks"]
    }
    assert found["eviction"] == "error"

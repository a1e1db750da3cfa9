"""Commands in scripts: the exit status is the same with --json, and long lists are whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from occupancy import create_app
from occupancy.boards.commands import Command
from occupancy.cli.commands import items, redis
from occupancy.cli.doctor import Check
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services

ADMIN = Person("admin", "Admin")
Run = Callable[..., Result]


@pytest.fixture
def run(valkey_services: Services, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process."""
    settings = valkey_services.settings
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setenv("OCCUPANCY_PREFIX", settings.prefix)
    monkeypatch.setenv("OCCUPANCY_STATE_DIR", settings.state_dir)
    runner = create_app(valkey_services).test_cli_runner()

    def invoke(*args: str, stdin: str | None = None) -> Result:
        return runner.invoke(args=args, input=stdin)

    return invoke


def put(services: Services, *tags: str) -> None:
    for tag in tags:
        services.store.commands.execute(Command("main", PUT, [tag], ADMIN, items=[{}]))


def both(run: Run, *args: str, stdin: str | None = None) -> tuple[set[int], Any]:
    """The exit statuses with and without --json, and the JSON."""
    plain, as_json = run(*args, stdin=stdin), run(*args, "--json", stdin=stdin)
    assert plain.stderr == as_json.stderr
    return {plain.exit_code, as_json.exit_code}, json.loads(as_json.stdout)


def test_an_import_with_a_rejected_row_fails(run: Run) -> None:
    statuses, told = both(run, "items", "import", "-", stdin="tag,title\nT-1,One\nT 2,Two\n")
    assert statuses == {1}
    assert [each["line"] for each in told["rejected"]] == [3]
    statuses, told = both(run, "items", "import", "-", stdin="tag,title\nT-1,One\n")
    assert (statuses, told["unchanged"]) == ({0}, 1)
    workers = "id,name,role\n93,Marta,boss\n"
    assert both(run, "workers", "import", "-", stdin=workers)[0] == {1}


def test_a_second_import_of_workers_goes_in(run: Run, valkey_services: Services) -> None:
    for name, role, pin in (("Marta", "worker", "2580"), ("Marta R.", "supervisor", "417293")):
        text = f"id,name,role,pin\n93,{name},{role},{pin}\n"
        assert run("workers", "import", "-", stdin=text).exit_code == 0
        worker = valkey_services.workers.get("93")
        assert (worker.name, worker.role) == (name, role)
        assert valkey_services.pin_hasher.is_right(pin, worker.pin_hash, is_known=True)
        before = worker
    assert run("workers", "import", "-", stdin=text).exit_code == 0
    assert valkey_services.workers.get("93") == before


def test_a_reconciliation_that_leaves_a_problem_fails(run: Run, valkey_services: Services) -> None:
    put(valkey_services, "T-1")
    assert both(run, "items", "reconcile")[0] == {0}
    keys = valkey_services.store.keys.board("main")
    valkey_services.store.client.delete(keys.history("T-1"))
    for options in ((), ("--repair",)):
        statuses, told = both(run, "items", "reconcile", *options)
        assert statuses == {1}
        assert [each["kind"] for each in told["problems"]] == ["history"]
        assert told["mended"] == 0


@pytest.mark.parametrize(("level", "status"), [("ok", 0), ("warning", 0), ("error", 1)])
def test_a_check_that_finds_an_error_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch, level: Any, status: int
) -> None:
    found = Check("eviction", level, "a finding", "an advice")
    monkeypatch.setattr(redis, "examine", lambda _services: [found])
    assert both(run, "redis", "check")[0] == {status}


def test_a_history_has_no_more_events_than_its_limit(run: Run, valkey_services: Services) -> None:
    put(valkey_services, "T-1")
    for operation in ("take", "pause", "take", "pause"):
        row = TRANSITIONS[operation]
        valkey_services.store.commands.execute(Command("main", row, ["T-1"], ADMIN))
    for limit, count in ((1, 1), (3, 3), (5, 5), (100, 5)):
        told = json.loads(run("items", "history", "T-1", "--limit", str(limit), "--json").stdout)
        assert len(told["history"]) == count


def test_a_list_of_several_pages_is_whole_and_followed_from_its_first(
    run: Run, valkey_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "MAX_SNAPSHOT_ITEMS", 2)
    put(valkey_services, "T-1", "T-2", "T-3", "T-4", "T-5")
    first = valkey_services.store.log.head("main").head_cursor
    snapshot, asked = valkey_services.store.queries.snapshot, []

    def read(board: str, **options: Any) -> Any:
        found = snapshot(board, **options)
        asked.append(options["page"])
        put(valkey_services, f"A-{len(asked)}")  # before the place that is reached
        return found

    monkeypatch.setattr(
        "occupancy.boards.queries.Queries.snapshot", lambda _self, *a, **k: read(*a, **k)
    )
    told = json.loads(run("items", "list", "--json").stdout)
    assert [each["tag"] for each in told["items"]] == [f"T-{number}" for number in range(1, 6)]
    assert len(asked) == 3
    assert told["cursor"] == first

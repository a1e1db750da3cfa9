"""Every command: its help, and how it fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from occupancy import create_app
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from tests.cli.command_line import Run, answer, commands, error
from tests.support.servers import free_port
from tests.support.waiting import wait_until


def test_every_command_has_help(run: Run, valkey_services: Services) -> None:
    found = list(commands(create_app(valkey_services).cli))
    assert len(found) >= 30
    for path in found:
        result = run(*path, "--help")
        assert result.exit_code == 0
        summary = result.stdout.split("\n\n")[1]
        assert summary.strip() and "Options:" not in summary, path


def test_every_operation_of_the_table_is_a_command(run: Run) -> None:
    for operation in TRANSITIONS:
        assert run("items", operation, "--help").exit_code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["items", "fly"], "No such command 'fly'. Try '"),
        (["items", "take"], "Missing argument 'TAG'."),
        (["items", "take", "T-1"], "Missing option '--worker'."),
        (["items", "force-release", "T-1"], "Missing option '--reason'."),
        (["items", "reassign", "T-1"], "Missing option '--to'."),
        (["items", "undo", "T-1"], "Missing option '--worker'."),
        (["items", "send-back", "T-1", "--step", "x"], "Missing option '--reason'."),
        (["items", "send-back", "T-1", "--reason", "x"], "Missing option '--step'."),
        (["items", "complete", "T-1", "--worker", "93", "--reason", "x"], "No such option"),
        (["items", "list", "--state", "lost"], "Invalid value for '--state'"),
        (["items", "import", "/nowhere/at/all.csv"], "No such file"),
        (["items", "--fly"], "No such option"),
        (["items", "put", "T-1", "--attribute", "area"], "NAME=VALUE"),
        (["tokens", "create", "93", "--days", "0"], "--days"),
    ],
)
def test_wrong_arguments_are_one_line_and_status_2(
    run: Run, shop: Services, args: list[str], message: str
) -> None:
    assert message in error(run(*args), 2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["items", "show", "T-9"], "There is no item T-9 on the board main."),
        (["items", "show", "T 9"], "tag 'T 9' is not allowed"),
        (["items", "list", "--board", "nowhere"], "There is no board nowhere."),
        (["items", "list", "--board", "no where"], "board 'no where' is not allowed"),
        (["items", "take", "T-1", "--worker", "5"], "There is no worker 5."),
        (["items", "block", "T-1", "--reason", ""], "reason"),
        (["items", "block", "T-1", "--reason", "a\nb"], "U+000A"),
        (["items", "put", "T-1", "--title", "x" * 201], "title"),
        (["workers", "disable", "5"], "There is no worker 5."),
        (["tokens", "revoke", "beef"], "There is no token beef"),
        (["boards", "show", "nowhere"], "There is no board nowhere."),
        (["boards", "create", "b", "--steps", "A,,B"], "steps"),
        (["boards", "create", "b", "--steps", "A,A"], "the step A occurs twice"),
        (["events", "tail", "--after", "soon"], "--after takes a cursor"),
        (["events", "tail", "--after", "5-5"], "not in the log"),
        (["events", "tail", "--board", "nowhere"], "There is no board nowhere."),
    ],
)
def test_a_failure_is_one_line_and_status_1(
    run: Run, shop: Services, args: list[str], message: str
) -> None:
    assert message in error(run(*args))


@pytest.mark.parametrize(
    "args", [["boards", "list"], ["redis", "check"], ["events", "tail"], ["demo", "load"]]
)
def test_a_server_that_is_away_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert "Connection refused" in error(run(*args))


def test_a_database_that_the_server_does_not_have_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", os.environ["REDIS_URL"].replace("/0", "/999"))
    assert "DB index" in error(run("boards", "list"))


def test_a_wrong_setting_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCCUPANCY_REDIS_BUDGET", "many")
    assert "OCCUPANCY_REDIS_BUDGET='many'" in error(run("boards", "list"))


def test_a_state_directory_that_cannot_be_used_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OCCUPANCY_STATE_DIR", str(tmp_path / "file" / "below"))
    assert "OCCUPANCY_STATE_DIR" in error(run("boards", "list"))


def test_a_command_uses_one_connection_and_leaves_none(run: Run, shop: Services) -> None:
    stats = answer(run("redis", "stats", "--json"))
    assert stats["server"]["cli"] == 1
    wait_until(
        lambda: shop.servers.counts()["server"]["cli"] == 0, what="the connection to be closed"
    )

"""The command line: in this process for its output, in a separate process for its exit."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import gevent
import pytest
from click.testing import Result

from occupancy import create_app
from occupancy.access.pins import is_pin
from occupancy.boards.commands import Command
from occupancy.cli.commands import events
from occupancy.core.entities import Person, Role
from occupancy.core.errors import Unauthenticated
from occupancy.core.principal import Credential, digest_of
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.observability import audit_outbox
from occupancy.services import Services
from tests.support.deployment import ROOT
from tests.support.servers import RealServer, free_port
from tests.support.tablets import audit_lines_of
from tests.support.waiting import wait_until

ADMIN = Person("admin", "Admin")
Run = Callable[..., Result]


@pytest.fixture
def environ(valkey_services: Services, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a command on the shared Valkey, under the test's own prefix."""
    for name in list(os.environ):
        if name.startswith("OCCUPANCY_") or name in ("REDIS_URL", "WEB_CONCURRENCY", "PORT"):
            monkeypatch.delenv(name)
    settings = valkey_services.settings
    chosen = {
        "REDIS_URL": settings.redis_url,
        "OCCUPANCY_PREFIX": settings.prefix,
        "OCCUPANCY_STATE_DIR": settings.state_dir,
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **chosen}


@pytest.fixture
def shop(valkey_services: Services) -> Services:
    """Two workers, and the items T-1 (One, area B2) and T-2 on main."""
    valkey_services.workers.add("93", name="Marta", role=Role.WORKER)
    valkey_services.workers.add("94", name="Iván", role=Role.WORKER)
    attributes = {"title": '"One"', "attributes": '{"area":"B2"}'}
    valkey_services.store.commands.execute(
        Command("main", PUT, ["T-1"], actor=ADMIN, items=[attributes])
    )
    valkey_services.store.commands.execute(Command("main", PUT, ["T-2"], actor=ADMIN, items=[{}]))
    return valkey_services


@pytest.fixture
def run(valkey_services: Services, environ: dict[str, str]) -> Run:
    """Run a command in this process."""
    runner = create_app(valkey_services).test_cli_runner()

    def invoke(*args: str, stdin: str | bytes | None = None) -> Result:
        return runner.invoke(args=args, input=stdin)

    return invoke


def answer(result: Result) -> Any:
    """The JSON output of a command, which must have succeeded."""
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def error(result: Result, status: int = 1) -> str:
    """The one error line of a failed command."""
    assert result.exit_code == status, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").rstrip("\n")


# Every command


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif path:
            yield (*path, name)


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
        (["boards", "create", "b", "--steps", "A,A"], "the same step occurs twice"),
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


# Boards


def test_a_board_is_created_listed_and_shown(run: Run) -> None:
    created = answer(
        run("boards", "create", "line", "--title", "Línea 1", "--steps", "ARM, SOLD",
            "--max-holds", "1000000", "--json")
    )  # fmt: skip
    assert created["steps"] == ["ARM", "SOLD"]
    assert created["settings"] == {"max_holds": 1_000_000}  # the API's bound too
    listed = answer(run("boards", "list", "--json"))["boards"]
    assert [board["board"] for board in listed] == ["line", "main"]
    assert answer(run("boards", "show", "line", "--json")) == created
    assert "Línea 1" in run("boards", "list").stdout
    assert "ARM,SOLD" in run("boards", "show", "line").stdout


def test_a_board_is_not_created_twice(run: Run) -> None:
    assert run("boards", "create", "line").exit_code == 0
    assert error(run("boards", "create", "line")) == "The board line exists already."


def test_no_board_takes_the_name_that_access_has_for_itself(run: Run) -> None:
    assert error(run("boards", "create", "access")).startswith("No board can be named access")


# Items


def test_items_are_listed_in_aligned_columns(run: Run, shop: Services) -> None:
    head, first, second = run("items", "list").stdout.splitlines()
    assert head.split("  ")[0] == "tag"
    assert first.index("available") == second.index("available") == head.index("state")


def test_items_are_listed_by_state_holder_and_text(run: Run, shop: Services) -> None:
    run("items", "take", "T-2", "--worker", "93")

    def tags(*args: str) -> list[str]:
        return [item["tag"] for item in answer(run("items", "list", "--json", *args))["items"]]

    assert tags() == ["T-1", "T-2"]
    assert tags("--state", "available") == ["T-1"]
    assert tags("--holder", "93") == ["T-2"]
    assert tags("--holder", "94") == []
    assert tags("--search", "marta") == ["T-2"]


def test_an_item_is_shown(run: Run, shop: Services) -> None:
    assert answer(run("items", "show", "T-1", "--json"))["attributes"] == {"area": "B2"}
    assert "area" in run("items", "show", "T-1").stdout


def test_an_item_is_put_and_removed(run: Run) -> None:
    put = answer(run("items", "put", "T-3", "--title", "Three", "--attribute", "a=b=c", "--json"))
    assert put["changed"] is True
    assert (put["item"]["title"], put["item"]["attributes"]) == ("Three", {"a": "b=c"})
    put = answer(run("items", "put", "T-3", "--title", "Tres", "--json"))
    assert put["item"]["attributes"] == {"a": "b=c"}
    assert run("items", "remove", "T-3").stdout == "T-3 is removed.\n"
    assert "no item T-3" in error(run("items", "show", "T-3"))


def test_a_held_item_is_not_removed(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert "held by Marta" in error(run("items", "remove", "T-1"))


def test_history_is_newest_first(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    run("items", "pause", "T-1", "--worker", "93", "--reason", "lunch")
    events = answer(run("items", "history", "T-1", "--json"))["history"]
    assert [event["type"] for event in events] == ["item.paused", "item.taken", "item.added"]
    lines = run("items", "history", "T-1", "--limit", "1").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("lunch")


# Operations


def test_an_item_goes_through_its_life_on_behalf_of_a_worker(run: Run, shop: Services) -> None:
    def state_after(*args: str) -> str:
        return str(answer(run("items", *args, "--json"))["item"]["state"])

    assert state_after("take", "T-1", "--worker", "93") == "occupied"
    assert state_after("pause", "T-1", "--worker", "93") == "paused"
    assert state_after("take", "T-1", "--worker", "94") == "occupied"
    assert state_after("release", "T-1", "--worker", "94") == "paused"
    assert state_after("block", "T-1", "--reason", "recall") == "blocked"
    assert state_after("unblock", "T-1") == "paused"
    assert state_after("reassign", "T-1", "--to", "93") == "occupied"
    assert state_after("force-release", "T-1", "--reason", "gone home") == "paused"
    assert state_after("reassign", "T-1", "--to", "93", "--reason", "back") == "occupied"
    assert state_after("complete", "T-1", "--worker", "93") == "completed"
    assert state_after("reopen", "T-1", "--step", "work") == "available"


def test_take_of_a_held_item_names_the_holder(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert error(run("items", "take", "T-1", "--worker", "94")).startswith("T-1 is held by Marta")


def test_only_the_holder_pauses(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert "only its holder" in error(run("items", "pause", "T-1", "--worker", "94"))


def test_repeating_a_take_says_that_nothing_changed(run: Run, shop: Services) -> None:
    run("items", "take", "T-1", "--worker", "93")
    assert "(nothing changed)" in run("items", "take", "T-1", "--worker", "93").stdout
    assert answer(run("items", "take", "T-1", "--worker", "93", "--json"))["changed"] is False


def test_the_actor_is_the_worker_or_the_command_line(run: Run, shop: Services) -> None:
    run("items", "block", "T-1", "--reason", "x")
    run("items", "unblock", "T-1", "--worker", "94")
    events = answer(run("items", "history", "T-1", "--json", "--limit", "2"))["history"]
    assert [event["actor"]["id"] for event in events] == ["94", "cli"]


def test_an_unknown_step_is_refused(run: Run, shop: Services) -> None:
    for operation in ("take", "complete"):
        run("items", operation, "T-1", "--worker", "93")
    assert "step is not one" in error(run("items", "reopen", "T-1", "--step", "nowhere"))


# Import and export


def test_import_prints_the_result_of_each_row(run: Run, shop: Services, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("tag,title,area\nT-1,One,B2\nT-2,Two,\nT-3,Three,C1\n")
    result = run("items", "import", str(file))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1 added, 1 updated, 1 unchanged, 0 rejected\n"


def test_import_lists_rejected_rows_and_ends_with_status_1(run: Run, shop: Services) -> None:
    text = "tag,title\nT 1,One\nT-3,Three\nT-3,Again\n"
    result = run("items", "import", "-", stdin=text)
    assert error(result) == "2 of 3 rows rejected."
    lines = result.stdout.splitlines()
    assert lines[0].startswith("line 2 (T 1): tag 'T 1' is not allowed")
    assert lines[1] == "line 4 (T-3): line 3 has the same one"
    assert lines[2] == "1 added, 0 updated, 0 unchanged, 2 rejected"
    assert run("items", "show", "T-3").exit_code == 0


def test_a_dry_run_changes_nothing(run: Run) -> None:
    report = answer(run("items", "import", "-", "--dry-run", "--json", stdin="tag\nT-1\n"))
    counted = {"added": 1, "updated": 0, "unchanged": 0, "rejected": []}
    assert report == {**counted, "encoding": "utf-8", "dry_run": True}
    assert "no item T-1" in error(run("items", "show", "T-1"))


def test_a_file_that_is_not_utf_8_is_read_as_windows_1252_and_says_so(run: Run) -> None:
    data = "tag,title\nT-9,“Café” – 5 €\n".encode("cp1252")
    result = run("items", "import", "-", stdin=data)
    assert result.exit_code == 0
    assert "read as Windows-1252" in result.stderr
    assert answer(run("items", "show", "T-9", "--json"))["title"] == "“Café” – 5 €"
    result = run("items", "import", "-", "--json", stdin=data)
    assert json.loads(result.stdout)["encoding"] == "cp1252"
    assert "read as Windows-1252" in result.stderr
    people = "id;name;role\n55;Íñigo;worker\n".encode("cp1252")
    assert "read as Windows-1252" in run("workers", "import", "-", stdin=people).stderr
    named = run("items", "import", "-", "--encoding", "cp1252", stdin=data)
    assert (named.exit_code, named.stderr) == (0, "")
    assert "Windows" not in run("items", "import", "-", stdin=data.decode("cp1252")).stderr
    assert "--encoding" in error(run("items", "import", "-", stdin=b"tag,title\nT-9,\xe9\x81\n"))


@pytest.mark.parametrize(("name", "separator"), [("comma", ","), ("semicolon", ";"), ("tab", "\t")])
def test_an_export_for_excel_has_its_mark_and_separator_and_imports_unchanged(
    run: Run, shop: Services, tmp_path: Path, name: str, separator: str
) -> None:
    title = json.dumps("=HYPERLINK(0) ñ", ensure_ascii=False)
    shop.store.commands.execute(
        Command("main", PUT, ["T-1"], actor=Person("a", "A"), items=[{"title": title}])
    )
    file = tmp_path / "items.csv"
    arguments = ["--excel", *(["--separator", name] if name != "comma" else [])]
    assert run("items", "export", str(file), *arguments).exit_code == 0
    text = file.read_bytes().decode("utf-8")
    assert text.startswith(f"\ufefftag{separator}title")
    assert f"{separator}'=HYPERLINK(0) ñ" in text
    assert "2 unchanged" in run("items", "import", str(file)).stdout


def test_an_export_imports_unchanged(run: Run, shop: Services, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert run("items", "export", str(file)).exit_code == 0
    assert file.read_text() == "tag,title,area\nT-1,One,B2\nT-2,T-2,\n"
    assert "2 unchanged" in run("items", "import", str(file)).stdout


def test_an_export_can_go_to_standard_output_in_full(run: Run, shop: Services) -> None:
    result = run("items", "export", "-", "--full")
    assert result.exit_code == 0
    assert result.stdout.startswith("tag,title,state,step,holder,since,")


def test_an_empty_board_exports_a_header(run: Run) -> None:
    assert run("items", "export", "-").stdout == "tag,title\n"


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


# Workers and tokens


def test_a_worker_is_added_disabled_and_enabled(run: Run) -> None:
    added = answer(
        run("workers", "add", "93", "--name", "Marta", "--role", "worker", "--pin", "2580",
            "--json")
    )  # fmt: skip
    assert added == {
        "id": "93", "name": "Marta", "role": "worker", "disabled": False, "has_pin": True,
    }  # fmt: skip
    assert answer(run("workers", "disable", "93", "--json"))["disabled"] is True
    assert run("workers", "list").stdout.splitlines()[1].split() == [
        "93", "Marta", "worker", "yes", "yes",
    ]  # fmt: skip
    run("workers", "enable", "93")
    assert answer(run("workers", "list", "--json"))["workers"] == [added]


@pytest.mark.parametrize(
    "pin", ["", "123", "1234567890123", "short", "abc" * 67, "pass\tphrase", "1234"]
)
def test_a_pin_that_is_easily_guessed_is_refused(run: Run, pin: str) -> None:
    args = ["workers", "add", "93", "--name", "Marta", "--role", "worker", "--pin", pin]
    assert "PIN" in error(run(*args))
    assert answer(run("workers", "list", "--json"))["workers"] == []


def test_a_workers_own_id_is_refused_as_a_pin(run: Run) -> None:
    args = ["workers", "add", "5813", "--name", "Marta", "--role", "worker", "--pin"]
    assert "the worker's id" in error(run(*args, "5813"))
    assert run(*args, "5814").exit_code == 0
    assert "the worker's id" in error(run("workers", "pin", "5813", "--pin", "5813"))


def test_a_pin_without_a_value_is_asked_for(run: Run, valkey_services: Services) -> None:
    args = ["workers", "add", "93", "--name", "Marta", "--role", "worker", "--pin"]
    result = run(*args, stdin="2580\n")
    assert result.exit_code == 0
    assert "2580" not in result.output
    assert valkey_services.workers.get("93").pin_hash is not None


@pytest.fixture
def signed_in(shop: Services) -> Credential:
    """A session of worker 93, opened by a link."""
    secret, _ = shop.sessions.with_link(shop.links.create("93"), address="192.0.2.1")
    return Credential("session", digest_of(secret))


def is_good(shop: Services, credential: Credential) -> bool:
    return shop.authenticator.revalidate([credential]) != [None]


def test_a_new_pin_ends_the_sessions_of_its_worker(
    run: Run, shop: Services, signed_in: Credential
) -> None:
    assert is_good(shop, signed_in)
    result = run("workers", "pin", "93", "--pin", "2580")
    assert result.stdout == "The worker Marta (93) has a new PIN.\n"
    assert not is_good(shop, signed_in)
    assert is_pin("2580", shop.workers.get("93").pin_hash)
    assert shop.workers.get("94").pin_hash is None


def test_a_new_pin_is_asked_for_twice_and_not_shown(run: Run, shop: Services) -> None:
    result = run("workers", "pin", "93", stdin="2580\n2580\n")
    assert result.exit_code == 0, result.output
    assert "2580" not in result.output
    assert is_pin("2580", shop.workers.get("93").pin_hash)
    run("workers", "pin", "93", stdin="1111\n2222\n2580\n")  # two PINs differ, input ends
    assert is_pin("2580", shop.workers.get("93").pin_hash)


def test_a_refused_pin_or_an_unknown_worker_changes_nothing(run: Run, shop: Services) -> None:
    assert "PIN" in error(run("workers", "pin", "93", "--pin", "123"))
    assert error(run("workers", "pin", "5", "--pin", "2580")) == "There is no worker 5."
    assert [each.pin_hash for each in shop.workers.all()] == [None, None]


def test_a_workers_link_signs_in_once(
    run: Run, shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCCUPANCY_URL", "https://board.example.com/")
    result = run("workers", "link", "93")
    assert result.exit_code == 0
    url, _, secret = result.stdout.strip().partition("#")
    assert url == "https://board.example.com/sign-in"
    assert "once" in result.stderr or "one sign-in" in result.stderr
    _, session = shop.sessions.with_link(secret, address="192.0.2.1")
    assert session.worker == "93"
    with pytest.raises(Unauthenticated):
        shop.sessions.with_link(secret, address="192.0.2.1")


def test_unknown_and_disabled_workers_get_no_link(run: Run, shop: Services) -> None:
    assert error(run("workers", "link", "5")) == "There is no worker 5."
    run("workers", "disable", "93")
    assert error(run("workers", "link", "93")) == "Worker 93 is disabled; enable them first."


def test_signing_out_everywhere_ends_sessions_and_leaves_tokens_good(
    run: Run, shop: Services, signed_in: Credential
) -> None:
    secret, _ = shop.tokens.create("93")
    answer(run("workers", "sign-out", "93", "--json"))
    assert not is_good(shop, signed_in)
    assert is_good(shop, Credential("token", digest_of(secret)))
    assert error(run("workers", "sign-out", "5")) == "There is no worker 5."


def test_no_pin_hash_is_ever_printed(run: Run) -> None:
    run("workers", "add", "93", "--name", "Marta", "--role", "worker", "--pin", "2580")
    for args in (["list"], ["list", "--json"], ["disable", "93", "--json"]):
        assert "scrypt" not in run("workers", *args).output


def test_workers_are_imported(run: Run) -> None:
    text = "id,name,role,pin\n93,Marta,worker,2580\n94,Iván,boss,\n"
    result = run("workers", "import", "-", stdin=text)
    assert error(result) == "1 of 2 rows rejected."
    assert result.stdout.splitlines() == [
        "line 3 (94): role 'boss' is none of observer, worker, supervisor, admin",
        "1 added, 0 updated, 0 unchanged, 1 rejected",
    ]


def test_a_token_is_printed_once_alone_on_a_line_and_lets_in(run: Run, shop: Services) -> None:
    result = run("tokens", "create", "93", "--days", "3")
    secret = result.stdout.strip()
    assert shop.authenticator.identify(Credential("token", digest_of(secret))).worker.id == "93"
    for args in (["list"], ["list", "--json"]):
        assert secret not in run("tokens", *args).output


def test_a_revoked_token_is_gone(run: Run, shop: Services) -> None:
    made = answer(run("tokens", "create", "93", "--json"))
    assert made["expires"] is None
    listed = answer(run("tokens", "list", "--json"))["tokens"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert made["id"] in run("tokens", "revoke", made["id"]).stdout
    assert answer(run("tokens", "list", "--json"))["tokens"] == []


def test_an_unknown_worker_gets_no_token(run: Run) -> None:
    assert error(run("tokens", "create", "5")) == "There is no worker 5."


def test_a_token_is_narrowed_to_role_and_board(run: Run, shop: Services) -> None:
    run("boards", "create", "hall")
    args = ["93", "--role", "observer", "--board", "hall", "--json"]
    made = answer(run("tokens", "create", *args))
    assert (made["role"], made["board"]) == ("observer", "hall")
    principal = shop.authenticator.identify(Credential("token", digest_of(made["token"])))
    assert (principal.role, principal.board) == (Role.OBSERVER, "hall")


def test_a_token_is_given_no_more_than_there_is(run: Run, shop: Services) -> None:
    create = ["tokens", "create", "93"]
    assert "Worker 93 is worker" in error(run(*create, "--role", "supervisor"))
    assert error(run(*create, "--board", "nowhere")) == "There is no board nowhere."
    for wrong in (["--days", "0"], ["--days", "36501"], ["--role", "boss"], ["--board", "a b"]):
        assert run(*create, *wrong).exit_code != 0
    assert shop.tokens.all() == []


def test_a_wallboards_link_signs_in_with_the_token(run: Run, shop: Services) -> None:
    result = run("tokens", "create", "93", "--role", "observer", "--board", "main", "--link")
    url, _, secret = result.stdout.strip().partition("#")
    assert url == "http://127.0.0.1:8000/sign-in"
    assert secret not in result.stderr
    principal = shop.authenticator.identify(Credential("token", digest_of(secret)))
    opened, _ = shop.sessions.with_token(principal, address="192.0.2.1")
    wall = shop.authenticator.identify(Credential("session", digest_of(opened)))
    assert (wall.role, wall.board, wall.idle_s) == (Role.OBSERVER, "main", None)


def test_the_list_of_tokens_has_their_limits_and_last_use(run: Run, shop: Services) -> None:
    unused = answer(run("tokens", "create", "93", "--json"))
    used = answer(run("tokens", "create", "94", "--role", "observer", "--board", "main", "--json"))
    shop.authenticator.identify(Credential("token", digest_of(used["token"])))
    listed = {each["id"]: each for each in answer(run("tokens", "list", "--json"))["tokens"]}
    assert listed[unused["id"]]["last_used"] is None
    last_used = listed[used["id"]]["last_used"]
    table = run("tokens", "list").stdout.splitlines()
    assert table[0].split("  ")[-1].strip() == "last used (UTC)"
    row = next(line for line in table if used["id"] in line)
    for part in ("94", "observer", "main", last_used[:19].replace("T", " ")):
        assert part in row


# The server


def test_stats_are_the_table_of_the_api(run: Run, valkey_services: Services) -> None:
    valkey_services.processes.report("host-71", valkey_services.process_report.figures())
    stats = answer(run("redis", "stats", "--json"))
    assert set(stats) == {"budget", "server", "workers"}
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


# The sample


def test_the_sample_has_a_history_and_loading_it_again_changes_nothing(
    run: Run, valkey_services: Services
) -> None:
    first = answer(run("demo", "load", "--json"))["added"]
    assert (first["boards"], first["workers"], first["items"]) == (1, 6, 40)
    board = answer(run("boards", "show", "taller", "--json"))
    assert all(board["counts"].values())
    assert board["seq"] == first["items"] + first["operations"]
    assert board["steps"] == ["ARM", "SOLD", "METROLOGIA"]
    again = answer(run("demo", "load", "--json"))["added"]
    assert again == {"boards": 0, "workers": 0, "items": 0, "operations": 0}
    assert answer(run("boards", "show", "taller", "--json")) == board
    assert run("items", "reconcile", "--board", "taller").exit_code == 0


def test_the_sample_does_not_touch_items_that_people_have_changed(run: Run, shop: Services) -> None:
    run("demo", "load")
    tag = "MK-1335-CW-25238-011"
    run("items", "put", tag, "--board", "taller", "--title", "Mine")
    run("demo", "load")
    assert answer(run("items", "show", tag, "--board", "taller", "--json"))["title"] == "Mine"
    assert shop.workers.get("93").name == "Marta"


def test_the_sample_gives_a_token_for_each_role(run: Run, valkey_services: Services) -> None:
    tokens = answer(run("demo", "load", "--tokens", "--json"))["people"]
    assert [each["role"] for each in tokens] == ["observer", "worker", "supervisor", "admin"]
    for each in tokens:
        worker = valkey_services.authenticator.identify(
            Credential("token", digest_of(each["token"]))
        ).worker
        assert (worker.id, worker.role) == (each["id"], each["role"])
    assert "93" in [each["id"] for each in tokens]


def test_the_sample_gives_random_pins_once_and_to_its_own_people_only(
    run: Run, shop: Services
) -> None:
    """Worker 93 of this shop has another name, and worker 94 as well."""
    people = answer(run("demo", "load", "--pins", "--json"))["people"]
    assert [each["id"] for each in people] == ["7", "95", "12", "1"]
    for each in people:
        assert len(each["pin"]) == 4
        assert is_pin(each["pin"], shop.workers.get(each["id"]).pin_hash)
    assert len({each["pin"] for each in people}) > 1
    assert shop.workers.get("93").pin_hash is None
    assert answer(run("demo", "load", "--pins", "--json"))["people"] == []
    table = run("demo", "load").stdout
    assert not any(each["pin"] in table for each in people)


def test_without_options_the_sample_has_no_credentials(run: Run, shop: Services) -> None:
    assert answer(run("demo", "load", "--json"))["people"] == []
    assert all(each.pin_hash is None for each in shop.workers.all())
    assert shop.tokens.all() == []


# In a separate process


class Process:
    """A command in a separate process; its output goes to files, so that it never blocks."""

    def __init__(self, tmp_path: Path, environ: dict[str, str], *args: str) -> None:
        self._out, self._err = tmp_path / "out", tmp_path / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", *args], cwd=ROOT, env=environ,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                # A shell that runs the tests in the background ignores Ctrl-C for them.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread of the tests holds a lock that this would need
            )  # fmt: skip

    @property
    def lines(self) -> list[str]:
        return self._out.read_text().splitlines()

    @property
    def errors(self) -> str:
        return self._err.read_text()

    def end(self) -> int:
        """End it by Ctrl-C; its status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=10)


@pytest.fixture
def start(tmp_path: Path, environ: dict[str, str]) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*args: str, **changed: str) -> Process:
        started.append(Process(tmp_path, {**environ, **changed}, *args))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def test_flask_finds_the_commands_by_itself(start: Callable[..., Process], shop: Services) -> None:
    command = start("items", "list")
    assert command.process.wait(timeout=30) == 0
    assert command.errors == ""
    assert [line.split()[0] for line in command.lines] == ["tag", "T-1", "T-2"]


def test_a_wrong_setting_is_one_line_at_the_start_too(start: Callable[..., Process]) -> None:
    command = start("items", "list", OCCUPANCY_REDIS_BUDGET="many")
    assert command.process.wait(timeout=30) == 1
    assert command.errors.count("\n") == 1
    assert "OCCUPANCY_REDIS_BUDGET='many'" in command.errors


def test_tail_prints_each_event_and_ends_at_ctrl_c(
    start: Callable[..., Process], shop: Services
) -> None:
    tail = start("events", "tail", "--after", "0-0")
    wait_until(lambda: len(tail.lines) == 2, timeout_s=30, what="the events from before")
    shop.store.commands.execute(
        Command("main", TRANSITIONS["take"], ["T-1"], actor=Person("93", "Marta"))
    )
    wait_until(lambda: len(tail.lines) == 3, what="the new event")
    for part in ("item.taken", "T-1", "Marta (93)", "occupied at work"):
        assert part in tail.lines[2]
    assert tail.end() == 0
    assert tail.errors == ""


def test_tail_begins_after_a_cursor_and_prints_json(
    start: Callable[..., Process], shop: Services
) -> None:
    cursor = shop.store.log.head("main").head_cursor
    tail = start("events", "tail", "--json", "--after", cursor)
    shop.store.commands.execute(
        Command("main", TRANSITIONS["take"], ["T-1"], actor=Person("93", "Marta"))
    )
    wait_until(lambda: len(tail.lines) == 1, timeout_s=30, what="the event")
    event = json.loads(tail.lines[0])
    assert (event["seq"], event["type"]) == (3, "item.taken")


def test_tail_reports_trimmed_events(start: Callable[..., Process], shop: Services) -> None:
    shop.store.client.xtrim(shop.store.keys.board("main").log, maxlen=1, approximate=False)
    tail = start("events", "tail", "--after", "0-0")
    wait_until(lambda: len(tail.lines) == 1, timeout_s=30, what="the event that is left")
    assert tail.errors == "1 event missing: trimmed from the log.\n"


def promote(shop: Services) -> None:
    """What a process does when another server was promoted."""
    shop.store.client.has_failover = True
    shop.topology.shards()[0].incarnation += 1
    shop.store.log.promote(["main"])


@pytest.mark.parametrize("after", ["the second event", "0-0"])
def test_tail_says_that_another_server_was_promoted_and_goes_on(
    start: Callable[..., Process], shop: Services, after: str
) -> None:
    cursor = "0-0" if after == "0-0" else shop.store.log.head("main").head_cursor
    promote(shop)
    shop.store.commands.execute(
        Command("main", TRANSITIONS["take"], ["T-1"], actor=Person("93", "Marta"))
    )
    tail = start("events", "tail", "--json", "--after", cursor)
    seqs = [1, 2, 3] if after == "0-0" else [3]
    wait_until(lambda: len(tail.lines) == len(seqs), timeout_s=30, what="the events")
    assert [json.loads(line)["seq"] for line in tail.lines] == seqs
    promote(shop)
    wait_until(lambda: tail.errors.count("\n") == 2, what="the second message")
    message = "Another server was promoted; the last events before that may be lost.\n"
    assert tail.errors == 2 * message
    assert tail.end() == 0


def test_tail_of_a_board_whose_first_entry_is_a_mark_says_nothing_of_it(
    start: Callable[..., Process], shop: Services
) -> None:
    shop.store.client.delete(*shop.store.client.keys(f"{shop.settings.prefix}:{{main}}:*"))
    promote(shop)
    shop.store.commands.execute(
        Command("main", PUT, ["T-9"], actor=Person("93", "Marta"), items=[{}])
    )
    tail = start("events", "tail", "--after", "0-0")
    wait_until(lambda: len(tail.lines) == 1, timeout_s=30, what="the event")
    assert tail.errors == ""


def test_tail_goes_on_where_it_was_when_it_comes_back_to_a_promoted_server(
    shop: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    position = shop.store.log.head("main").head_cursor, 2
    promote(shop)
    shop.store.commands.execute(
        Command("main", TRANSITIONS["take"], ["T-1"], actor=Person("93", "Marta"))
    )
    assert events._resume(shop.store.log, "main", *position) == position
    assert capsys.readouterr().err == ""
    lost = "5-5", 9
    head = shop.store.log.head("main")
    assert events._resume(shop.store.log, "main", *lost) == (head.head_cursor, 3)
    assert "no longer has the last event" in capsys.readouterr().err


def test_tail_ends_when_its_stdout_is_closed(environ: dict[str, str], shop: Services) -> None:
    tail = subprocess.Popen(
        [sys.executable, "-m", "flask", "events", "tail", "--after", "0-0"],
        cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert tail.stdout is not None and tail.stderr is not None
    tail.stdout.readline()
    tail.stdout.close()
    assert tail.wait(timeout=30) == 0
    assert tail.stderr.read() == b""
    tail.stderr.close()


def test_tail_survives_a_restart_of_the_server(
    start: Callable[..., Process], own_server: RealServer, environ: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "flask", "items", "put"]
    environ = {**environ, "REDIS_URL": own_server.url}
    subprocess.run([*command, "T-1"], cwd=ROOT, env=environ, check=True, capture_output=True)
    tail = start("events", "tail", "--after", "0-0", REDIS_URL=own_server.url)
    wait_until(lambda: len(tail.lines) == 1, timeout_s=30, what="the first event")
    own_server.stop()
    wait_until(lambda: "waiting for it" in tail.errors, what="the message")
    own_server.start()
    wait_until(lambda: "The server is back." in tail.errors, what="the server to be back")
    subprocess.run([*command, "T-2"], cwd=ROOT, env=environ, check=True, capture_output=True)
    wait_until(lambda: len(tail.lines) == 2, what="the second event")
    assert tail.end() == 0


def test_without_a_server_of_ones_own_the_embedded_one_runs_for_the_command(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    state_dir = str(tmp_path / "embedded")
    for number in range(2):  # the second command finds what the first has stored
        put = start("items", "put", f"T-{number}", REDIS_URL="", OCCUPANCY_STATE_DIR=state_dir)
        assert put.process.wait(timeout=30) == 0, put.errors
    listed = start("items", "list", REDIS_URL="", OCCUPANCY_STATE_DIR=state_dir)
    assert listed.process.wait(timeout=30) == 0
    assert [line.split()[0] for line in listed.lines[1:]] == ["T-0", "T-1"]
    tail = start("events", "tail", REDIS_URL="", OCCUPANCY_STATE_DIR=state_dir)
    assert tail.process.wait(timeout=30) == 1
    assert tail.errors == "Error: The embedded server is not running: start the web server.\n"


# The audit log


def test_changes_of_access_are_recorded_for_the_audit_log(
    run: Run, shop: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOGNAME", "root")
    run("workers", "add", "55", "--name", "Ana", "--role", "worker", "--pin", "2580")
    run("workers", "disable", "55")
    run("workers", "enable", "55")
    run("workers", "pin", "55", "--pin", "864213")
    link = run("workers", "link", "55").stdout
    run("workers", "sign-out", "55")
    run("workers", "import", "-", stdin="id,name,role\n93,Marta R.,worker\n56,Eva,worker\n")
    made = answer(run("tokens", "create", "55", "--role", "observer", "--json"))
    run("tokens", "revoke", made["id"])
    run("boards", "create", "hall")
    run("tokens", "revoke", "0000")  # there is none
    run("workers", "list")
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        shop.periodic_tasks.run()
        shop.periodic_tasks.run()
    lines = audit_lines_of(caplog)
    assert all(each.pop("at").endswith("Z") for each in lines)
    assert [(each.pop("means"), each.pop("by")) for each in lines] == [("cli", "root")] * 10
    ana = {"worker": "55", "role": "worker"}
    assert lines == [
        {"event": "worker_added", **ana, "fields": "name,role,pin", "disabled": False},
        {"event": "worker_edited", **ana, "fields": "disabled", "disabled": True},
        {"event": "worker_edited", **ana, "fields": "disabled", "disabled": False},
        {"event": "worker_edited", **ana, "fields": "pin", "disabled": False},
        {"event": "link_added", "worker": "55"},
        {"event": "signed_out_everywhere", "worker": "55"},
        {"event": "workers_imported", "added": 1, "updated": 1},
        {"event": "token_added", "worker": "55", "token": made["id"], "role": "observer",
         "board": None},
        {"event": "token_revoked", "worker": "55", "token": made["id"]},
        {"event": "board_added", "board": "hall"},
    ]  # fmt: skip
    secret = link.partition("#")[2].strip()
    assert not any(each in caplog.text for each in ("2580", "864213", secret, made["token"]))


def test_the_samples_pins_and_tokens_are_recorded_without_their_secrets(
    run: Run, valkey_services: Services
) -> None:
    given = answer(run("demo", "load", "--pins", "--tokens", "--json"))["people"]
    run("demo", "load")
    [note] = valkey_services.audit_outbox.take()
    assert (note["event"], note["means"]) == ("sample_loaded", "cli")
    assert note["pins"].split(",") == ["93", "94", "95", "12", "7", "1"]
    assert len(note["tokens"].split(",")) == 4
    assert not any(person.get("token", "-no-") in str(note) for person in given)
    assert not any(f"'{person['pin']}'" in str(note) for person in given)


def test_audit_records_are_written_once_whichever_process_comes_first_and_are_bounded(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_outbox, "_MAX_ENTRIES", 150)
    for number in range(200):
        shop.audit_outbox.leave("worker_edited", worker=str(number))
    taken = [gevent.spawn(shop.audit_outbox.take) for _ in range(4)]
    gevent.joinall(taken, raise_error=True)
    workers = sorted(int(note["worker"]) for each in taken for note in each.value)
    assert workers == list(range(50, 200))


# Links


def test_a_link_names_the_address_of_the_server_that_runs(
    run: Run, shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*args: str) -> str:
        return str(run(*args).stdout.partition("/sign-in#")[0])

    shown = ("workers", "link", "93"), ("tokens", "create", "93", "--link")
    assert [link(*each) for each in shown] == ["http://127.0.0.1:8000"] * 2
    shop.settings.state_path.mkdir(exist_ok=True)
    settings = dataclasses.replace(shop.settings, port=8471)
    server = Services(settings, shop.topology)
    server.start()
    server.drain()
    assert [link(*each) for each in shown] == ["http://127.0.0.1:8471"] * 2
    monkeypatch.setenv("OCCUPANCY_URL", "https://board.example.com/")
    assert [link(*each) for each in shown] == ["https://board.example.com"] * 2

"""Commands in a separate process: their start, their output and their exit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occupancy.boards.commands import Command
from occupancy.cli.commands import events
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from tests.support.deployment import ROOT
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


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
    message = (
        "Another server was promoted, and the last events before that may be lost; "
        "or the board was removed and created again.\n"
    )
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

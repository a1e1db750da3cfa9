"""Every command on a Cluster and on Sentinel, and the doctor's checks of several servers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from occupancy import create_app
from occupancy.cli.doctor.cluster import coverage, full_coverage, node_timeout
from occupancy.cli.doctor.deployment import failovers, machines, spread
from occupancy.cli.doctor.sentinels import agreement, answering, copies, down_after, number, quorum
from occupancy.core.server_url import Address
from occupancy.core.settings import Settings
from occupancy.observability.servers import Answer
from occupancy.services import Services
from occupancy.storage.client import OpsClient
from occupancy.storage.topology.cluster_nodes import parse_nodes
from occupancy.storage.topology.shard import Member
from tests.cli.command_line import commands
from tests.support.clusters import RealCluster, RealSentinels
from tests.support.deployment import ROOT

ITEMS = "tag,title,area\nX-1,One,B2\nX-2,Two,B3\n"
PEOPLE = "id,name,role\n95,Lucía,worker\n"


@pytest.fixture(params=["one node", "three sentinels"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    made: RealCluster | RealSentinels
    if request.param == "one node":
        made = RealCluster("valkey", tmp_path / "servers", primaries=1, replicas=0)
    else:
        made = RealSentinels("valkey", tmp_path / "servers")
    made.start()
    yield made.url
    made.stop()


# The commands in their order; DIR is the test's directory. What is expected in the output follows.
COMMANDS = """
boards create line --steps ARM,SOLD
boards list => line
boards show line
boards edit line --title Spools => title
workers add 93 --name Marta --role worker
workers add 94 --name Iván --role worker
workers import DIR/people.csv
workers list => Lucía
workers pin 93 --pin 7391
workers link 93
workers sign-out 93
workers disable 95
workers enable 95
items import DIR/items.csv --board line
items export DIR/out.csv --board line
items labels --board line --out DIR/labels.svg
items put X-3 --board line --title Three
items take X-1 --board line --worker 93
items pause X-1 --board line --worker 93
items reassign X-1 --board line --to 94
items release X-1 --board line --worker 94
items take X-1 --board line --worker 94
items force-release X-1 --board line --reason Turno
items block X-1 --board line --reason Plano
items unblock X-1 --board line
items take X-1 --board line --worker 93
items complete X-1 --board line --worker 93
items undo X-1 --board line --worker 93
items complete X-1 --board line --worker 93
items take X-1 --board line --worker 93
items complete X-1 --board line --worker 93
items reopen X-1 --board line
items send-back X-1 --board line --step ARM --reason Poros
items show X-1 --board line => available
items history X-1 --board line => complete
items remove X-3 --board line
items list --board line => X-2
items reconcile --board line
demo load
items reconcile --board taller
boards create hall
items put H-1 --board hall
boards remove hall --yes-remove hall => 1 item
demo unload => 40 items
audit list => board_removed
audit export DIR/audit.csv
redis stats => primary
redis check => number|coverage
redis check => ok +failover
"""


def test_every_command_works(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OCCUPANCY_") or name in ("REDIS_URL", "WEB_CONCURRENCY", "PORT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setenv("OCCUPANCY_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "people.csv").write_text(PEOPLE)
    settings = Settings(redis_url=url, state_dir=str(tmp_path / "state"))
    app = create_app(Services.for_command_line(settings))
    runner = app.test_cli_runner()
    done: set[tuple[str, ...]] = {("events", "tail")}

    def run(*args: str, status: int = 0, given: str = "") -> Result:
        result = runner.invoke(args=args, input=given)
        assert result.exit_code == status, (args, result.output)
        done.add(args[: 3 if args[1] == "badge" else 2])
        return result

    for line in COMMANDS.strip().splitlines():
        command, _, expected = line.replace("DIR", str(tmp_path)).partition(" => ")
        assert re.search(expected, run(*command.split()).stdout), command
    token = json.loads(run("tokens", "create", "93", "--json").stdout)
    assert token["id"] in run("tokens", "list").stdout
    run("tokens", "revoke", token["id"])
    station = json.loads(run("stations", "add", "door", "--json").stdout)["station"]
    assert "door" in run("stations", "list").stdout
    run("stations", "revoke", station["id"])
    badge = json.loads(run("workers", "badge", "add", "93", "--json", given="B-4711\n").stdout)
    assert badge["id"] in run("workers", "badge", "list", "93").stdout
    run("workers", "badge", "remove", "93", badge["id"])
    assert "X-1,One" in (tmp_path / "out.csv").read_text()
    stats = json.loads(run("redis", "stats", "--json").stdout)
    assert stats["servers"]
    assert all(each["status"] == "healthy" for each in stats["servers"])
    run("redis", "repair", status=1)  # it is for the embedded server
    first = first_event()
    assert "X-1" in first, first
    assert set(commands(app.cli)) - done == set()


def first_event() -> str:
    """The first line of ``flask events tail``, which goes on until it is ended."""
    tail = subprocess.Popen(
        [sys.executable, "-m", "flask", "events", "tail", "--board", "line", "--after", "0-0"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert tail.stdout is not None
    try:
        return re.sub(r"\s+", " ", tail.stdout.readline())
    finally:
        tail.send_signal(signal.SIGKILL)
        tail.communicate(timeout=10)


# The doctor

ADDRESS = Address("127.0.0.1", 1)
NODES = """\
a 127.0.0.1:1@11 myself,master - 0 0 1 connected 0-8191
b 127.0.0.1:2@12 {flags} - 0 0 2 connected 8192-16383
c 127.0.0.1:3@13 slave a 0 0 1 connected
"""


def test_slots_without_a_server_are_an_error() -> None:
    def check(flags: str) -> tuple[str, str]:
        found = coverage(parse_nodes(NODES.format(flags=flags), asked=ADDRESS))
        return found.level, found.finding

    assert check("master") == ("ok", "16384 of 16384 slots have a server")
    assert check("master,fail") == ("error", "8192 of 16384 slots have a server")


def test_full_coverage_and_a_long_node_timeout_are_warnings() -> None:
    def told(coverage: str, timeout: str) -> dict[str, dict[str, str]]:
        return {
            "a": {"cluster-require-full-coverage": "no", "cluster-node-timeout": "5000"},
            "b": {"cluster-require-full-coverage": coverage, "cluster-node-timeout": timeout},
        }

    assert full_coverage(told("no", "5000")).level == "ok"
    assert full_coverage(told("yes", "5000")).level == "warning"
    assert node_timeout(told("no", "15000")).level == "ok"
    assert node_timeout(told("no", "15001")).level == "warning"
    assert full_coverage({"a": None}).level == node_timeout({"a": None}).level == "unknown"


def says(**more: str) -> dict[str, str]:
    return {
        "ip": "127.0.0.1", "port": "1", "num-other-sentinels": "2", "quorum": "2",
        "down-after-milliseconds": "5000", **more,
    }  # fmt: skip


def test_a_replica_that_does_not_answer_is_named_with_what_to_set() -> None:
    assert copies({"10.0.0.1:6379": True}).level == "ok"
    assert copies({}).finding == "the Sentinels know none"
    none = copies({"172.17.0.3:6379": False})
    assert none.level == "warning"
    assert none.finding == "none answers at 172.17.0.3:6379"
    assert "replica-announce-ip" in none.advice
    assert "OCCUPANCY_REDIS_ADDRESSES" in none.advice
    assert "172.17.0.3:6379=" in none.advice
    assert copies({"a:1": True, "b:2": False}).finding == "1 of 2 answer, not b:2"


def test_sentinels_must_be_three_or_more_agree_and_be_quick() -> None:
    good = {"a": says(), "b": says(), "c": says()}
    for check in (answering, number, agreement, quorum, down_after):
        assert check(good).level == "ok", check
    assert answering({**good, "c": None}).level == "warning"
    assert answering({"a": None}).level == "error"
    assert number({"a": says(**{"num-other-sentinels": "1"})}).level == "warning"
    assert number({"a": says(**{"num-other-sentinels": "3"})}).level == "warning"
    assert agreement({**good, "c": says(port="2")}).level == "error"
    assert quorum({"a": says(quorum="1")}).level == "warning"
    assert quorum({"a": says(quorum="4")}).level == "error"
    assert down_after({"a": says(**{"down-after-milliseconds": "30000"})}).level == "warning"


def test_more_machines_than_the_budget_is_divided_by_are_a_warning() -> None:
    assert machines({"one"}, 1).level == "ok"
    assert machines({"one"}, 2).level == "ok"
    check = machines({"one", "two"}, 1)
    assert (check.level, "OCCUPANCY_NODES to 2" in check.advice) == ("warning", True)


def test_boards_that_one_server_has_nearly_alone_are_a_warning() -> None:
    client = OpsClient()
    answers = [Answer(Member(each, "primary", 1, client), [], 0.1, None) for each in "abc"]

    def level(*counts: int) -> str:
        boards = {name: ["x"] * count for name, count in zip("abc", counts, strict=True)}
        return spread(boards, answers).level

    assert level(7, 7, 7) == "ok"
    assert level(3, 0, 0) == "ok"  # too few to tell
    assert level(20, 1, 0) == "warning"


def test_a_failover_epoch_below_what_the_boards_have_seen_is_an_error() -> None:
    assert failovers({"a": 0, "b": 3}, {"b": 3}, None).level == "ok"
    assert failovers({}, {}, None).level == "unknown"
    in_cluster = failovers({"a": 4, "b": 2}, {"a": 4, "b": 7}, None)
    assert (in_cluster.level, "a: 4" in in_cluster.finding) == ("error", False)
    assert "BUMPEPOCH to two primaries in turn until each epoch is 7" in in_cluster.advice
    assert "`sentinel config-epoch board 7`" in failovers({"a": 1}, {"a": 7}, "board").advice

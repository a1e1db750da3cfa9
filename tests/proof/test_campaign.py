"""The full run: what comes next, what counts, and how it goes on where it has stopped."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proof.access.calls import Sender
from proof.campaign.choice import Planned, next_batch
from proof.campaign.counts import Counts, product_hash
from proof.campaign.goals import GOALS, ROUNDS_OF_A_FAILOVER, standings
from proof.campaign.kinds import KINDS, Kind, SetUp, chosen
from proof.campaign.run import Campaign
from proof.results import text_of, why_void
from tests.support.servers import free_port

SERVERS = ("valkey", "redis")
SINGLE = [each for each in KINDS.values() if each.part == "single faults"]


def row(kind: str = "process-kill", seed: int = 1, **changes: Any) -> dict[str, Any]:
    figures = {
        "operations": 5000, "replayed": 300, "deliveries": 6000, "forced_reconnects": 60,
        "rolling_restarts": 0, "per_s": 412.34567, "most_connections": 20, "live_again_s": None,
    }  # fmt: skip
    of_kind = KINDS[kind]
    server, nodes = of_kind.cell_of(seed)
    return {
        "kind": kind, "topology": of_kind.topology, "server": server, "nodes": nodes,
        "is_strict": of_kind.is_strict, "faults": [of_kind.fault or kind], "seed": seed,
        "void": "", "violations": {}, "figures": figures, "notes": [], "took_s": 9.0, **changes,
    }  # fmt: skip


@pytest.fixture
def counts(tmp_path: Path) -> Counts:
    return Counts(tmp_path / "counts.json", "one")


def reached(counts: Counts) -> dict[str, int]:
    return {each.goal.name: each.reached for each in standings(counts.entries)}


def again(counts: Counts, product: str = "one", **options: Any) -> Counts:
    """The counts that the next run begins with."""
    counts.save()
    return Counts(counts.path, product, **options)


class FakeRunner:
    """Runs rounds in no time; ``change`` says what comes out."""

    def __init__(self, set_up: SetUp, change: Callable[[Kind, int], dict[str, Any]]) -> None:
        self.set_up, self.change = set_up, change
        self.is_worn_out = False

    def run(self, kind: Kind, seed: int) -> dict[str, Any]:
        assert kind.set_up(seed) == self.set_up
        return row(kind.name, seed, **self.change(kind, seed))

    def log_text(self) -> str:
        return "the log"


class Rehearsal:
    """A campaign on set-ups that are not there, and what it has said and run."""

    def __init__(
        self, counts: Counts, change: Callable[[Kind, int], dict[str, Any]] = lambda *_: {},
        minutes: float | None = 1.0,
    ) -> None:  # fmt: skip
        self.lines: list[str] = []
        self.set_ups: list[SetUp] = []
        self.evidence = counts.path.parent / "kept"

        @contextmanager
        def runner_on(set_up: SetUp) -> Iterator[Any]:
            self.set_ups.append(set_up)
            yield FakeRunner(set_up, change)

        self.campaign = Campaign(
            counts, self.evidence, runner_on=runner_on, say=self.lines.append,
            deadline_s=None if minutes is None else time.monotonic() + 60 * minutes,
        )  # fmt: skip


# Aggregation


def test_rounds_of_a_kind_on_a_set_up_are_one_entry(counts: Counts) -> None:
    counts.add(row(seed=1))
    counts.add(row(seed=5, violations={"models": ["a", "b"]}))
    counts.add(row(seed=2))
    assert len(counts.entries) == 2
    (entry, _) = counts.entries
    assert (entry["rounds"], entry["failed"], entry["violation_count"]) == (2, 1, 2)
    assert entry["sums"]["operations"] == 10_000
    assert entry["faults"] == {"process-kill": 2}
    assert entry["values"]["per_s"] == [412.346, 412.346]
    assert entry["most"]["most_connections"] == 20
    assert entry["violations"] == [{"seed": 5, "check": "models", "count": 2, "text": "a"}]


def test_a_void_round_counts_for_nothing(counts: Counts) -> None:
    counts.add(row(void="only 80 operations/s", violations={"models": ["a"]}))
    assert not any(reached(counts).values())
    (entry,) = counts.entries
    assert (entry["rounds"], entry["void"], entry["violation_count"]) == (0, 1, 0)
    assert entry["voids"] == [{"seed": 1, "why": "only 80 operations/s"}]


def test_the_file_stays_small(counts: Counts) -> None:
    for number in range(200):
        counts.add(row(seed=number * 4 + 1, violations={"models": ["long " * 1000] * 50}))
    counts.save()
    assert counts.path.stat().st_size < 100_000
    (entry,) = counts.entries
    assert entry["violation_count"] == 10_000


def test_each_goal_counts_what_it_names(counts: Counts) -> None:
    counts.add(row())
    counts.add(row("rolling-restarts", faults=["rolling-restart"] * 4,
                   figures={"operations": 1, "rolling_restarts": 4}))  # fmt: skip
    for number in range(ROUNDS_OF_A_FAILOVER + 2):
        counts.add(row("cluster:kill", number * 2, figures={"operations": 479}))
    counts.add(row("day", figures={"hours": 24.0, "operations": 7000, "deliveries": 9}))
    counts.add(row("access-revocations", faults=[], figures={"revocations": 150}))
    assert reached(counts) == {
        "operations by 200 workers": 5001,
        "faults": 1 + 4 + ROUNDS_OF_A_FAILOVER + 2 + 1,
        "kinds of faults": 4,
        "answers lost, and retried": 300,
        "deliveries": 6000,
        "forced reconnects": 60,
        "rolling restarts": 4,
        "each fault alone, on each set-up": 1,
        "rounds of failovers": ROUNDS_OF_A_FAILOVER,
        "revocations at random moments": 150,
        "hours of a day's work": 24,
    }


def test_a_goal_has_the_violations_of_the_rounds_that_added_to_it(counts: Counts) -> None:
    counts.add(row(violations={"models": ["a", "b"]}))
    found = {each.goal.name: each.violations for each in standings(counts.entries)}
    assert found["operations by 200 workers"] == 2
    assert found["faults"] == 2
    assert found["rounds of failovers"] == 0


# Going on


def test_a_run_goes_on_with_the_counts_and_seeds_of_the_last(counts: Counts) -> None:
    kinds = chosen(["process-kill"])
    first = next_batch(counts, kinds, SERVERS)
    assert first
    for kind, seed in first.rounds:
        counts.add(row(kind.name, seed))
    later = again(counts)
    assert reached(later) == reached(counts)
    seeds = {seed for _, seed in first.rounds}
    for _ in range(8):  # more than there are servers and numbers of nodes
        batch = next_batch(later, kinds, SERVERS)
        assert batch
        for kind, seed in batch.rounds:
            assert seed not in seeds
            seeds.add(seed)
            later.add(row(kind.name, seed))


def test_counts_of_another_version_stay_in_brief_and_seeds_go_on(counts: Counts) -> None:
    counts.add(row(seed=1, violations={"models": ["a"]}))
    later = again(counts, "two")
    assert later.entries == []
    (earlier,) = later.earlier
    assert (earlier["product"], earlier["rounds"], earlier["violations"]) == ("one", 1, 1)
    assert earlier["operations"] == 5000
    assert later.last_seed("process-kill", *KINDS["process-kill"].cell_of(1)) == 1


def test_versions_without_a_round_are_not_listed(counts: Counts) -> None:
    assert again(again(counts, "two"), "three").earlier == []


def test_a_fresh_run_forgets_everything(counts: Counts) -> None:
    counts.add(row())
    fresh = again(again(counts, "two"), "two", is_fresh=True)
    assert (fresh.entries, fresh.earlier) == ([], [])
    assert fresh.last_seed("process-kill", "redis", 1) is None


def test_the_version_is_that_of_the_product_alone(tmp_path: Path) -> None:
    product = tmp_path / "occupancy"
    (product / "__pycache__").mkdir(parents=True)
    (product / "a.py").write_text("1")
    before = product_hash(tmp_path)
    (tmp_path / "README.md").write_text("other")
    (product / "__pycache__" / "a.pyc").write_text("other")
    assert product_hash(tmp_path) == before
    (product / "a.py").write_text("2")
    changed = product_hash(tmp_path)
    (product / "a.py").rename(product / "b.py")
    assert len({before, changed, product_hash(tmp_path)}) == 3


# Choice


def test_what_comes_next_is_what_the_goals_lack_most(counts: Counts) -> None:
    everything = list(KINDS.values())
    enough = {goal.name: goal.target for goal in GOALS}
    full = {
        "operations": enough["operations by 200 workers"],
        "replayed": enough["answers lost, and retried"], "deliveries": enough["deliveries"],
        "forced_reconnects": enough["forced reconnects"], "rolling_restarts": 0,
    }  # fmt: skip
    names = [each.name for each in SINGLE] * (1 + enough["faults"] // len(SINGLE))
    counts.add(row(figures=full, faults=names))
    counts.add(row("day", figures={"hours": 24}))
    for kind in everything:
        for server, nodes in kind.cells() if kind.part == "failovers" else ():
            for _ in range(ROUNDS_OF_A_FAILOVER):
                counts.add(row(kind.name, 1, server=server, nodes=nodes, figures={}))
    batch = next_batch(counts, everything, SERVERS)
    assert batch
    assert batch.part == "rolling restarts"
    assert {kind.name for kind, _ in batch.rounds} == {"rolling-restarts"}


def test_of_a_part_the_kinds_with_the_fewest_rounds_come_first(counts: Counts) -> None:
    done: dict[tuple[str, str, int], int] = {}
    for _ in range(4 * len(SINGLE)):  # each batch has a round at least
        if len(done) == 4 * len(SINGLE):
            break
        batch = next_batch(counts, SINGLE, SERVERS)
        assert batch
        for kind, seed in batch.rounds:
            cell = (kind.name, *kind.cell_of(seed))
            done[cell] = done.get(cell, 0) + 1
            counts.add(row(kind.name, seed, void="" if seed % 3 else "too slow"))
    assert len(done) == 4 * len(SINGLE)
    assert max(done.values()) <= 2


def test_rounds_of_a_batch_share_their_set_up(counts: Counts) -> None:
    for part in {each.part for each in KINDS.values()}:
        batch = next_batch(counts, [each for each in KINDS.values() if each.part == part], SERVERS)
        assert batch
        assert {kind.set_up(seed) for kind, seed in batch.rounds} == {batch.set_up}
        assert len(set(batch.rounds)) == len(batch.rounds)


def test_a_server_that_is_not_there_is_left_out(counts: Counts) -> None:
    for kind in KINDS.values():
        batch = next_batch(counts, [kind], ["valkey"])
        assert batch
        assert batch.set_up.server == "valkey"


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_a_seed_says_on_what_its_round_runs(kind: Kind) -> None:
    cells = list(kind.cells())
    assert cells
    for cell in cells:
        seed = kind.seed_after(0, cell)
        assert kind.cell_of(seed) == cell
        assert kind.cell_of(kind.seed_after(seed, cell)) == cell
        set_up = kind.set_up(seed)
        assert (set_up.server, set_up.nodes) == cell
        assert kind.set_up(kind.seed_after(seed, cell)) == set_up


def test_a_failover_is_known_by_its_fault_or_by_its_whole_name() -> None:
    assert [each.name for each in chosen(["sentinel:cut-off"])] == ["sentinel:cut-off"]
    assert {each.topology for each in chosen(["kill"])} == {"cluster", "sentinel"}
    with pytest.raises(ValueError, match="'nothing' is not one of"):
        chosen(["nothing"])


# The run


def test_a_run_ends_when_all_goals_are_reached(counts: Counts) -> None:
    rehearsal = Rehearsal(
        counts, lambda *_: {"figures": {"rolling_restarts": 30, "operations": 10}}, minutes=None
    )
    rehearsal.campaign.run(chosen(["rolling-restarts"]), SERVERS)
    assert 4 <= rehearsal.campaign.round_count <= 6
    assert json.loads(counts.path.read_text())["kinds"]


def test_a_round_that_does_not_fit_is_not_begun(counts: Counts) -> None:
    rehearsal = Rehearsal(counts, minutes=0.5)
    rehearsal.campaign.run([KINDS["day"], KINDS["process-kill"]], SERVERS)
    assert rehearsal.campaign.round_count == 0
    assert rehearsal.set_ups == []


def test_what_is_always_void_is_left_out_after_some_rounds(counts: Counts) -> None:
    rehearsal = Rehearsal(counts, lambda *_: {"void": "did not happen"}, minutes=10)
    rehearsal.campaign.run(chosen(["process-kill", "rolling-restarts"]), SERVERS)
    assert rehearsal.campaign.void_count == rehearsal.campaign.round_count
    assert len(rehearsal.set_ups) == 2 * 3


def test_a_set_up_that_does_not_start_is_a_void_round(counts: Counts, tmp_path: Path) -> None:
    @contextmanager
    def runner_on(set_up: SetUp) -> Iterator[Any]:
        raise OSError("no port is free\nthe log")
        yield

    campaign = Campaign(
        counts, tmp_path, runner_on=runner_on, deadline_s=time.monotonic() + 60,
        say=lambda _: None,
    )  # fmt: skip
    campaign.run(chosen(["process-kill"]), SERVERS)
    assert campaign.void_count == 3
    why = counts.entries[0]["voids"][0]["why"]
    assert why == "the set-up failed: OSError: no port is free"
    assert {each.read_text() for each in tmp_path.glob("*/nodes.log")} == {"the log"}


def test_a_violated_round_keeps_its_texts_and_logs(counts: Counts) -> None:
    rehearsal = Rehearsal(counts, lambda *_: {"violations": {"models": ["a", "b"]}}, minutes=None)
    rehearsal.campaign.repeat([Planned(KINDS["process-kill"], 7)])
    (kept,) = rehearsal.evidence.iterdir()
    assert json.loads((kept / "round.json").read_text())["violations"] == {"models": ["a", "b"]}
    assert (kept / "nodes.log").read_text() == "the log"
    assert str(kept) in rehearsal.lines[-1]
    assert "process-kill, seed 7" in rehearsal.lines[0]
    assert [each["seed"] for each in rehearsal.campaign.violated] == [7]


def test_a_repeated_round_changes_no_count(counts: Counts) -> None:
    Rehearsal(counts).campaign.repeat([Planned(KINDS["process-kill"], 7)])
    assert counts.entries == []


def test_each_round_is_a_line_that_says_how_it_came_out() -> None:
    assert text_of(row()) == (
        "process-kill, seed 1, valkey, 2 nodes: ok; 5,000 operations, 412/s, 300 lost and retried, "
        "6,000 deliveries, 60 reconnects, 9.0 s"
    )
    assert ": VOID, too slow; " in text_of(row(void="too slow"))
    assert text_of(row(violations={"models": ["a"]})).splitlines()[1:] == ["  models: 1", "    a"]


def test_a_round_that_an_error_has_ended_says_in_which_lines() -> None:
    with pytest.raises(OSError, match="refused") as caught:
        Sender(free_port()).send("GET", "/livez", {})
    assert re.fullmatch(r"ConnectionRefusedError: .* \(calls\.py:\d+\)", why_void(caught.value))

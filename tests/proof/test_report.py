"""The page of the counts: what it counts, and that it hides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proof.campaign.counts import Counts
from proof.failover.checks import CHECKS
from proof.failover.faults import OF_CLUSTER, OF_SENTINEL, OF_VALKEY_CLUSTER
from proof.history.checks import CHECKS as HISTORY_CHECKS
from proof.report.page import markdown
from proof.single.run import FAULTS


def row(**changes: Any) -> dict[str, Any]:
    figures = {
        "operations": 1000, "sent_again": 3, "acknowledged_and_lost": 2, "seen_and_lost": 1,
        "resets": 4, "promoted_after_s": 0.5, "live_again_s": 0.2,
        "other_gap_s": None, "most_connections": 20,
    }  # fmt: skip
    return {
        "kind": "cluster:kill", "topology": "cluster", "server": "valkey", "nodes": 2,
        "is_strict": False, "faults": ["kill"], "seed": 1, "void": "", "violations": {},
        "figures": figures, "notes": [], "took_s": 5.0, **changes,
    }  # fmt: skip


def single_row(kind: str, *faults: str, **changes: Any) -> dict[str, Any]:
    figures = {
        "operations": 5000, "changes": 3000, "per_s": 412.3, "sent_again": 7, "answers_lost": 4,
        "replayed": 2, "acknowledged_and_lost": 0, "deliveries": 6000,
        "forced_reconnects": 60, "resets": 1, "rolling_restarts": 0, "most_connections": 28,
    }  # fmt: skip
    given = {"kind": kind, "topology": "single", "nodes": 1, "faults": list(faults or [kind])}
    return row(**{**given, "figures": figures, **changes})


def day_row(**changes: Any) -> dict[str, Any]:
    slope = {
        "first_kib": 70_000, "last_kib": 70_100, "per_hour_kib": 6.0, "low": -2.0, "high": 14.0,
    }  # fmt: skip
    series = {"name": "process 1, RSS", "by_design": False, "grows": False, "days": [slope] * 2}
    kept = {**series, "name": "server, kept by design", "grows": True, "by_design": True}
    figures = {"hours": 24.0, "operations": 7000, "sign-ins": 72, "sign-outs": 72}
    return row(**{
        "kind": "day", "topology": "day", "nodes": 1, "faults": [], "figures": figures,
        "acceleration": 240.0, "warm_up_days": 3, "memory": [series, kept], **changes,
    })  # fmt: skip


@pytest.fixture
def counts(tmp_path: Path) -> Counts:
    return Counts(tmp_path / "counts.json", "0123456789ab")


def page(counts: Counts, *rows: dict[str, Any], planted: Any = None) -> str:
    for each in rows:
        counts.add(each)
    return markdown(counts.content, planted)


def test_rounds_of_a_fault_are_one_line(counts: Counts) -> None:
    found = page(counts, row(), row(seed=2), row(server="redis"))
    assert (
        "| kill | valkey | 2 | 2,000 | 6 | 4 | 2 | 8 | 0.50, 0.50 | 0.20, 0.20 | – | 20 | 0 "
        "| 0 |" in found
    )
    assert "| kill | redis | 1 | 1,000 |" in found
    assert "3 rounds, 0 of them with a violation; besides, 0 void." in found
    assert "What did not hold" not in found
    assert "Void rounds" not in found


def test_goals_stand_beside_what_is_reached(counts: Counts) -> None:
    found = page(counts, single_row("reload"), single_row("reload", violations={"models": ["a"]}))
    assert "| operations by 200 workers | 10,000 | 1,000,000 | 1 |" in found
    assert "| kinds of faults | 1 | 16 | 1 |" in found
    assert "| rolling restarts | 0 | 100 | 0 |" in found
    assert "version 0123456789ab of the product" in found


def test_violations_and_void_rounds_are_named(counts: Counts) -> None:
    found = page(
        counts, row(violations={"losses": ["a `b`\n| c", "d"]}),
        row(seed=3, void="too few", figures={}), row(kind="cluster-strict:kill", is_strict=True),
    )  # fmt: skip
    assert "2 rounds, 1 of them with a violation; besides, 1 void." in found
    assert "- `--only cluster:kill --seed 1` (valkey): losses, 2 times, `a 'b' | c`" in found
    assert "- `--only cluster:kill --seed 3` (valkey): `too few`" in found
    assert "#### Cluster, strict mode" in found


def test_each_check_and_each_fault_is_named(counts: Counts) -> None:
    found = page(counts, row(), single_row("reload"))
    for check in [*CHECKS.values(), *HISTORY_CHECKS.values()]:
        assert check.__doc__
        assert f"- {check.__doc__.strip()}" in found
    acts = {name: fault.act for name, fault in FAULTS.items()}
    for name, act in (acts | OF_CLUSTER | OF_VALKEY_CLUSTER | OF_SENTINEL).items():
        assert act.__doc__
        assert f"- **{name}**: {act.__doc__.strip()}" in found


def test_one_server_has_a_table_of_its_own(counts: Counts) -> None:
    found = page(
        counts, single_row("aof-cut"), single_row("aof-cut", nodes=2),
        single_row("several", "reload", "pause"), row(),
    )  # fmt: skip
    assert (
        "| aof-cut | valkey | 2 | 10,000 | 412 | 14 | 4 | 0 | 12,000 | 120 | 2 | 28 | 0 | 0 |"
        in found
    )
    assert "| several | valkey | 1 |" in found
    assert "| kill | valkey | 1 |" in found


def test_access_has_a_table_with_the_worst_of_all_rounds(counts: Counts) -> None:
    def access_row(**figures: float) -> dict[str, Any]:
        return row(
            kind="access-revocations", topology="access", nodes=1, faults=[], figures=figures
        )

    found = page(
        counts, access_row(revocations=50, last_let_in_s=0.25, streams_ended_s=0.5),
        access_row(revocations=50, last_let_in_s=0.125, streams_ended_s=0.75),
    )  # fmt: skip
    assert (
        "| access-revocations | valkey | 2 | 0 | 0 | 100 | 0.25 | 0.75 | – | – | 0 | 0 |" in found
    )
    assert "| revocations at random moments | 100 | 200 | 0 |" in found


def test_the_memory_of_a_day_has_its_interval_and_its_verdict(counts: Counts) -> None:
    growing = {**day_row()["memory"][0], "grows": True, "name": "process 2, RSS"}
    found = page(counts, day_row(), day_row(seed=2, memory=[growing]))
    assert "The days pass 240 times as fast as a real one." in found
    assert "| process 1, RSS | 1 | 70,000 | 70,100 | +6.0 | -2.0 to +14.0 | flat |" in found
    assert "| process 2, RSS | 2 | 70,000 | 70,100 | +6.0 | -2.0 to +14.0 | grows |" in found
    assert (
        "| server, kept by design | 2 | 70,000 | 70,100 | +6.0 | -2.0 to +14.0 | by design" in found
    )
    assert "7,000 operations, 72 sign-ins, 72 sign-outs" in found


def test_a_void_day_shows_no_memory(counts: Counts) -> None:
    found = page(counts, day_row(void="a process has ended"))
    assert "## A day's work" not in found
    assert "`a process has ended`" in found


def test_planted_bugs_stand_with_the_test_that_caught_them(counts: Counts) -> None:
    bugs = [
        {"area": "pool", "name": "a", "what": "A slot | is lost.", "caught_by": "tests/x.py::y"},
        {"area": "hub", "name": "b", "what": "Nothing is told.", "caught_by": ""},
    ]
    found = page(counts, row(), planted={"bugs": bugs})
    assert "Caught: 1 of 2." in found
    assert "| pool | A slot \\| is lost. | `tests/x.py::y` |" in found
    assert found.index("| hub | Nothing is told. | **nothing** |") < found.index("| pool |")
    assert "Planted bugs" not in page(counts)


def test_earlier_versions_keep_their_sums(counts: Counts) -> None:
    counts.add(row())
    counts.save()
    found = page(Counts(counts.path, "another"), single_row("reload"))
    assert "| 0123456789ab |" in found
    assert "| 1 | 1,000 | 1 | 0 |" in found

"""The page of the fault run: what it counts, and that it hides nothing."""

from __future__ import annotations

from typing import Any

from proof.failover.checks import CHECKS
from proof.history.checks import CHECKS as HISTORY_CHECKS
from proof.report import markdown
from proof.single.run import FAULTS

ABOUT = {
    "at": "2026-11-28T18:00:00+00:00", "cores": 2, "kernel": "6.1", "python": "3.11",
    "valkey": "Valkey 9.1.2", "redis": "Redis 7.0.15",
}  # fmt: skip


def row(**changes: Any) -> dict[str, Any]:
    figures = {
        "operations": 1000, "sent_again": 3, "acknowledged_and_lost": 2, "seen_and_lost": 1,
        "resets": 4, "promoted_after_s": 0.5, "live_again_s": 0.2, "other_gap_s": None,
        "most_connections": 20,
    }  # fmt: skip
    return {
        "topology": "cluster", "server": "valkey", "is_strict": False, "fault": "kill", "seed": 1,
        "void": "", "violations": {}, "figures": figures, "took_s": 5.0, **changes,
    }  # fmt: skip


def single_row(*faults: str, **changes: Any) -> dict[str, Any]:
    figures = {
        "operations": 5000, "changes": 3000, "per_s": 412.3, "stopped_s": 0.0, "sent_again": 7,
        "answers_lost": 4, "replayed": 2, "acknowledged_and_lost": 0, "deliveries": 6000,
        "forced_reconnects": 60, "resets": 1, "rolling_restarts": 0, "most_connections": 28,
    }  # fmt: skip
    return {
        "topology": "single", "server": "valkey", "nodes": 1, "faults": list(faults), "seed": 1,
        "void": "", "violations": {}, "figures": figures, "notes": [], "took_s": 9.0, **changes,
    }  # fmt: skip


def page(*rows: dict[str, Any]) -> str:
    return markdown({"about": ABOUT, "rounds": rows})


def test_rounds_of_a_fault_are_one_line() -> None:
    found = page(row(), row(seed=2), row(server="redis"))
    assert (
        "| kill | valkey | 2 | 2,000 | 6 | 4 | 2 | 8 | 0.50, 0.50 | 0.20, 0.20 | – | 20 | 0 |"
        in found
    )
    assert "| kill | redis | 1 | 1,000 |" in found
    assert "3 rounds; 3 without a violation, 0 with one, 0 void." in found
    assert "What did not hold" not in found


def test_violations_and_void_rounds_are_named() -> None:
    found = page(
        row(violations={"losses": ["a", "b"]}), row(void="too few", figures={}), row(is_strict=True)
    )
    assert "3 rounds; 1 without a violation, 1 with one, 1 void." in found
    assert "cluster of valkey, kill, seed 1: losses, 2 times" in found
    assert "cluster of valkey, kill, seed 1: void, too few" in found
    assert "### Cluster, strict mode" in found


def test_each_check_is_named() -> None:
    found = page(row())
    for check in CHECKS.values():
        assert check.__doc__
        assert check.__doc__.strip() in found


def test_one_server_has_a_table_of_its_own() -> None:
    found = page(
        single_row("aof-cut"), single_row("aof-cut", nodes=2),
        single_row("reload", "pause"), single_row("pause", "reload", violations={"models": ["a"]}),
        row(),
    )  # fmt: skip
    assert (
        "| aof-cut | valkey | 2 | 10,000 | 412 | 8 | 14 | 0 | 12,000 | 120 | 2 | 28 | 0 |" in found
    )
    assert "| several at once | valkey | 2 |" in found
    assert "one server, valkey, pause+reload, seed 1: models, 1 times" in found
    assert "| kill | valkey | 1 |" in found


def test_each_fault_and_each_check_of_one_server_is_named() -> None:
    found = page(single_row("reload"))
    for name, fault in FAULTS.items():
        assert fault.act.__doc__
        assert f"- **{name}**: {fault.act.__doc__.strip()}" in found
    for check in HISTORY_CHECKS.values():
        assert check.__doc__
        assert check.__doc__.strip() in found

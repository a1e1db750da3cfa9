"""The tables of counts: a line for each kind of fault on each server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from proof.campaign.kinds import KINDS

Entry = dict[str, Any]
Entries = Sequence[Entry]
Column = tuple[str, Callable[[Entries, str], str], str]  # head, cell, name of the count


def table(entries: Entries, columns: Sequence[Column]) -> Iterator[str]:
    yield f"| fault | server | {' | '.join(head for head, _, _ in columns)} |"
    yield "|---|---|" + "--:|" * len(columns)
    kinds = sorted({(_place(each["kind"]), each["kind"], each["server"]) for each in entries})
    for _, kind, server in kinds:
        own = [each for each in entries if (each["kind"], each["server"]) == (kind, server)]
        cells = [cell(own, name) for _, cell, name in columns]
        yield f"| {kind.rpartition(':')[2]} | {server} | {' | '.join(cells)} |"


def _place(kind: str) -> int:
    """That of the kind in the list of all; of an unknown one, the last."""
    names = list(KINDS)
    return names.index(kind) if kind in names else len(names)


def total(entries: Entries, name: str) -> str:
    return f"{sum(each[name] for each in entries):,}"


def _sum(entries: Entries, name: str) -> str:
    return f"{sum(each['sums'].get(name, 0) for each in entries):,}"


def _most(entries: Entries, name: str) -> str:
    return str(max((each["most"][name] for each in entries if name in each["most"]), default="–"))


def _seconds(entries: Entries, name: str) -> str:
    found = [each["most"][name] for each in entries if name in each["most"]]
    return f"{max(found):.2f}" if found else "–"


def _all(entries: Entries, name: str) -> list[float]:
    return [value for each in entries for value in each["values"].get(name, [])]


def _times(entries: Entries, name: str) -> str:
    values = _all(entries, name)
    return f"{median(values):.2f}, {max(values):.2f}" if values else "–"


def _median(entries: Entries, name: str) -> str:
    values = _all(entries, name)
    return f"{median(values):,.0f}" if values else "–"


def _columns(*own: Column) -> list[Column]:
    """``own``, between the columns that every table has."""
    return [
        ("rounds", total, "rounds"), *own,
        ("violations", total, "violation_count"), ("void", total, "void"),
    ]  # fmt: skip


OF_FAILOVERS = _columns(
    ("operations", _sum, "operations"),
    ("sent again", _sum, "sent_again"),
    ("acknowledged and lost", _sum, "acknowledged_and_lost"),
    ("seen and lost", _sum, "seen_and_lost"),
    ("resets", _sum, "resets"),
    ("promotion, s", _times, "promoted_after_s"),
    ("live again, s", _times, "live_again_s"),
    ("others' gap, s", _times, "other_gap_s"),
    ("connections", _most, "most_connections"),
)

OF_ACCESS = _columns(
    ("requests let in", _sum, "let_in"),
    ("refused", _sum, "refused"),
    ("revocations", _sum, "revocations"),
    ("let in at the latest, s", _seconds, "last_let_in_s"),
    ("streams ended at the latest, s", _seconds, "streams_ended_s"),
    ("tries in a day", _most, "tries_of_a_day"),
    ("with rests", _most, "with_rests"),
)

OF_ONE_SERVER = _columns(
    ("operations", _sum, "operations"),
    ("a second", _median, "per_s"),
    ("sent again", _sum, "sent_again"),
    ("lost and retried", _sum, "replayed"),
    ("acknowledged and lost", _sum, "acknowledged_and_lost"),
    ("deliveries", _sum, "deliveries"),
    ("forced reconnects", _sum, "forced_reconnects"),
    ("resets", _sum, "resets"),
    ("connections", _most, "most_connections"),
)

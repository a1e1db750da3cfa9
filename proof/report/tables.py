"""The tables of counts: a line for each kind of fault on each server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from proof.campaign.kinds import KINDS

Entry = dict[str, Any]
Entries = Sequence[Entry]
Column = tuple[str, Callable[[Entries], str]]

OF_FAILOVERS: list[Column] = [
    ("rounds", lambda entries: total(entries, "rounds")),
    ("operations", lambda entries: _sum(entries, "operations")),
    ("sent again", lambda entries: _sum(entries, "sent_again")),
    ("acknowledged and lost", lambda entries: _sum(entries, "acknowledged_and_lost")),
    ("seen and lost", lambda entries: _sum(entries, "seen_and_lost")),
    ("resets", lambda entries: _sum(entries, "resets")),
    ("promotion, s", lambda entries: _times(entries, "promoted_after_s")),
    ("live again, s", lambda entries: _times(entries, "live_again_s")),
    ("others' gap, s", lambda entries: _times(entries, "other_gap_s")),
    ("connections", lambda entries: _most(entries, "most_connections")),
    ("violations", lambda entries: total(entries, "violation_count")),
    ("void", lambda entries: total(entries, "void")),
]

OF_ACCESS: list[Column] = [
    ("rounds", lambda entries: total(entries, "rounds")),
    ("requests let in", lambda entries: _sum(entries, "let_in")),
    ("refused", lambda entries: _sum(entries, "refused")),
    ("revocations", lambda entries: _sum(entries, "revocations")),
    ("let in at the latest, s", lambda entries: _seconds(entries, "last_let_in_s")),
    ("streams ended at the latest, s", lambda entries: _seconds(entries, "streams_ended_s")),
    ("tries in a day", lambda entries: _most(entries, "tries_of_a_day")),
    ("with rests", lambda entries: _most(entries, "with_rests")),
    ("violations", lambda entries: total(entries, "violation_count")),
    ("void", lambda entries: total(entries, "void")),
]

OF_ONE_SERVER: list[Column] = [
    ("rounds", lambda entries: total(entries, "rounds")),
    ("operations", lambda entries: _sum(entries, "operations")),
    ("a second", lambda entries: _median(entries, "per_s")),
    ("sent again", lambda entries: _sum(entries, "sent_again")),
    ("lost and retried", lambda entries: _sum(entries, "replayed")),
    ("acknowledged and lost", lambda entries: _sum(entries, "acknowledged_and_lost")),
    ("deliveries", lambda entries: _sum(entries, "deliveries")),
    ("forced reconnects", lambda entries: _sum(entries, "forced_reconnects")),
    ("resets", lambda entries: _sum(entries, "resets")),
    ("connections", lambda entries: _most(entries, "most_connections")),
    ("violations", lambda entries: total(entries, "violation_count")),
    ("void", lambda entries: total(entries, "void")),
]


def table(entries: Entries, columns: Sequence[Column]) -> Iterator[str]:
    yield f"| fault | server | {' | '.join(head for head, _ in columns)} |"
    yield "|---|---|" + "--:|" * len(columns)
    kinds = sorted({(_place(each["kind"]), each["kind"], each["server"]) for each in entries})
    for _, kind, server in kinds:
        own = [each for each in entries if (each["kind"], each["server"]) == (kind, server)]
        cells = [cell(own) for _, cell in columns]
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

"""What a work is: how one round of it is measured, what of it is shown, and what it should reach.

A round gives rows: figures by whoever was measured. Ratios are taken within a round, where the
machine was the same for both, and then the median of the rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.stage import Stage

Row = Mapping[str, Any]
Rows = Mapping[str, Row]  # of one round, by who; the product's variants begin with its name
Value = Callable[[Rows], float | None]  # None where a round has no such figures

PRODUCT = "product"


@dataclass(frozen=True)
class Column:
    """A figure that the table shows."""

    head: str
    key: str
    shape: str = "{:.1f}"


@dataclass(frozen=True)
class Target:
    """At most ``limit``; or at least, with ``is_least``."""

    what: str
    value: Value
    limit: float
    unit: str = "×"
    is_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a target came to: its median over the rounds, None where nothing could be compared."""

    work: str
    target: Target
    value: float | None

    @property
    def is_met(self) -> bool | None:
        if self.value is None:
            return None
        if self.target.is_least:
            return self.value >= self.target.limit
        return self.value <= self.target.limit


@dataclass(frozen=True)
class Work:
    """``pictured`` are the keys of the figures that its picture compares.

    ``may_reset``: a stream that cannot keep up may be told so, and has then lost nothing.
    """

    name: str
    title: str
    measure: Callable[[Stage], Rows]
    columns: Sequence[Column]
    targets: Sequence[Target]
    pictured: Sequence[str] = ()
    may_reset: bool = False

    def verdicts(self, rounds: Sequence[Rows]) -> list[Verdict]:
        return [
            Verdict(self.name, target, middle(target.value(rows) for rows in rounds))
            for target in self.targets
        ]

    def losses(self, rounds: Sequence[Rows]) -> Iterator[str]:
        """What the product must never do, whatever the machine: fail, lose, exceed its budget."""
        for number, rows in enumerate(rounds, 1):
            for name, row in rows.items():
                if name.startswith(PRODUCT):
                    for what in _losses(row, may_reset=self.may_reset):
                        yield f"{self.name}, round {number}, {name}: {what}"


def median_of(rounds: Sequence[Rows], who: str, key: str) -> float | None:
    """The median of a figure over the rounds."""
    return middle(figure(rows, who, key) for rows in rounds)


def figure(rows: Rows, who: str, key: str) -> float | None:
    found = rows.get(who, {}).get(key)
    return None if found is None else float(found)


@dataclass(frozen=True)
class Figure:
    """The value of a target: a figure as it is."""

    key: str
    of: str = PRODUCT

    def __call__(self, rows: Rows) -> float | None:
        return figure(rows, self.of, self.key)


@dataclass(frozen=True)
class Ratio:
    """The value of a target: a figure over that of another, which must be more than nothing.

    A negative one (an event before its operation's answer) counts as 0. Of several others it is the
    least that counts, among those that keep up.
    """

    key: str
    to: str | tuple[str, ...]
    of: str = PRODUCT

    def __call__(self, rows: Rows) -> float | None:
        part = figure(rows, self.of, self.key)
        return over(None if part is None else max(0.0, part), self.whole(rows))

    def whole(self, rows: Rows) -> float | None:
        """What it is compared with."""
        if isinstance(self.to, str):
            return figure(rows, self.to, self.key)
        able = [name for name in self.to if rows.get(name, {}).get("keeps_up")]
        values = [each for name in able if (each := figure(rows, name, self.key)) is not None]
        return min(values, default=None)


def over(part: float | None, whole: float | None) -> float | None:
    """``part / whole`` where both are known and the latter is more than nothing."""
    return part / whole if part is not None and whole is not None and whole > 0 else None


def middle(values: Iterator[float | None]) -> float | None:
    """The median of those that are known."""
    known = [each for each in values if each is not None]
    return median(known) if known else None


def _losses(row: Row, *, may_reset: bool) -> Iterator[str]:
    if "failed" in row:
        yield str(row["failed"]).partition("\n")[0]
    if row.get("failures"):
        yield f"{row['failures']} operations failed ({row.get('failure', '')})"
    is_torn = row.get("delivered", 0) != row.get("expected", 0) or row.get("out_of_order")
    if is_torn and not (may_reset and row.get("troubles")):
        yield f"{row.get('delivered')} of {row.get('expected')} delivered, {row.get('trouble')}"
    if row.get("store_connections", 0) > row.get("store_budget", 0):
        yield f"{row['store_connections']} connections of {row['store_budget']}"

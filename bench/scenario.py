"""A scenario: how one round of it is measured, which figures are shown, and which targets it has.

Ratios are taken within a round, where the machine was the same for both sides; the median of the
rounds counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.figures import PRODUCT, Row, Rows, figure, known_median, quotient
from bench.machine import WorkUnit
from bench.runner import Runner

Value = Callable[[Rows], float | None]  # None where a round has no such figures


@dataclass(frozen=True)
class Column:
    """A figure that the table shows."""

    head: str
    key: str
    shape: str = "{:.1f}"


@dataclass(frozen=True)
class Work:
    """A bound on a delay as an amount of work: ``count`` of these units."""

    count: float
    unit: WorkUnit

    def __str__(self) -> str:
        return f"{self.count:g} {self.unit.text}"


@dataclass(frozen=True)
class Target:
    """At most ``limit``; or at least, with ``is_least``.

    A limit in milliseconds stands on a fast machine. Where ``work`` takes longer than that, the
    machine is slow, and what the work costs there is the limit.
    """

    what: str
    value: Value
    limit: float
    unit: str = "×"
    is_least: bool = False
    work: Work | None = None

    def limit_on(self, machine: Mapping[str, float]) -> float:
        """The limit on a machine whose units cost that much."""
        if self.work is None:
            return self.limit
        cost_ms = self.work.unit.cost_ms(machine) or 0.0
        return max(self.limit, self.work.count * cost_ms)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a target: the median over the rounds, None where nothing could be compared."""

    scenario: str
    target: Target
    value: float | None
    limit: float

    @property
    def is_met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value >= self.limit if self.target.is_least else self.value <= self.limit


@dataclass(frozen=True)
class Scenario:
    """``plotted`` are the keys of the figures that its picture compares.

    ``may_reset``: a stream that cannot keep up may get a ``reset``, and has then lost nothing.
    ``rounds`` is how many a run makes unless it is told otherwise.
    """

    name: str
    title: str
    measure: Callable[[Runner], Rows]
    columns: Sequence[Column]
    targets: Sequence[Target]
    plotted: Sequence[str] = ()
    may_reset: bool = False
    rounds: int = 3

    def verdicts(self, rounds: Sequence[Rows], machine: Mapping[str, float]) -> list[Verdict]:
        return [
            Verdict(
                self.name, target, known_median(target.value(rows) for rows in rounds),
                target.limit_on(machine),
            )
            for target in self.targets
        ]  # fmt: skip

    def losses(self, rounds: Sequence[Rows]) -> Iterator[str]:
        """The losses allowed on no machine: failures, lost events, an exceeded budget."""
        for number, rows in enumerate(rounds, 1):
            for name, row in rows.items():
                if name.startswith(PRODUCT):
                    for what in _losses(row, may_reset=self.may_reset):
                        yield f"{self.name}, round {number}, {name}: {what}"


@dataclass(frozen=True)
class Figure:
    """The value of a target: a figure as it is."""

    key: str
    of: str = PRODUCT

    def __call__(self, rows: Rows) -> float | None:
        return figure(rows, self.of, self.key)


@dataclass(frozen=True)
class Ratio:
    """The value of a target: a figure divided by that of another system, which must be positive.

    A negative one (an event before its operation's answer) counts as 0.
    """

    key: str
    to: str
    of: str = PRODUCT

    def __call__(self, rows: Rows) -> float | None:
        part = figure(rows, self.of, self.key)
        return quotient(None if part is None else max(0.0, part), self.whole(rows))

    def whole(self, rows: Rows) -> float | None:
        """The figure that it is compared with."""
        return figure(rows, self.to, self.key)


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

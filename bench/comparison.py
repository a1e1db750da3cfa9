"""Two versions of the product in one run: this tree's figures divided by those of another checkout.

Both serve the same stored data to the same generators, in turn: each round measures one and then
the other, and the next round begins with the other. A ratio is taken within a round; the median of
the rounds counts, and the least and the largest show the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.cpu_quota import CpuQuota
from bench.figures import PRODUCT, Rows, figure, median_of, names_of, quotient
from bench.generator import Generator
from bench.runner import Runner
from bench.scenario import Scenario
from bench.server import ROOT
from bench.systems import product_of

THIS, OTHER = "this", "other"
_NOTABLE = 0.03  # less than that is not told from noise


@dataclass(frozen=True)
class Change:
    """One figure of both versions; ``ratios`` are this tree's to the other's, one per round."""

    name: str
    head: str
    shape: str
    this: float
    other: float
    ratios: Sequence[float]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def is_notable(self) -> bool:
        """Whether each round finds more than 3 % of difference in the same direction."""
        least, most = min(self.ratios), max(self.ratios)
        return least > 1 + _NOTABLE or most < 1 - _NOTABLE


class Comparison:
    """Measures scenarios with both versions."""

    def __init__(
        self, other: Path, generator: Generator, directory: Path, quota: CpuQuota, *,
        is_short: bool,
    ) -> None:  # fmt: skip
        self._runners = {
            version: Runner(generator, directory, product_of(root, quota), is_short=is_short)
            for version, root in ((THIS, ROOT), (OTHER, other))
        }

    def measure(self, scenario: Scenario, round_number: int) -> dict[str, Rows]:
        """The rows of a round by version; every other round begins with the other version."""
        found = {}
        for version in list(self._runners)[:: -1 if round_number % 2 else 1]:
            runner = self._runners[version]
            runner.round = round_number
            runner.label = f"round {round_number + 1}, {scenario.name}, {version} version"
            found[version] = scenario.measure(runner)
        return found


def changes(scenario: Scenario, rounds: Sequence[dict[str, Rows]]) -> Iterator[Change]:
    """Every figure of the scenario's table that both versions have."""
    this, other = ([each[version] for each in rounds] for version in (THIS, OTHER))
    for name in names_of([*this, *other]):
        if not name.startswith(PRODUCT):
            continue
        for column in scenario.columns:
            found = [
                quotient(figure(new, name, column.key), figure(old, name, column.key))
                for new, old in zip(this, other, strict=True)
            ]
            ratios = [ratio for ratio in found if ratio is not None]
            ours, theirs = median_of(this, name, column.key), median_of(other, name, column.key)
            if ratios and ours is not None and theirs is not None:
                yield Change(name, column.head, column.shape, ours, theirs, ratios)


def table(
    scenario: Scenario, rounds: Sequence[dict[str, Rows]], named: Callable[[str], str]
) -> list[list[str]]:
    """The changes as lines of text; a star marks those that every round confirms."""
    lines = [["", "figure", "this", "other", "ratio", "least", "most", ""]]
    for each in changes(scenario, rounds):
        numbers = [f"{ratio:.3f}" for ratio in (each.ratio, min(each.ratios), max(each.ratios))]
        values = [each.shape.format(value) for value in (each.this, each.other)]
        star = "*" if each.is_notable else ""
        lines.append([named(each.name), each.head, *values, *numbers, star])
    return lines

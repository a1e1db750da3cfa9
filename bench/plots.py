"""``python -m bench.plots RESULT.json DIRECTORY``: the pictures of docs/performance.md.

There is one per scenario. Bars are medians over the rounds, and a thin line goes from the least to
the most of them. A target is a mark across its bar.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib import ticker

from bench import machine
from bench.figures import PRODUCT, Rows, figure, known_median, median_of
from bench.report import measured, named, shown
from bench.scenario import Figure, Ratio, Scenario
from bench.scenarios.growth import GROWTH, SIZES, STREAMS

_OURS, _THEIRS = "#1565c0", "#b0bec5"
_MARKS = ("#c62828", "#ef6c00", "#6a1b9a")
_LABELS, _WIDTH, _BAR, _FRAME = 1.6, 2.9, 0.34, 1.1  # inches: names, a panel, a line, its frame
_IN_A_ROW = 3
_STYLE: Any = {  # rcParams
    "font.family": "sans-serif", "font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "bench",
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "axes.titlelocation": "left", "axes.titlesize": 9, "legend.fontsize": 8,
    "legend.frameon": False, "figure.facecolor": "white",
}  # fmt: skip


def draw(result: dict[str, Any], directory: Path) -> None:
    """Write performance-SCENARIO.svg for each scenario of the result."""
    directory.mkdir(parents=True, exist_ok=True)
    units = machine.medians(result["machine"])
    with plt.rc_context(_STYLE):
        for scenario, rounds in measured(result):
            picture = _growth(rounds) if scenario is GROWTH else _bars(scenario, rounds, units)
            path = directory / f"performance-{scenario.name}.svg"
            picture.savefig(path, metadata={"Date": None, "Creator": None})
            plt.close(picture)


def _bars(scenario: Scenario, rounds: Sequence[Rows], units: Mapping[str, float]) -> Any:
    names = [
        name
        for name in dict.fromkeys(name for rows in rounds for name in rows)
        if any(median_of(rounds, name, key) is not None for key in scenario.plotted)
    ]
    columns = len(scenario.plotted) if len(scenario.plotted) <= _IN_A_ROW else 2
    lines = -(-len(scenario.plotted) // columns)
    picture, grid = plt.subplots(
        lines, columns, squeeze=False, sharey=True, layout="constrained",
        figsize=(_LABELS + _WIDTH * columns, lines * (_BAR * len(names) + _FRAME)),
    )  # fmt: skip
    for axes, key in zip(grid.flat, scenario.plotted, strict=False):
        _panel(axes, scenario, rounds, names, key)
        _mark(axes, scenario, rounds, names, key, units=units)
    for axes in grid.flat[len(scenario.plotted) :]:
        axes.set_visible(False)
    grid.flat[0].set_yticks(range(len(names)), [named(name) for name in names])
    grid.flat[0].invert_yaxis()
    return picture


def _panel(
    axes: Any, scenario: Scenario, rounds: Sequence[Rows], names: Sequence[str], key: str
) -> None:
    column = next(each for each in scenario.columns if each.key == key)
    for place, name in enumerate(names):
        values = [each for rows in rounds if (each := figure(rows, name, key)) is not None]
        center = median_of(rounds, name, key)
        if center is None:
            continue
        axes.barh(place, center, color=_OURS if name.startswith(PRODUCT) else _THEIRS, height=0.7)
        axes.plot([min(values), max(values)], [place, place], color="black", linewidth=0.8)
        axes.annotate(
            column.shape.format(center), (max(values), place), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.set_title(column.head)
    axes.margins(x=0.18)
    axes.tick_params(axis="y", length=0)


def _mark(
    axes: Any, scenario: Scenario, rounds: Sequence[Rows], names: Sequence[str], key: str, *,
    units: Mapping[str, float],
) -> None:  # fmt: skip
    """Mark the limits of the bars."""
    marks: dict[str, str] = {}  # colours by text
    for target in scenario.targets:
        value = target.value
        if not isinstance(value, Figure | Ratio) or value.key != key or value.of not in names:
            continue
        limit = target.limit_on(units)
        text = f"{'≥' if target.is_least else '≤'} {limit:g}"
        if isinstance(value, Ratio):
            whole = known_median(value.whole(rows) for rows in rounds)
            if whole is None:
                continue
            limit *= whole
            text += f" × {_short(value.to)}"
        else:
            text = f"{text[0]} {shown(target, limit)}"
        color = marks.setdefault(text, _MARKS[len(marks) % len(_MARKS)])
        place = names.index(value.of)
        axes.plot([limit, limit], [place - 0.45, place + 0.45], color=color, linewidth=1.8)
    for text, color in marks.items():
        axes.plot([], [], color=color, label=text)
    if marks:
        axes.legend(
            loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=2.4, borderpad=0, ncols=2,
            handlelength=0.9, columnspacing=1,
        )  # fmt: skip


def _short(to: str) -> str:
    system, _, variant = to.partition(", ")
    return variant if system == PRODUCT and variant else named(system)


def _growth(rounds: Sequence[Rows]) -> Any:
    picture, (left, right) = plt.subplots(1, 2, layout="constrained", figsize=(9, 3.2))
    for key, head in (
        ("cpu_us_per_operation", "server and store"), ("server_us_per_operation", "server"),
        ("store_us_per_operation", "store"),
    ):  # fmt: skip
        points = _points(rounds, SIZES, "items", key)
        left.plot(points[:, 0], points[:, 1], marker="o", label=head)
    left.set(xscale="log", xlabel="items", ylim=(0, None), title="CPU µs/take")
    points = _points(rounds, STREAMS, "streams", "cpu_us_per_event")
    right.plot(points[:, 0], points[:, 1], marker="o", linestyle="", label="server and store")
    if len(points) > 1:  # by least squares of the relative errors
        each, fixed = np.polyfit(points[:, 0], points[:, 1], 1, w=1 / points[:, 1])
        across = np.geomspace(points[0, 0], points[-1, 0])
        right.plot(
            across, fixed + each * across, color=_THEIRS, zorder=0,
            label=f"{fixed:,.0f} µs + {each:.2f} µs a stream",
        )  # fmt: skip
    right.set(xscale="log", yscale="log", xlabel="streams", title="CPU µs/event")
    for axes in (left, right):
        axes.grid(color="#eceff1")
        axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
        axes.legend()
    right.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    right.yaxis.set_minor_formatter(ticker.NullFormatter())
    return picture


def _points(rounds: Sequence[Rows], names: Sequence[str], size: str, key: str) -> Any:
    """Medians of a figure over those of the size, as an array of two columns."""
    found = [(median_of(rounds, name, size), median_of(rounds, name, key)) for name in names]
    return np.array([each for each in found if None not in each]).reshape(-1, 2)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))

"""``python -m bench.plots RESULT.json DIRECTORY``: a picture of each work, for docs/performance.md.

Bars are medians over the rounds, and a thin line goes from the least to the most of them. Where
there is a target, a mark stands across the bar that it is about.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib import ticker

from bench.report import measured, named, shown
from bench.work import PRODUCT, Figure, Ratio, Rows, Work, figure, median_of, middle
from bench.works.growth import GROWTH, SIZES, STREAMS

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
    """Write performance-WORK.svg for each work of the result."""
    directory.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(_STYLE):
        for work, rounds in measured(result):
            picture = _growth(rounds) if work is GROWTH else _bars(work, rounds)
            path = directory / f"performance-{work.name}.svg"
            picture.savefig(path, metadata={"Date": None, "Creator": None})
            plt.close(picture)


def _bars(work: Work, rounds: Sequence[Rows]) -> Any:
    names = [
        name
        for name in dict.fromkeys(name for rows in rounds for name in rows)
        if any(median_of(rounds, name, key) is not None for key in work.pictured)
    ]
    columns = len(work.pictured) if len(work.pictured) <= _IN_A_ROW else 2
    lines = -(-len(work.pictured) // columns)
    picture, grid = plt.subplots(
        lines, columns, squeeze=False, sharey=True, layout="constrained",
        figsize=(_LABELS + _WIDTH * columns, lines * (_BAR * len(names) + _FRAME)),
    )  # fmt: skip
    for axes, key in zip(grid.flat, work.pictured, strict=False):
        _panel(axes, work, rounds, names, key)
    for axes in grid.flat[len(work.pictured) :]:
        axes.set_visible(False)
    grid.flat[0].set_yticks(range(len(names)), [named(name) for name in names])
    grid.flat[0].invert_yaxis()
    return picture


def _panel(axes: Any, work: Work, rounds: Sequence[Rows], names: Sequence[str], key: str) -> None:
    column = next(each for each in work.columns if each.key == key)
    for place, name in enumerate(names):
        values = [each for rows in rounds if (each := figure(rows, name, key)) is not None]
        middle = median_of(rounds, name, key)
        if middle is None:
            continue
        axes.barh(place, middle, color=_OURS if name.startswith(PRODUCT) else _THEIRS, height=0.7)
        axes.plot([min(values), max(values)], [place, place], color="black", linewidth=0.8)
        axes.annotate(
            column.shape.format(middle), (max(values), place), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    _mark(axes, work, rounds, names, key)
    axes.set_title(column.head)
    axes.margins(x=0.18)
    axes.tick_params(axis="y", length=0)


def _mark(axes: Any, work: Work, rounds: Sequence[Rows], names: Sequence[str], key: str) -> None:
    """The lines that a bar should not reach beyond, or should reach."""
    marks: dict[str, str] = {}  # colours by what they stand for
    for target in work.targets:
        value = target.value
        if not isinstance(value, Figure | Ratio) or value.key != key or value.of not in names:
            continue
        limit, text = target.limit, f"{'≥' if target.is_least else '≤'} {target.limit:g}"
        if isinstance(value, Ratio):
            whole = middle(value.whole(rows) for rows in rounds)
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


def _short(to: str | tuple[str, ...]) -> str:
    if not isinstance(to, str):
        return "the best server"
    who, _, variant = to.partition(", ")
    return variant if who == PRODUCT and variant else named(who)


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

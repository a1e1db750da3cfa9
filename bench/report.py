"""The report of a run, from its raw results: as text, or as Markdown for docs/performance.md.

``python -m bench.report RESULT.json`` prints the Markdown; ``--into FILE`` puts it between the two
comments of that file that mark its place.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import comparison, machine
from bench.figures import Rows, median_of, names_of
from bench.scenario import Scenario, Target, Verdict
from bench.scenarios import SCENARIOS
from bench.systems import NAMES

Table = list[list[str]]
_BEGIN, _END = "<!-- begin: python -m bench.report -->\n", "<!-- end -->\n"


def text(result: dict[str, Any]) -> str:
    """The tables of all scenarios, and at the end all targets; or both versions' figures."""
    parts = [_about(result)]
    for scenario, rounds in measured(result):
        head = f"{scenario.name}: {scenario.title}"
        parts.append("\n".join([head, *_aligned(_table(result, scenario, rounds))]))
    if not is_comparison(result):
        parts.append("\n".join(["Targets:", *_aligned(targets(result))]))
    return "\n\n".join(parts)


def markdown(result: dict[str, Any]) -> str:
    """The same report as Markdown, each scenario with its picture."""
    parts = [_about(result)]
    if not is_comparison(result):
        parts.append("\n".join(_markdown_table(targets(result))))
    for scenario, rounds in measured(result):
        parts.append(f"## {scenario.name}")
        parts.append(f"{scenario.title[0].upper()}{scenario.title[1:]}.")
        parts.append("\n".join(_markdown_table(_table(result, scenario, rounds))))
        if not is_comparison(result):
            parts.append(f"![{scenario.name}](images/performance-{scenario.name}.svg)")
    return "\n\n".join(parts) + "\n"


def put_into(page: str, content: str) -> str:
    """``page`` with that content between its comments."""
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"the page lacks {_BEGIN.strip()} and {_END.strip()}")
    return f"{before}{_BEGIN}\n{content}\n{end}{after}"


def is_comparison(result: dict[str, Any]) -> bool:
    """Whether two versions were measured; if so, each round has rows by version."""
    return "against" in result["about"]


def measured(result: dict[str, Any]) -> Iterator[tuple[Scenario, list[Any]]]:
    """The scenarios of a result, with their rounds."""
    for scenario in SCENARIOS:
        if rounds := result["scenarios"].get(scenario.name):
            yield scenario, rounds


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """The outcome of each target; none where two versions were compared."""
    if is_comparison(result):
        return []
    units = machine.medians(result["machine"])
    return [
        each for scenario, rounds in measured(result) for each in scenario.verdicts(rounds, units)
    ]


def losses(result: dict[str, Any]) -> list[str]:
    """The failures of either version that make the figures worthless."""
    if not is_comparison(result):
        return [each for scenario, rounds in measured(result) for each in scenario.losses(rounds)]
    return [
        f"{version} version, {each}"
        for scenario, rounds in measured(result)
        for version in (comparison.THIS, comparison.OTHER)
        for each in scenario.losses([both[version] for both in rounds])
    ]


def figures(scenario: Scenario, rounds: Sequence[Rows]) -> Table:
    """Medians over the rounds: a line for each system."""
    table = [["", *(column.head for column in scenario.columns)]]
    for name in names_of(rounds):
        line = [named(name)]
        for column in scenario.columns:
            found = median_of(rounds, name, column.key)
            line.append("" if found is None else column.shape.format(found))
        if any("failed" in rows.get(name, {}) for rows in rounds):
            line[0] += " (failed)"
        table.append(line)
    return table


def targets(result: dict[str, Any]) -> Table:
    """A line for each target: its scenario, its subject, the value, the limit, the outcome."""
    table = [["scenario", "what", "value", "target", ""]]
    for each in verdicts(result):
        met = {True: "met", False: "missed", None: "not measured"}[each.is_met]
        limit = f"{'≥' if each.target.is_least else '≤'} {shown(each.target, each.limit)}"
        if each.limit != each.target.limit:
            limit += f" ({each.target.work})"
        table.append([each.scenario, each.target.what, shown(each.target, each.value), limit, met])
    return table


def shown(target: Target, value: float | None) -> str:
    """A value with its unit, to three digits."""
    return "–" if value is None else f"{value:.3g} {target.unit}".rstrip()


def named(name: str) -> str:
    """The title of a system on a page."""
    system, _, variant = name.partition(", ")
    return f"{NAMES.get(system, system)}, {variant}" if variant else NAMES.get(system, system)


def _table(result: dict[str, Any], scenario: Scenario, rounds: Sequence[Any]) -> Table:
    if is_comparison(result):
        return comparison.table(scenario, rounds, named)
    return figures(scenario, rounds)


def _about(result: dict[str, Any]) -> str:
    about = result["about"]
    if result["is_short"]:
        return "A short run: it proves that everything works. Its sizes and figures mean nothing."
    lines = [
        f"{about['at'][:10]}, {about['cores']} cores, Linux {about['kernel']}, Python "
        f"{about['python']}; medians of {_rounds(result)}."
    ]
    if about.get("slowdown", 1) > 1:
        lines.append(
            f"A CPU quota gives each server 1/{about['slowdown']:g} of a core, and the two units "
            "below are measured under the same quota."
        )
    if is_comparison(result):
        lines.append(
            f"The version in this tree beside that in {about['against']}: ratios of this to other, "
            "the median of the rounds, the least and the most. A star marks figures that differ by "
            "more than 3 % in the same direction in every round."
        )
    return " ".join([*lines, machine.text(machine.medians(result["machine"]))])


def _rounds(result: dict[str, Any]) -> str:
    """For example ``3 rounds (5 of half-load)``."""
    counts = {scenario.name: len(rounds) for scenario, rounds in measured(result)}
    if not counts:
        return "0 rounds"
    usual = min(counts.values())
    more = [f"{count} of {name}" for name, count in counts.items() if count != usual]
    return f"{usual} rounds" + (f" ({', '.join(more)})" if more else "")


def _aligned(table: Table) -> Iterator[str]:
    widths = [max(len(row[index]) for row in table) for index in range(len(table[0]))]
    for row in table:
        head, *rest = zip(row, widths, strict=True)
        cells = [head[0].ljust(head[1]), *(cell.rjust(width) for cell, width in rest)]
        yield "  " + "  ".join(cells).rstrip()


def _markdown_table(table: Table) -> Iterator[str]:
    head, *rows = table
    yield f"| {' | '.join(head)} |"
    yield "|---" + "|--:" * (len(head) - 1) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--into", type=Path, metavar="FILE")
    options = parser.parse_args()
    content = markdown(json.loads(options.result.read_text()))
    if options.into is None:
        print(content, end="")
    else:
        options.into.write_text(put_into(options.into.read_text(), content))


if __name__ == "__main__":
    main()

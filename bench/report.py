"""What a run says, from its raw results: as text, or as Markdown for docs/performance.md.

``python -m bench.report RESULT.json`` prints the Markdown; ``--into FILE`` puts it between the two
comments of that file which say where it belongs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.lineup import NAMES
from bench.work import Rows, Target, Verdict, Work, median_of
from bench.works import WORKS

Table = list[list[str]]
_BEGIN, _END = "<!-- begin: python -m bench.report -->\n", "<!-- end -->\n"


def text(result: dict[str, Any]) -> str:
    """The tables of all works, and at the end all targets."""
    parts = [_about(result)]
    for work, rounds in measured(result):
        head = f"{work.name}: {work.title}"
        parts.append("\n".join([head, *_aligned(figures(work, rounds))]))
    parts.append("\n".join(["All of it:", *_aligned(targets(result))]))
    return "\n\n".join(parts)


def markdown(result: dict[str, Any]) -> str:
    """The same, each work with its picture."""
    parts = [_about(result), "\n".join(_markdown_table(targets(result)))]
    for work, rounds in measured(result):
        parts.append(f"## {work.name}")
        parts.append(f"{work.title[0].upper()}{work.title[1:]}.")
        parts.append("\n".join(_markdown_table(figures(work, rounds))))
        parts.append(f"![{work.name}](images/performance-{work.name}.svg)")
    return "\n\n".join(parts) + "\n"


def put_into(page: str, content: str) -> str:
    """``page`` with that content between its comments."""
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"the page lacks {_BEGIN.strip()} and {_END.strip()}")
    return f"{before}{_BEGIN}\n{content}\n{end}{after}"


def measured(result: dict[str, Any]) -> Iterator[tuple[Work, list[Rows]]]:
    """The works of a result, with their rounds."""
    for work in WORKS:
        if rounds := result["works"].get(work.name):
            yield work, rounds


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """What each target came to."""
    return [each for work, rounds in measured(result) for each in work.verdicts(rounds)]


def figures(work: Work, rounds: Sequence[Rows]) -> Table:
    """Medians over the rounds: a line for each who was measured."""
    names = list(dict.fromkeys(name for rows in rounds for name in rows))
    table = [["", *(column.head for column in work.columns)]]
    for name in names:
        line = [named(name)]
        for column in work.columns:
            found = median_of(rounds, name, column.key)
            line.append("" if found is None else column.shape.format(found))
        if any("failed" in rows.get(name, {}) for rows in rounds):
            line[0] += " (failed)"
        table.append(line)
    return table


def targets(result: dict[str, Any]) -> Table:
    """A line for each target: its work, what it is about, its value, and whether that is met."""
    table = [["work", "what", "value", "target", ""]]
    for each in verdicts(result):
        met = {True: "met", False: "missed", None: "not measured"}[each.is_met]
        sign = "≥" if each.target.is_least else "≤"
        limit = f"{sign} {shown(each.target, each.target.limit)}"
        table.append([each.work, each.target.what, shown(each.target, each.value), limit, met])
    return table


def shown(target: Target, value: float | None) -> str:
    """A value with its unit, to three digits."""
    return "–" if value is None else f"{value:.3g} {target.unit}".rstrip()


def named(name: str) -> str:
    """How whoever was measured is called on a page."""
    who, _, variant = name.partition(", ")
    return f"{NAMES.get(who, who)}, {variant}" if variant else NAMES.get(who, who)


def _about(result: dict[str, Any]) -> str:
    about = result["about"]
    if result["is_short"]:
        return "A short run: it proves that all of it works. Its sizes and figures mean nothing."
    return (
        f"{about['at'][:10]}, {about['cores']} cores, Linux {about['kernel']}, Python "
        f"{about['python']}; medians of {result['rounds']} rounds."
    )


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

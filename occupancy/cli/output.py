"""Output: tables for people, JSON for programs, progress bars on a terminal."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import msgspec

_GAP = "  "
_MIN_WIDTH = 8  # of a column that is cut to the terminal


def print_json(value: Any) -> None:
    """Print ``value`` as JSON, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_result(as_json: bool, value: Any, text: str) -> None:
    """Print ``value`` as JSON, or the sentence ``text``."""
    if as_json:
        print_json(value)
    else:
        click.echo(text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print aligned columns, numbers to the right. On a terminal, long texts are cut to fit."""
    cells = [list(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(columns))]
    if sys.stdout.isatty():
        _fit(widths, shutil.get_terminal_size().columns)
    is_number = [
        bool(rows) and all(type(row[column]) in (int, float) for row in rows)
        for column in range(len(columns))
    ]
    for line in cells:
        padded = [
            _cut(cell, width).rjust(width) if right else _cut(cell, width).ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ]
        click.echo(_GAP.join(padded).rstrip())


def print_fields(fields: dict[str, Any]) -> None:
    """Print names and values, one per line."""
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        click.echo(f"{name.ljust(width)}{_GAP}{_text(value)}".rstrip())


def timestamp(text: str) -> str:
    """An RFC 3339 timestamp as people read it, to the second, in UTC."""
    return f"{text[:10]} {text[11:19]}"


@contextlib.contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal, else nothing.

    Yields a function that takes the number of steps just made.
    """
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell)


def _fit(widths: list[int], columns: int) -> None:
    """Narrow the widest columns until a row fits into ``columns``.

    The first column keeps its width: people copy it into the next command.
    """
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - columns
    while excess > 0 and max(widths[1:], default=0) > _MIN_WIDTH:
        widths[widths.index(max(widths[1:]), 1)] -= 1
        excess -= 1


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"

"""The command line in this process: what its commands are, print and fail with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import click
from click.testing import Result

from occupancy.core.entities import Person

ADMIN = Person("admin", "Admin")
Run = Callable[..., Result]


def answer(result: Result) -> Any:
    """The JSON output of a command, which must have succeeded."""
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def error(result: Result, status: int = 1) -> str:
    """The one error line of a failed command."""
    assert result.exit_code == status, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").rstrip("\n")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif path:
            yield (*path, name)

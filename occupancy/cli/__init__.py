"""The command line: ``flask boards``, ``items``, ``workers``, ``tokens``, ``events`` and so on.

Each command calls the same services as the API, over one of the connections that the budget
reserves for the command line. It checks no role, because its user can reach the server anyway: it
acts as an administrator, or on behalf of a worker. May import services and everything below, never
web; only the application imports it. Begin with ``command``, then ``commands/boards.py``.

The command modules are imported by the first command, so a web server starts without them.
"""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import AppGroup


def init_app(app: Flask) -> None:
    """Give the application all groups of commands."""
    app.cli = _Groups(app.name)


class _Groups(AppGroup):
    """The groups of commands, made on first use."""

    _is_made = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._make()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        self._make()
        return super().get_command(ctx, cmd_name)

    def _make(self) -> None:
        if self._is_made:
            return
        self._is_made = True
        from occupancy.cli.commands import (  # noqa: PLC0415 - see the module
            audit,
            backup,
            boards,
            demo,
            events,
            items,
            labels,
            operations,
            redis,
            stations,
            tokens,
            workers,
        )

        commands: list[click.Command] = [*operations.COMMANDS, labels.labels]
        for command in commands:
            items.group.add_command(command)
        for module in (boards, items, workers, tokens, stations, audit, events, redis, demo):
            self.add_command(module.group)
        for command in backup.COMMANDS:
            self.add_command(command)

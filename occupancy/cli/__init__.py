"""The command line: ``flask boards``, ``items``, ``workers``, ``tokens``, ``events`` and so on.

Thin calls on the same services as the API's, over a single connection out of those that the
budget reserves for the command line. Whoever may run it can reach the server anyway, so there is
no check of roles: it acts as an administrator, or on behalf of a worker.

Every application has it, and only the ``flask`` command ever asks for it. So its modules, and
what they need for tables and labels, are imported when it does: a web server starts without them.
"""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import AppGroup


def init_app(app: Flask) -> None:
    """Give the application every group of commands."""
    app.cli = _Groups(app.name)


class _Groups(AppGroup):
    """The groups of commands; made when the first is asked for."""

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
            boards,
            demo,
            events,
            items,
            labels,
            operations,
            redis,
            tokens,
            workers,
        )

        items_group = items.group()
        operations.add_to(items_group)
        labels.add_to(items_group)
        for group in (
            boards.group(),
            items_group,
            workers.group(),
            tokens.group(),
            events.group(),
            redis.group(),
            demo.group(),
        ):
            self.add_command(group)

"""The command line: ``flask boards``, ``items``, ``workers``, ``tokens``, ``events`` and so on.

Thin calls on the same services as the API's, over a single connection out of those that the
budget reserves for the command line. Whoever may run it can reach the server anyway, so there is
no check of roles: it acts as an administrator, or on behalf of a worker.
"""

from __future__ import annotations

from flask import Flask

from . import boards, demo, events, items, labels, operations, server, tokens, workers
from .command import Commands


def init_app(app: Flask) -> None:
    """Register every group of commands."""
    items_group = items.group()
    operations.add_to(items_group)
    labels.add_to(items_group)
    groups: list[Commands] = [
        boards.group(),
        items_group,
        workers.group(),
        tokens.group(),
        events.group(),
        server.group(),
        demo.group(),
    ]
    for group in groups:
        app.cli.add_command(group)

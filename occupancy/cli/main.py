"""``occupancy``, the command of an installed package: those of ``flask``, and ``serve``.

``flask`` finds the application by the file wsgi.py of a checkout; this command imports it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click
from flask.cli import FlaskGroup

if TYPE_CHECKING:
    from flask import Flask


def _app() -> Flask:
    from occupancy.wsgi import app  # noqa: PLC0415 - reads the settings, so not for --help

    return app


@click.group(
    cls=FlaskGroup, create_app=_app, add_default_commands=False, add_version_option=False,
    set_debug_flag=False,
)  # fmt: skip
def main() -> None:
    """Who is working on what, right now, and may I have it?"""


@main.command(
    "serve", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Run the server in the foreground; TERM stops it, HUP reloads it.

    ARGUMENTS go to gunicorn, such as --workers 4.
    """
    # gunicorn reads WEB_CONCURRENCY before our configuration can report an empty value.
    if not os.environ.get("WEB_CONCURRENCY", "").strip():
        os.environ.pop("WEB_CONCURRENCY", None)
    # In place of this process: a supervisor signals the master itself, and the master must not have
    # imported flask.
    command = [sys.executable, "-m", "gunicorn", "--config"]
    command += ["python:occupancy.server.gunicorn_config", *arguments, "occupancy.wsgi:app"]
    os.execv(sys.executable, command)  # noqa: S606 - the arguments are the caller's own

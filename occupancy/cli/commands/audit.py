"""``flask audit``: the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import click

from occupancy.cli.command import Commands, check_board, check_worker, connected, json_option
from occupancy.cli.output import print_json, print_table, timestamp
from occupancy.core.texts.plurals import counted
from occupancy.observability.audit_trail.events import EVENTS, EXPORTED
from occupancy.observability.audit_trail.export import CONTENT_TYPES, pieces
from occupancy.observability.audit_trail.reader import DEFAULT_LIMIT, MAX_LIMIT, Found, filters_of

group = Commands("audit", help="The audit trail: sign-ins, refusals, changes.")

_MOMENT = "2026-11-29, or 2026-11-29T06:00:00Z"
_OPTIONS = [
    click.option("--event", type=click.Choice(list(EVENTS)), help="Only these events."),
    click.option("--worker", metavar="ID", callback=check_worker, help="About this worker."),
    click.option("--by", metavar="ID", help="Done by this worker, or user of the machine."),
    click.option("--board", callback=check_board, help="About this board."),
    click.option("--address", help="From this address."),
    click.option("--since", metavar="TIME", help=f"From this time on: {_MOMENT}."),
    click.option("--until", metavar="TIME", help="Before this time; a date includes its day."),
    click.option("--text", help="With all words of TEXT."),
]


def _filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@group.command("list")
@_filter_options
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True,
    help="The most entries that are printed.")  # fmt: skip
@json_option
def list_(*, limit: int, as_json: bool, **given: str | None) -> None:
    """List the newest entries."""
    found: list[Found] = []
    page = None
    with connected() as services:
        while len(found) < limit:
            listed, page = services.audit_reader.page(
                filters_of(given), limit=min(MAX_LIMIT, limit - len(found)), page=page
            )
            found += listed
            if page is None:
                break
    if as_json:
        print_json({"entries": [each.as_dict() for each in found]})
        return
    print_table(
        ["at (UTC)", "event", "by", "means", "worker", "board", "address", "details"],
        [
            [timestamp(each.at), each.event, each.by, each.means, each.worker, each.board,
             each.address, ", ".join(f"{name}={value}" for name, value in each.details.items())]
            for _, each in found
        ],
    )  # fmt: skip


@group.command("export")
@click.argument("file", type=click.File("wb"))
@click.option("--format", "kind", type=click.Choice(list(CONTENT_TYPES)), default="csv",
    show_default=True, help="CSV for spreadsheets, or a JSON object a line.")  # fmt: skip
@_filter_options
def export(*, file: BinaryIO, kind: str, **given: str | None) -> None:
    """Write all entries to FILE ('-': standard output), newest first.

    The export is itself recorded. In CSV, a text that begins with =, +, - or @ gets an
    apostrophe before it, so that a spreadsheet does not take it for a formula.
    """
    filters = filters_of(given)
    asked = {f"filter_{name}": text for name, text in given.items() if text}
    with connected() as services:
        services.audit_outbox.leave(EXPORTED, format=kind, **asked)
        found = list(services.audit_reader.all(filters))
    for piece in pieces(found, kind):
        file.write(piece)
    click.echo(f"Exported {counted(len(found), 'entry', 'entries')}.", err=True)

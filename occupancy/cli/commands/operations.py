"""One command of ``flask items`` for each row of the transition table."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from occupancy.boards.commands import Command
from occupancy.boards.refusals import refusal
from occupancy.cli.command import (
    board_option,
    check_worker,
    checked,
    connected,
    json_option,
    tag_argument,
)
from occupancy.cli.output import print_json, timestamp
from occupancy.core.entities import COMMAND_LINE, Item, Person
from occupancy.core.requests.checks import check_fields
from occupancy.core.requests.items import ItemBody, OperationBody
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS, Transition
from occupancy.services import Services


@click.command(PUT.operation)
@tag_argument
@click.option("--title", help="The new title.")
@click.option("--attribute", "pairs", multiple=True, metavar="NAME=VALUE",
    help="An attribute; may be repeated. Those given replace all that the item has.")  # fmt: skip
@board_option
@json_option
def put(tag: str, title: str | None, pairs: tuple[str, ...], board: str, as_json: bool) -> None:
    """Add an item, or edit its title and attributes. What is not given stays as it is."""
    if any("=" not in pair for pair in pairs):
        raise click.UsageError("--attribute takes NAME=VALUE.")
    attributes = dict(pair.split("=", 1) for pair in pairs)
    body = checked(ItemBody, title=title, attributes=attributes or None)
    with connected() as services:
        command = Command(board, PUT, [tag], actor=COMMAND_LINE, items=[body.as_json_texts()])
        _execute(services, command, as_json)


@click.command(REMOVE.operation, short_help=REMOVE.summary)
@tag_argument
@board_option
@json_option
def remove(tag: str, board: str, as_json: bool) -> None:
    """Remove an item that nobody holds. Its history is kept for a month."""
    with connected() as services:
        _execute(services, Command(board, REMOVE, [tag], actor=COMMAND_LINE), as_json)


_FIELD_OPTIONS: dict[str, dict[str, Any]] = {
    "reason": {"help": "Why, for the others."},
    "to": {"metavar": "ID", "callback": check_worker, "help": "Who gets it."},
    "step": {"help": "The step at which it goes on."},
}


def _command(transition: Transition) -> click.Command:
    needs_worker = transition.holder_only or transition.holder == "caller"

    def run(
        *, tag: str, board: str, worker: str | None, as_json: bool, **fields: str | None
    ) -> None:
        body = checked(OperationBody, **fields)
        check_fields(transition, body)
        with connected() as services:
            actor, to = _person(services, worker) or COMMAND_LINE, _person(services, body.to)
            command = Command(
                board, transition, [tag], actor=actor, reason=body.reason, to=to, step=body.step
            )
            _execute(services, command, as_json)

    default = "" if needs_worker else "; default: the command line itself"
    worker_option = click.option(
        "--worker", required=needs_worker, metavar="ID", callback=check_worker,
        help=f"On behalf of this worker{default}.")  # fmt: skip
    field_options = [
        click.option(f"--{name}", required=rule == "required", **_FIELD_OPTIONS[name])
        for name, rule in transition.fields.items()
        if rule != "none"
    ]
    parameters = [tag_argument, worker_option, *field_options, board_option, json_option]
    for decorate in reversed(parameters):
        run = decorate(run)
    return click.command(transition.operation, help=transition.summary)(run)


def _person(services: Services, worker: str | None) -> Person | None:
    return services.workers.active(worker).person if worker is not None else None


def _execute(services: Services, command: Command, as_json: bool) -> None:
    """Carry out a command for one item, and print its answer. Raises what refuses it."""
    answer = services.store.commands.execute(command)
    outcome = answer.outcomes[0]
    if not outcome.is_done:
        raise refusal(command.board, command.transition, outcome)
    if as_json:
        changed, item_json = outcome.changed, msgspec.Raw(outcome.item)
        print_json({"changed": changed, "item": item_json, "cursor": answer.cursor})
        return
    item = msgspec.json.decode(outcome.item, type=Item)
    if command.transition.target == "removed":
        click.echo(f"{item.tag} is removed.")
        return
    held = f" by {item.holder.name}" if item.holder else ""
    note = "" if outcome.changed else " (nothing changed)"
    since = timestamp(item.since)
    click.echo(f"{item.tag} is {item.state}{held} at {item.step}, since {since} UTC{note}.")


COMMANDS = [*map(_command, TRANSITIONS.values()), put, remove]

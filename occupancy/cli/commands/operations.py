"""``flask items take``, ``pause`` … : one command for each row of the transition table."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from occupancy.boards.records import Answer
from occupancy.boards.refusals import refusal
from occupancy.cli.command import (
    COMMAND_LINE,
    Commands,
    board_option,
    check_worker,
    checked,
    connected,
    json_option,
    tag_argument,
)
from occupancy.cli.output import print_json, timestamp
from occupancy.core.entities import Item, Person
from occupancy.core.requests import ItemBody, OperationBody, check_fields
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS, Transition
from occupancy.services import Services


def add_to(items: Commands) -> None:
    """Add every operation to the group ``items``."""
    for row in TRANSITIONS.values():
        items.add_command(_command(row))

    @items.command("put")
    @tag_argument
    @click.option("--title", help="The new title.")
    @click.option(
        "--attribute", "pairs", multiple=True, metavar="NAME=VALUE",
        help="An attribute; may be repeated. Those given replace all that the item has.",
    )  # fmt: skip
    @board_option
    @json_option
    def put(tag: str, title: str | None, pairs: tuple[str, ...], board: str, as_json: bool) -> None:
        """Add an item, or edit its title and attributes. What is not given stays as it is."""
        if any("=" not in pair for pair in pairs):
            raise click.UsageError("--attribute takes NAME=VALUE.")
        attributes = dict(pair.split("=", 1) for pair in pairs)
        body = checked(ItemBody, title=title, attributes=attributes or None)
        with connected() as services:
            answer = services.store.operate(
                board, PUT, [tag], actor=COMMAND_LINE, items=[body.as_json_texts()]
            )
        _print_answer(board, PUT, answer, as_json)

    @items.command("remove", short_help=REMOVE.summary)
    @tag_argument
    @board_option
    @json_option
    def remove(tag: str, board: str, as_json: bool) -> None:
        """Remove an item that nobody holds. Its history is kept for a month."""
        with connected() as services:
            answer = services.store.operate(board, REMOVE, [tag], actor=COMMAND_LINE)
        _print_answer(board, REMOVE, answer, as_json)


def _command(row: Transition) -> click.Command:
    needs_worker = row.holder_only or row.holder == "caller"

    def run(
        *, tag: str, board: str, worker: str | None, as_json: bool,
        reason: str | None = None, to: str | None = None, step: str | None = None,
    ) -> None:  # fmt: skip
        body = checked(OperationBody, reason=reason, to=to, step=step)
        check_fields(row, body)
        with connected() as services:
            answer = services.store.operate(
                board,
                row,
                [tag],
                actor=_person(services, worker) or COMMAND_LINE,
                reason=body.reason,
                to=_person(services, body.to),
                step=body.step,
            )
        _print_answer(board, row, answer, as_json)

    parameters: list[Any] = [
        tag_argument,
        click.option(
            "--worker",
            required=needs_worker,
            metavar="ID",
            callback=check_worker,
            help="On behalf of this worker"
            + ("." if needs_worker else "; default: the command line itself."),
        ),
    ]
    if row.holder == "to":
        parameters.append(
            click.option(
                "--to", required=True, metavar="ID", callback=check_worker, help="Who gets it."
            )
        )
    if row.reason != "none":
        parameters.append(
            click.option("--reason", required=row.reason == "required", help="Why, for the others.")
        )
    if row.operation == "reopen":
        parameters.append(click.option("--step", help="Where it goes on; default: the last step."))
    for decorate in reversed([*parameters, board_option, json_option]):
        run = decorate(run)
    return click.command(row.operation, help=row.summary)(run)


def _person(services: Services, worker: str | None) -> Person | None:
    return services.workers.active(worker).person if worker is not None else None


def _print_answer(board: str, row: Transition, answer: Answer, as_json: bool) -> None:
    outcome = answer.outcomes[0]
    if not outcome.is_done:
        raise refusal(board, row, outcome)
    if as_json:
        changed, item_json = outcome.changed, msgspec.Raw(outcome.item)
        print_json({"changed": changed, "item": item_json, "cursor": answer.cursor})
        return
    item = msgspec.json.decode(outcome.item, type=Item)
    if row is REMOVE:
        click.echo(f"{item.tag} is removed.")
        return
    held = f" by {item.holder.name}" if item.holder else ""
    note = "" if outcome.changed else " (nothing changed)"
    since = timestamp(item.since)
    click.echo(f"{item.tag} is {item.state}{held} at {item.step}, since {since} UTC{note}.")

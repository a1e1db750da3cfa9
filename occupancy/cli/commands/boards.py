"""``flask boards``: create, list and show boards."""

from __future__ import annotations

from typing import Annotated

import click
import msgspec

from occupancy.cli.command import Commands, check_board, checked, connected, json_option
from occupancy.cli.output import print_fields, print_json, print_result, print_table
from occupancy.core.entities import MAX_STEPS, STATES, Step, Title
from occupancy.core.errors import InvalidRequest


class _BoardFields(msgspec.Struct):
    title: Title | None = None
    steps: Annotated[list[Step], msgspec.Meta(max_length=MAX_STEPS)] = []


group = Commands("boards", help="Boards: independent sets of items.")


@group.command("create")
@click.argument("name", callback=check_board)
@click.option("--title", help="The title that people see; default: the name.")
@click.option("--steps", metavar="A,B,…", help="The steps of an item, in this order.")
@click.option("--max-holds", type=click.IntRange(1, 1_000_000),
    help="The most items that a worker may hold at once.")  # fmt: skip
@json_option
def create(
    name: str, title: str | None, steps: str | None, max_holds: int | None, as_json: bool
) -> None:
    """Create the board NAME.

    The board 'main' exists from the start; it can get steps while it has no items.
    """
    listed = [step.strip() for step in steps.split(",")] if steps is not None else []
    if len(set(listed)) < len(listed):
        raise InvalidRequest("steps: the same step occurs twice.")
    fields = checked(_BoardFields, title=title, steps=listed)
    with connected() as services, services.audit_outbox.recording("board_added", board=name):
        board = services.store.boards.create(
            name, title=fields.title, steps=fields.steps, max_holds=max_holds or 0
        )
    steps_text = ", ".join(board.steps)
    print_result(as_json, board.as_dict(), f"Created the board {name} with the steps {steps_text}.")


@group.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all boards, with the number of items in each state."""
    with connected() as services:
        found = services.store.boards.all()
    if as_json:
        print_json({"boards": [board.as_dict() for board in found]})
        return
    print_table(
        ["board", "title", "steps", *STATES],
        [[each.board, each.title, ",".join(each.steps), *each.counts.values()] for each in found],
    )


@group.command("show")
@click.argument("name", callback=check_board)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the board NAME."""
    with connected() as services:
        board = services.store.boards.get(name)
    if as_json:
        print_json(board.as_dict())
        return
    print_fields({
        "board": board.board, "title": board.title, "steps": ",".join(board.steps),
        "max holds": board.max_holds or "no limit", **board.counts,
        "events": board.seq, "cursor": board.cursor,
    })  # fmt: skip

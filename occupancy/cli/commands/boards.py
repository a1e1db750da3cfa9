"""``flask boards``: create, list, show, edit and remove boards."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import click
import msgspec

from occupancy.cli.command import Commands, check_board, checked, connected, json_option
from occupancy.cli.output import print_fields, print_json, print_result, print_table
from occupancy.core.entities import MAX_HOLDS, MAX_STEPS, STATES, ItemName, Step, Title
from occupancy.core.errors import BoardNotEmpty, InvalidRequest
from occupancy.core.requests.boards import BoardSettingsBody
from occupancy.core.requests.decoding import decode
from occupancy.core.texts.plurals import counted


class _BoardFields(msgspec.Struct):
    title: Title | None = None
    steps: Annotated[list[Step], msgspec.Meta(max_length=MAX_STEPS)] = []


group = Commands("boards", help="Boards: independent sets of items.")


@group.command("create")
@click.argument("name", callback=check_board)
@click.option("--title", help="The title that people see; default: the name.")
@click.option("--steps", metavar="A,B,…", help="The steps of an item, in this order.")
@click.option("--max-holds", type=click.IntRange(1, MAX_HOLDS),
    help="The most items that a worker may hold at once.")  # fmt: skip
@json_option
def create(
    name: str, title: str | None, steps: str | None, max_holds: int | None, as_json: bool
) -> None:
    """Create the board NAME.

    The board 'main' exists from the start; it can get steps while it has no items.
    """
    listed = [step.strip() for step in steps.split(",")] if steps is not None else []
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
    """List all boards, with the number of items in each state.

    A board 'main' that nobody uses is left out where there are others.
    """
    with connected() as services:
        found = services.store.boards.visible()
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
    settings, counts = board.settings, board.step_counts or {}
    names = settings.item_name
    print_fields({
        "board": board.board, "title": board.title,
        "steps": ",".join(_step_text(each, settings.step_titles[each]) for each in board.steps),
        "max holds": board.max_holds or "no limit", "time zone": settings.time_zone,
        "item name": f"en: {names.en.one}, {names.en.many}; es: {names.es.one}, {names.es.many}",
        "attributes": ",".join(settings.shown_attributes), "reasons": "; ".join(settings.reasons),
        **board.counts, **{f"at {each}": counts.get(each, 0) for each in board.steps},
        "events": board.seq, "cursor": board.cursor,
    })  # fmt: skip


@group.command("edit")
@click.argument("name", callback=check_board)
@click.option("--title", help="The title that people see; '' for the name.")
@click.option(
    "--steps",
    metavar="A,B=TITLE,…",
    help="The whole list of steps, in this order. An item stands at a step by its id, the part "
    "before the '='. So a step keeps its items when it gets another title or place.",
)
@click.option(
    "--max-holds",
    type=click.IntRange(0, MAX_HOLDS),
    help="The most items that a worker may hold at once; 0: no limit.",
)
@click.option("--time-zone", metavar="ZONE", help="A name such as America/Lima; '' for UTC.")
@click.option(
    "--item-name",
    "names",
    nargs=3,
    multiple=True,
    metavar="LANGUAGE ONE MANY",
    help="What an item is called here, for example: en spool spools. Once for each language.",
)
@click.option("--attributes", metavar="A,B,C", help="At most three attributes to show.")
@click.option("--reasons", metavar="A;B;…", help="At most 20 short reasons to choose from.")
@json_option
def edit(  # noqa: PLR0917 - click passes them by name
    name: str, title: str | None, steps: str | None, max_holds: int | None, time_zone: str | None,
    names: tuple[tuple[str, str, str], ...], attributes: str | None, reasons: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Change settings of the board NAME; what is not given stays as it is."""
    given: dict[str, Any] = {}
    if title is not None:
        given["title"] = title or None
    if steps is not None:
        given["steps"] = [_step(each) for each in steps.split(",")]
    if max_holds is not None:
        given["max_holds"] = max_holds or None
    if time_zone is not None:
        given["time_zone"] = time_zone or None
    if attributes is not None:
        given["shown_attributes"] = _texts(attributes, ",")
    if reasons is not None:
        given["reasons"] = _texts(reasons, ";")
    with connected() as services:
        boards = services.store.boards
        versions = None
        if names:
            before = boards.get(name).settings
            given["item_name"] = _item_name(names, before.item_name)
            versions = [str(before.version)]  # the new item name was made from these settings
        if not given:
            raise InvalidRequest("Nothing is to be changed: give at least one option.")
        body = decode(msgspec.json.encode(given), BoardSettingsBody)
        done = boards.configure(name, body, versions=versions)
        if done.changed:
            services.audit_outbox.leave(
                "board_edited", board=name, fields=",".join(done.changed),
                version=done.board.settings.version,
            )  # fmt: skip
    text = f"Changed {', '.join(done.changed)}." if done.changed else "It was so already."
    print_result(as_json, done.board.as_dict(), text)


@group.command("remove")
@click.argument("name", callback=check_board)
@click.option(
    "--yes-remove",
    "confirmed",
    metavar="NAME",
    callback=check_board,
    help="The name once more, to remove a board with items without being asked.",
)
def remove(name: str, confirmed: str | None) -> None:
    """Remove the board NAME, its items and all that happened to them, for good.

    A board with items is removed only if its name is typed once more.
    """
    if confirmed is not None and confirmed != name:
        raise InvalidRequest(f"--yes-remove names another board than {name}. Nothing is removed.")
    with connected() as services:
        recording = services.audit_outbox.recording
        try:
            items = services.removal.remove(name, with_items=confirmed == name, recording=recording)
        except BoardNotEmpty as error:
            if not sys.stdin.isatty():
                raise BoardNotEmpty(
                    f"{error.detail} Here: --yes-remove {name}", **error.extra
                ) from None
            click.echo(error.detail, err=True)
            typed = click.prompt("Type its name", err=True)
            if typed != name:
                raise InvalidRequest("The name is another one. Nothing is removed.") from None
            items = services.removal.remove(name, with_items=True, recording=recording)
        services.removal.sweep(name)
    click.echo(f"Removed the board {name} with {counted(items or 0, 'item')}.")


def _texts(text: str, separator: str) -> list[str]:
    return [each.strip() for each in text.split(separator) if each.strip()]


def _step(text: str) -> str | dict[str, str]:
    """A step as a request has it: its id, or id and title."""
    step, has_title, title = (each.strip() for each in text.partition("="))
    return {"step": step, "title": title or step} if has_title else step


def _step_text(step: str, title: str) -> str:
    return step if title == step else f"{step}={title}"


def _item_name(names: tuple[tuple[str, str, str], ...], before: ItemName) -> dict[str, Any]:
    """What an item is called, with the languages in ``names`` changed. Raises InvalidRequest."""
    found: dict[str, Any] = msgspec.to_builtins(before)
    for language, one, many in names:
        if language not in found:
            raise InvalidRequest(f"--item-name: the language is not one of {', '.join(found)}.")
        found[language] = {"one": one, "many": many}
    return found

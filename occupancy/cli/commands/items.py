"""``flask items``: import, export, list, show, history, reconcile; operations.py has the rest."""

from __future__ import annotations

from typing import Any, BinaryIO

import click
import msgspec

from occupancy.boards.reconcile import Reconciler
from occupancy.boards.store import Store
from occupancy.cli.command import (
    Commands,
    board_option,
    check_worker,
    connected,
    fail,
    json_option,
    tag_argument,
)
from occupancy.cli.imports import chosen_encoding, encoding_option, mapped_rows, print_report
from occupancy.cli.output import print_fields, print_json, print_table, progress, timestamp
from occupancy.core.entities import COMMAND_LINE, MAX_SNAPSHOT_ITEMS, STATES, Event, Item
from occupancy.core.errors import InvalidRequest
from occupancy.core.texts.plurals import counted
from occupancy.tables.encoding import AUTO, workbook_format
from occupancy.tables.exporter import SEPARATORS, excel_bytes, export_items, export_xlsx, read_all
from occupancy.tables.imports.item_import import import_items
from occupancy.tables.imports.item_rows import read_items

_NOT_REPAIRABLE = ("history", "log")  # past events cannot be made up

group = Commands("items", help="Items: things that one worker at a time may occupy.")


@group.command("import")
@click.argument("file", type=click.File("rb"))
@board_option
@click.option("--dry-run", is_flag=True, help="Change nothing; only report the result.")
@click.option("--code-column", metavar="NAME", help="The column of the tags, if not 'tag'.")
@click.option("--title-column", metavar="NAME", help="The column of the titles, if not 'title'.")
@click.option("--no-header", is_flag=True,
    help="The first row is an item; columns have letters: --code-column A.")  # fmt: skip
@click.option("--sheet", metavar="NAME", help="The sheet to read, if not the first with content.")
@encoding_option
@json_option
def import_(  # noqa: PLR0917 - click passes them by name
    file: BinaryIO, board: str, dry_run: bool, code_column: str | None, title_column: str | None,
    no_header: bool, sheet: str | None, encoding: str, as_json: bool,
) -> None:  # fmt: skip
    """Add or update items from FILE: CSV, XLSX, XLS or ODS ('-': standard input).

    The first line names the columns: 'tag', optionally 'title', and any others, which become
    attributes. In CSV the delimiter may be a comma, a semicolon or a tab. With --code-column, and
    in spreadsheets, lines above the one that names the columns are skipped.

    With --no-header the file begins with an item. Its columns are called A, B, C, and so on, as in
    a spreadsheet, and only those of the tags and titles are imported.

    An existing item is updated: a non-empty title replaces its title, and if the file has
    columns for attributes, those replace ALL its attributes (an empty cell: the item does not
    have that attribute). Fields without a column stay as they are, and so do state, step and
    holder. A column 'NAME:json' holds JSON instead of text (numbers, true).

    Every good row is imported. Each rejected row is listed with its line and the reason. The
    exit status is 0 if all rows were imported and 1 if some were rejected.
    """
    data = file.read()
    is_workbook = workbook_format(data) is not None
    if sheet is not None and not is_workbook:
        raise InvalidRequest("Only a spreadsheet (XLSX, XLS, ODS) has sheets.")
    used: str | None = None if is_workbook else chosen_encoding(data, encoding)
    if is_workbook or no_header or code_column is not None or title_column is not None:
        rows = mapped_rows(
            data, used or AUTO, code_column, title_column, sheet, has_header=not no_header
        )
    else:
        rows = read_items(data, encoding=used or AUTO)
    with connected() as services, progress(len(rows), "Importing") as advance:
        report = import_items(
            services.store, board, rows,
            actor=COMMAND_LINE, dry_run=dry_run, on_progress=advance,
        )  # fmt: skip
        if not dry_run:
            services.audit_outbox.leave(
                "items_imported", board=board, added=report.added, updated=report.updated
            )
    print_report(report, as_json, used, is_dry_run=dry_run)


@group.command("export")
@click.argument("file", type=click.File("wb"))
@board_option
@click.option("--full", is_flag=True,
    help="With state, step, holder, since, reason, epoch, version and worked_s. "
    "Such a file is for reading; it cannot be imported.")  # fmt: skip
@click.option("--excel", is_flag=True, help="With the mark by which Excel recognises UTF-8.")
@click.option(
    "--separator", type=click.Choice(list(SEPARATORS)), default="comma", show_default=True,
    help="Excel needs the semicolon where decimals have a comma.")  # fmt: skip
def export(file: BinaryIO, board: str, full: bool, excel: bool, separator: str) -> None:
    """Write all items to FILE: a spreadsheet if it ends in .xlsx, else CSV ('-': standard output).

    Importing the file again changes nothing. Attributes other than plain texts are in columns
    'NAME:json'.

    In CSV a text that begins with =, +, - or @ gets an apostrophe before it, so that a spreadsheet
    does not take it for a formula. The import removes it.
    """
    with connected() as services:
        _, found = all_items(services.store, board)
    listed = [msgspec.json.decode(each, type=Item) for each in found]
    name: str = getattr(file, "name", "")  # standard output may have been replaced by one without
    if name.lower().endswith(".xlsx"):
        file.write(export_xlsx(listed, board=board, is_full=full))
    else:
        text = export_items(listed, is_full=full, separator=SEPARATORS[separator])
        file.write(excel_bytes(text) if excel else text.encode())
    click.echo(f"Exported {counted(len(listed), 'item')}.", err=True)


@group.command("list")
@board_option
@click.option("--state", type=click.Choice(STATES), help="Only items in this state.")
@click.option(
    "--holder", metavar="ID", callback=check_worker, help="Only items held by this worker."
)
@click.option(
    "--search", metavar="TEXT", help="Only items with all words of TEXT in tag, title or holder."
)
@json_option
def list_(
    board: str, state: str | None, holder: str | None, search: str | None, as_json: bool
) -> None:
    """List the items of a board, in the order of their tags."""
    with connected() as services:
        cursor, found = all_items(services.store, board, state=state, holder=holder, text=search)
    if as_json:
        print_json({"board": board, "cursor": cursor, "items": list(map(msgspec.Raw, found))})
        return
    listed = [msgspec.json.decode(each, type=Item) for each in found]
    print_table(
        ["tag", "title", "state", "step", "holder", "since (UTC)"],
        [
            [i.tag, i.title, i.state, i.step, i.holder and i.holder.name, timestamp(i.since)]
            for i in listed
        ],
    )


@group.command("show")
@tag_argument
@board_option
@json_option
def show(tag: str, board: str, as_json: bool) -> None:
    """Show one item."""
    with connected() as services:
        found = services.store.queries.item(board, tag)
    if as_json:
        print_json(msgspec.Raw(found))
        return
    item = msgspec.json.decode(found, type=Item)
    fields: dict[str, Any] = msgspec.structs.asdict(item)
    attributes = fields.pop("attributes")
    fields["holder"] = f"{item.holder.name} ({item.holder.id})" if item.holder else None
    print_fields({**fields, **{f". {name}": text for name, text in attributes.items()}})


@group.command("history")
@tag_argument
@board_option
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True,
    help="The most events to show.")  # fmt: skip
@json_option
def history(tag: str, board: str, limit: int, as_json: bool) -> None:
    """Show the events of an item, newest first."""
    found: list[bytes] = []
    page = None
    with connected() as services:
        while len(found) < limit:
            count = min(1000, limit - len(found))
            events, page = services.store.queries.history(board, tag, limit=count, page=page)
            found += events
            if page is None:
                break
    if as_json:
        print_json({"history": [msgspec.Raw(each) for each in found]})
        return
    listed = [msgspec.json.decode(each, type=Event) for each in found]
    print_table(
        ["at (UTC)", "seq", "event", "by", "state", "step", "holder", "reason"],
        [
            [
                timestamp(e.at), e.seq, e.type, e.actor.name, e.item.state, e.item.step,
                e.item.holder and e.item.holder.name, e.item.reason,
            ]
            for e in listed
        ],
    )  # fmt: skip


@group.command("reconcile")
@click.option("--repair", is_flag=True, help="Repair indexes that disagree with the items.")
@board_option
@json_option
def reconcile(repair: bool, board: str, as_json: bool) -> None:
    """Check items, indexes and event log of a board against each other, and the index of boards.

    Work may go on meanwhile. Past events cannot be repaired: a log or a history that
    disagrees is only reported. The exit status is 1 if a problem is left.
    """
    with connected() as services:
        reconciler = Reconciler(services.store)
        report = reconciler.run(board, repair=repair)
        report.problems += reconciler.check_index(repair=repair)
        if repair and report.problems:
            services.audit_outbox.leave(
                "items_repaired", board=board, problems=len(report.problems)
            )
    left = [each for each in report.problems if not repair or each.kind in _NOT_REPAIRABLE]
    if as_json:
        print_json({**msgspec.to_builtins(report), "mended": len(report.problems) - len(left)})
    else:
        if report.problems:
            rows = [[each.tag, each.kind, each.text, each not in left] for each in report.problems]
            print_table(["tag", "where", "problem", "mended"], rows)
        problems = counted(len(report.problems), "problem")
        click.echo(f"{counted(report.items, 'item')} checked, {problems}.")
    if left:
        fail(f"{counted(len(left), 'problem')} left on the board {board}.")


def all_items(store: Store, board: str, **filters: Any) -> tuple[str, list[bytes]]:
    """All items of a board, and the cursor to follow them from: that of the first page."""
    return read_all(
        lambda page: store.queries.snapshot(board, limit=MAX_SNAPSHOT_ITEMS, page=page, **filters)
    )

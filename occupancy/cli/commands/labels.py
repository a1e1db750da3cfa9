"""``flask items labels``: labels with QR codes that open the items' pages."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from occupancy.cli.command import board_option, connected, fail
from occupancy.cli.commands.items import all_items
from occupancy.core.entities import Item
from occupancy.core.requests.checks import check_name
from occupancy.core.texts.plurals import counted
from occupancy.labels.document import html_document
from occupancy.labels.sheet import sheets
from occupancy.labels.stocks import STOCKS, a4_grid
from occupancy.storage import public_url


@click.command("labels")
@board_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="labels.html",
    show_default=True,
    help="The file; NAME.svg makes a file for each page, NAME-1.svg, NAME-2.svg …",
)  # fmt: skip
@click.option("--tag", "tags", multiple=True, help="Only this item; may be given again.")
@click.option("--stock", "stock_name", type=click.Choice(list(STOCKS)), default="a4-3x8",
    show_default=True, help="The paper: sheets of A4, or a roll of a label printer.",
)  # fmt: skip
@click.option("--columns", type=click.IntRange(1, 6), help="A sheet of A4 divided by yourself.")
@click.option("--rows", type=click.IntRange(1, 12), help="The same; --columns 3 --rows 8.")
def labels(  # noqa: PLR0917 - click passes them by name
    board: str, out: Path, tags: tuple[str, ...], stock_name: str, columns: int | None,
    rows: int | None,
) -> None:  # fmt: skip
    """Print labels with QR codes that open the items' pages.

    Open the file with a browser and print it at 100 %, without margins. The codes hold the
    address OCCUPANCY_URL: set it to the address that phones use before you print.
    """
    for tag in tags:
        check_name("tag", tag)
    stock = STOCKS[stock_name] if columns is rows is None else a4_grid(columns or 3, rows or 8)
    with connected() as services:
        _, found = all_items(services.store, board)
        title = services.store.boards.get(board).settings.title
        url = public_url.read(services.settings)
    listed = {item.tag: item for item in (msgspec.json.decode(each, type=Item) for each in found)}
    missing = [tag for tag in tags if tag not in listed]
    if missing:
        fail(f"The board {board} has no item {missing[0]}.")
    chosen = [listed[tag] for tag in dict.fromkeys(tags)] if tags else list(listed.values())
    if not chosen:
        fail(f"The board {board} has no items yet.")
    made = list(sheets(chosen, stock, board_url=f"{url}/boards/{board}", board_title=title))
    if out.suffix == ".svg":
        paths = [out]
        if len(made) > 1:
            paths = [out.with_stem(f"{out.stem}-{number}") for number in range(1, len(made) + 1)]
        for path, sheet in zip(paths, made, strict=True):
            path.write_text(sheet, encoding="utf-8")
            click.echo(path)
    else:
        out.write_text(html_document(made, stock, title=title), encoding="utf-8")
        click.echo(out)
    if urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"The codes lead to {url}, which only this machine can open.", err=True)
    click.echo(f"{counted(len(chosen), 'label')}.", err=True)

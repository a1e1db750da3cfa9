"""``flask items labels``: sheets of QR codes that open the items' pages."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from occupancy.cli.command import board_option, connected, fail
from occupancy.cli.commands.items import all_items
from occupancy.cli.labels.sheet import sheets
from occupancy.core.entities import Item
from occupancy.core.errors import counted
from occupancy.core.requests import check_name
from occupancy.storage import public_url


@click.command("labels")
@board_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="labels.svg",
    show_default=True, help="The file; with more than one sheet NAME-1.svg, NAME-2.svg …",
)  # fmt: skip
@click.option("--tag", "tags", multiple=True, help="Only this item; may be given again.")
@click.option("--columns", type=click.IntRange(1, 6), default=3, show_default=True)
@click.option("--rows", type=click.IntRange(1, 12), default=8, show_default=True)
def labels(board: str, out: Path, tags: tuple[str, ...], columns: int, rows: int) -> None:
    """Print labels with QR codes that open the items' pages, on A4 sheets (SVG).

    Open a sheet with a browser and print it at 100 %, without margins. The codes hold the
    address OCCUPANCY_URL: set it to the address that phones use before you print.
    """
    for tag in tags:
        check_name("tag", tag)
    with connected() as services:
        _, found = all_items(services.store, board)
        url = public_url.read(services.settings)
    listed = {item.tag: item for item in (msgspec.json.decode(each, type=Item) for each in found)}
    missing = [tag for tag in tags if tag not in listed]
    if missing:
        fail(f"The board {board} has no item {missing[0]}.")
    chosen = [listed[tag] for tag in dict.fromkeys(tags)] if tags else list(listed.values())
    if not chosen:
        fail(f"The board {board} has no items yet.")
    made = list(sheets(chosen, board_url=f"{url}/boards/{board}", columns=columns, rows=rows))
    paths = [out]
    if len(made) > 1:
        paths = [out.with_stem(f"{out.stem}-{number}") for number in range(1, len(made) + 1)]
    for path, sheet in zip(paths, made, strict=True):
        path.write_text(sheet, encoding="utf-8")
        click.echo(path)
    if urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"The codes lead to {url}, which only this machine can open.", err=True)
    click.echo(f"{counted(len(chosen), 'label')}.", err=True)

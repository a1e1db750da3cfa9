"""One HTML file of all pages, which a browser prints at the right size; for the command line.

It loads nothing, so it can be carried to the machine that has the printer.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from occupancy.labels.stocks import Stock


def html_document(pages: Iterable[str], stock: Stock, *, title: str) -> str:
    """The pages of ``sheets``, each on a page of the stock's size."""
    width, height = stock.page_mm
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>\n"
        f"@page {{ size: {width:g}mm {height:g}mm; margin: 0; }}\n"
        "html, body { margin: 0; background: #fff; }\n"
        "svg { display: block; }\n"
        f"body > svg {{ break-after: page; overflow: hidden; }}\n"
        "body > svg:last-child { break-after: auto; }\n"
        "@media screen { body > svg { margin: 4mm; box-shadow: 0 0 1mm #888; } }\n"
        f"</style>\n{''.join(pages)}</html>\n"
    )

"""Sheets of QR code labels to cut out and stick on the items, as SVG in millimetres.

A code holds the address of the item's page, so any phone's camera opens it. Pure: items to texts.

The format is SVG, because a title may be in any script: the printing machine has fonts for it,
while a PDF would have to embed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

import segno

from occupancy.cli.labels.lines import monospace, proportional, truncate, wrap
from occupancy.core.entities import Item

PAGE_MM = (210.0, 297.0)  # A4
_PADDING_MM = 3.0
_QUIET_MODULES = 4  # the white margin around a code, by ISO/IEC 18004
_TAG_SIZES_MM = (3.6, 3.2, 2.8, 2.4, 2.0, 1.6, 1.4)  # the smaller: a long tag on a small label
_TITLE_SIZE_MM = 2.9
_LINE_HEIGHT = 1.25  # in units of the font size
_TAG_FONT = 'font-family="ui-monospace, monospace" font-weight="bold"'
_TITLE_FONT = 'font-family="system-ui, sans-serif"'
_CODE_MAX_WIDTH = 0.5  # of the label; the rest is for the texts
_MAX_TITLE_LINES = 4


def sheets(items: Sequence[Item], *, board_url: str, columns: int, rows: int) -> Iterator[str]:
    """SVG documents of one page each, with ``columns`` x ``rows`` labels, in the items' order.

    ``board_url``: the address of the board's page for phones.
    """
    width, height = PAGE_MM[0] / columns, PAGE_MM[1] / rows
    for first in range(0, len(items), columns * rows):
        labels = []
        for place, item in enumerate(items[first : first + columns * rows]):
            row, column = divmod(place, columns)
            url = f"{board_url}/items/{quote(item.tag, safe=':')}"
            # A nested svg clips its content to the label.
            labels.append(
                f'<svg x="{column * width:.2f}" y="{row * height:.2f}" '
                f'width="{width:.2f}" height="{height:.2f}">\n'
                f"{_label(item, url, width, height)}</svg>\n"
            )
        yield (
            '<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {PAGE_MM[0]:g} {PAGE_MM[1]:g}" '
            f'width="{PAGE_MM[0]:g}mm" height="{PAGE_MM[1]:g}mm">\n{"".join(labels)}</svg>\n'
        )


def _label(item: Item, url: str, width: float, height: float) -> str:
    """The code at the left, tag and title at its right."""
    side = min(height - 2 * _PADDING_MM, width * _CODE_MAX_WIDTH - _PADDING_MM)
    code = segno.make_qr(url, error="m")
    drawing = code.svg_inline(border=_QUIET_MODULES, light="#fff", omitsize=True)
    left = _PADDING_MM + side + _PADDING_MM / 2
    room = width - left - _PADDING_MM
    top = (height - side) / 2
    free = height - _PADDING_MM - top
    for tag_mm in _TAG_SIZES_MM:
        tag = wrap(item.tag, room / tag_mm, monospace)
        left_over = free - len(tag) * tag_mm * _LINE_HEIGHT
        if left_over >= 0:
            break
    title_room = room / _TITLE_SIZE_MM
    most = min(_MAX_TITLE_LINES, int(left_over / (_TITLE_SIZE_MM * _LINE_HEIGHT)))
    title = truncate(wrap(item.title, title_room, proportional), most, title_room, proportional)
    lines = [(line, tag_mm, _TAG_FONT) for line in tag]
    lines += [(line, _TITLE_SIZE_MM, _TITLE_FONT) for line in title]
    texts, y = [], top
    for line, size, font in lines:
        y += size * _LINE_HEIGHT
        texts.append(
            f'<text x="{left:.2f}" y="{y:.2f}" font-size="{size}" {font}>{escape(line)}</text>\n'
        )
    return (
        f'<svg x="{_PADDING_MM}" y="{top:.2f}" width="{side:.2f}" height="{side:.2f}">'
        f"{drawing}</svg>\n{''.join(texts)}"
    )

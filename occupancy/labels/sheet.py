"""Pages of labels with QR codes to stick on the items, as SVG in millimetres.

A code holds the address of the item's page, so any phone's camera opens it. Pure: items to texts.

The format is SVG, because a title may be in any script: the printing machine has fonts for it,
while a PDF would have to embed one (docs/design.md, Dependencies). Browsers print it at its size,
with ``@page`` and without margins, and make a PDF of it where somebody needs one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from occupancy.core.entities import Item
from occupancy.core.slices import Pause, no_pause
from occupancy.labels.label import label_svg
from occupancy.labels.stocks import Stock

_MARK_MM = 2.0  # of a mark for cutting, from the corner


def sheets(
    items: Sequence[Item],
    stock: Stock,
    *,
    board_url: str,
    board_title: str = "",
    first: int = 1,
    pause: Pause = no_pause,
) -> Iterator[str]:
    """SVG documents of one page each, with the labels in the items' order.

    ``board_url``: the address of the board's page for phones. ``first``: the first place that is
    free on the first page, counted from 1, for sheets of which some labels are used up. ``pause``
    is called after each label, which takes some milliseconds.
    """
    places: list[Item | None] = [*[None] * (first - 1), *items] if items else []
    width, height = stock.label_mm
    for start in range(0, len(places), stock.labels):
        drawn = []
        for place, item in enumerate(places[start : start + stock.labels]):
            if item is None:
                continue
            left, top = stock.place_mm(place)
            label = label_svg(item, stock, board_url=board_url, board_title=board_title)
            # A nested svg clips its content to the label.
            drawn.append(
                f'<svg x="{left:.2f}" y="{top:.2f}" width="{width:.2f}" height="{height:.2f}">\n'
                f"{label}</svg>\n"
            )
            pause()
        yield (
            '<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {stock.page_mm[0]:g} {stock.page_mm[1]:g}" '
            f'width="{stock.page_mm[0]:g}mm" height="{stock.page_mm[1]:g}mm">\n'
            f"{_cut_marks(stock)}{''.join(drawn)}</svg>\n"
        )


def _cut_marks(stock: Stock) -> str:
    if stock.labels == 1:
        return ""
    arms = "".join(
        f"M{x - _MARK_MM:.2f} {y:.2f}h{2 * _MARK_MM:g}M{x:.2f} {y - _MARK_MM:.2f}v{2 * _MARK_MM:g}"
        for x, y in stock.corners_mm()
    )
    return f'<path d="{arms}" fill="none" stroke="#888" stroke-width="0.1"/>\n'

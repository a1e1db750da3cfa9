"""The stocks that labels are printed on, in millimetres: sheets, and rolls.

A sheet has the sizes of label sheets that are sold everywhere, and marks for those who cut plain
paper. A page of a roll is one label, so that the printer cuts or feeds after each.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

A4_MM = (210.0, 297.0)
LETTER_MM = (215.9, 279.4)
_SHEETS = {A4_MM: "a4", LETTER_MM: "letter"}


class Stock(msgspec.Struct, frozen=True):
    """The labels are in the middle of the page, without gaps; ``padding_mm`` stays white.

    Office printers cannot print the outer 4 mm of a sheet, a Brother QL 1.5 mm at the sides and
    3 mm at the ends of a label.
    """

    name: str
    page_mm: tuple[float, float]
    label_mm: tuple[float, float]
    columns: int = 1
    rows: int = 1
    padding_mm: float = 3.0

    @property
    def labels(self) -> int:
        """How many labels are on a page."""
        return self.columns * self.rows

    @property
    def page(self) -> str:
        """The name of the page's size, for ``@page`` in css/labels.css."""
        width, height = self.page_mm
        return _SHEETS.get(self.page_mm, f"roll-{width:g}x{height:g}")

    def place_mm(self, number: int) -> tuple[float, float]:
        """The left upper corner of a label on its page; they are counted row by row from 0."""
        row, column = divmod(number, self.columns)
        left, top = self._edge_mm()
        return left + column * self.label_mm[0], top + row * self.label_mm[1]

    def corners_mm(self) -> Iterator[tuple[float, float]]:
        """Every point where labels meet."""
        left, top = self._edge_mm()
        for row in range(self.rows + 1):
            for column in range(self.columns + 1):
                yield left + column * self.label_mm[0], top + row * self.label_mm[1]

    def _edge_mm(self) -> tuple[float, float]:
        return (
            (self.page_mm[0] - self.columns * self.label_mm[0]) / 2,
            (self.page_mm[1] - self.rows * self.label_mm[1]) / 2,
        )


def a4_grid(columns: int, rows: int) -> Stock:
    """A sheet of A4 that is divided evenly."""
    label_mm = (A4_MM[0] / columns, A4_MM[1] / rows)
    return Stock(f"a4-{columns}x{rows}", A4_MM, label_mm, columns, rows)


_ALL = (
    Stock("a4-3x8", A4_MM, (70.0, 37.0), 3, 8, padding_mm=4.0),
    Stock("a4-3x7", A4_MM, (70.0, 42.3), 3, 7, padding_mm=4.0),
    Stock("a4-2x7", A4_MM, (105.0, 42.3), 2, 7, padding_mm=4.0),
    # Letter sheets such as Avery 5160 and 5163, with half of the gap on each side of a label.
    Stock("letter-3x10", LETTER_MM, (69.85, 25.4), 3, 10),
    Stock("letter-2x5", LETTER_MM, (106.36, 50.8), 2, 5, padding_mm=4.5),
    Stock("roll-62", (62.0, 40.0), (62.0, 40.0)),
    Stock("label-100x50", (100.0, 50.0), (100.0, 50.0), padding_mm=2.5),
)
STOCKS = {each.name: each for each in _ALL}

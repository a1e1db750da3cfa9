"""Sheets of labels in a browser: each code leads to its item's page."""

from __future__ import annotations

import io
import re

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser

from occupancy.core.entities import Item
from occupancy.labels.sheet import sheets
from occupancy.labels.stocks import STOCKS, Stock, a4_grid
from tests.cli.test_labels import make_item

URL = "https://board.example/boards/taller"
_PIXELS_PER_MM = 6
_GRID = a4_grid(3, 8)

# Wide texts, texts without spaces, and characters of several code points.
TITLES = [
    "W" * 200, "m" * 200, "@%" * 100, "Brida ciega DN 150 mm, acero inoxidable " * 4,
    "MAYÚSCULAS ÑANDÚ QUE NO CABEN EN LA ETIQUETA " * 4, "ЩЖШ" * 60, "焊接工位第三号。" * 20,
    "👩🏽\u200d🔧" * 40, "شُدَه " * 30, "क्षि" * 40, "한국어" * 40, "ﷺ" * 60,
    "10\u00a0000\u202fmm\u00a0" * 20, "Donau\u00addampf\u00adschiff\u00adfahrt" * 6, "W\u0301" * 90,
    "0123456789" * 20, "_" * 200, "i" * 200, "\u3000x" * 60, "½¼ﬀ€™Œ" * 30,
]  # fmt: skip


def seen(chromium: Browser, sheet: str, stock: Stock) -> list[str]:
    """The texts that a scanner reads from the printed sheet, in any order."""
    width, height = (side * 4 for side in stock.page_mm)
    page = chromium.new_page(
        viewport={"width": int(width), "height": int(height)},
        device_scale_factor=_PIXELS_PER_MM / 4,
    )
    page.set_content(
        re.sub(r'width="[\d.]+mm" height="[\d.]+mm"', f'width="{width}" height="{height}"', sheet)
    )
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    page.close()
    return [each.text for each in zxingcpp.read_barcodes(picture)]


def read(chromium: Browser, items: list[Item], stock: Stock = _GRID) -> list[str]:
    found: list[str] = []
    for sheet in sheets(items, stock, board_url=URL, board_title="Taller"):
        found += seen(chromium, sheet, stock)
    return sorted(found)


def test_every_code_of_every_sheet_leads_to_its_item(chromium: Browser) -> None:
    items = [make_item(f"MK-1335-CW-25238-{number:03d}") for number in range(30)]
    assert read(chromium, items) == [f"{URL}/items/{item.tag}" for item in items]


@pytest.mark.parametrize("name", STOCKS)
def test_codes_on_every_stock_can_be_read(chromium: Browser, name: str) -> None:
    items = [make_item(tag, title=TITLES[3]) for tag in ("MK-1335-CW-25238-011", "x" * 64)]
    assert read(chromium, items, STOCKS[name]) == [f"{URL}/items/{item.tag}" for item in items]


@pytest.mark.parametrize("tag", ["A", "x" * 64, "a.b_c:d-e"])
def test_any_tag_can_be_read(chromium: Browser, tag: str) -> None:
    assert read(chromium, [make_item(tag)]) == [f"{URL}/items/{tag}"]


def test_small_labels_can_be_read_too(chromium: Browser) -> None:
    items = [make_item(f"T-{number}", title="a long title " * 10) for number in range(10, 58)]
    assert read(chromium, items, a4_grid(4, 12)) == [f"{URL}/items/{each.tag}" for each in items]


def test_a_title_runs_nothing(chromium: Browser) -> None:
    items = [make_item("T-1", title="<script>document.title = 'run'</script>")]
    (sheet,) = sheets(items, _GRID, board_url=URL, board_title="<script>document.title=1</script>")
    page = chromium.new_page()
    page.set_content(sheet)
    assert page.title() == ""
    page.close()


@pytest.mark.parametrize(
    "stock",
    [*STOCKS.values(), *(a4_grid(*each) for each in ((1, 1), (4, 12), (6, 12), (6, 1), (1, 12)))],
    ids=lambda stock: stock.name,
)
def test_no_text_leaves_the_printable_part_of_its_label(chromium: Browser, stock: Stock) -> None:
    tags = ("T-1", "W" * 64, "MK-1335-CW-25238-011", "x.-" * 21)
    items = [make_item(tag, title=title) for tag in tags for title in TITLES]
    page = chromium.new_page()
    right, bottom = (side - stock.padding_mm for side in stock.label_mm)
    count = 0
    for number, sheet in enumerate(sheets(items, stock, board_url=URL, board_title=TITLES[0])):
        page.set_content(sheet)
        boxes = page.evaluate(
            """[...document.querySelectorAll('text')].map(text => {
                const box = text.getBBox();
                return [text.textContent, box.x + box.width, box.y + box.height];
            })"""
        )
        count += len(boxes)
        # Fonts hang out of the line a little, below what they draw.
        over = [box for box in boxes if box[1] > right + 0.1 or box[2] > bottom + 0.5]
        assert over == [], (number, over)
    assert count > 2 * len(items)
    page.close()

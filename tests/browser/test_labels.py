"""Sheets of labels in a browser: each code leads to its item's page."""

from __future__ import annotations

import io
import re

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser

from occupancy.cli.labels.sheet import sheets
from occupancy.core.entities import Item
from tests.cli.test_labels import make_item

URL = "https://board.example/boards/taller"
_PIXELS_PER_MM = 6

# Wide texts, texts without spaces, and characters of several code points.
TITLES = [
    "W" * 200, "m" * 200, "@%" * 100, "Brida ciega DN 150 mm, acero inoxidable " * 4,
    "MAYÚSCULAS ÑANDÚ QUE NO CABEN EN LA ETIQUETA " * 4, "ЩЖШ" * 60, "焊接工位第三号。" * 20,
    "👩🏽\u200d🔧" * 40, "شُدَه " * 30, "क्षि" * 40, "한국어" * 40, "ﷺ" * 60,
    "10\u00a0000\u202fmm\u00a0" * 20, "Donau\u00addampf\u00adschiff\u00adfahrt" * 6, "W\u0301" * 90,
    "0123456789" * 20, "_" * 200, "i" * 200, "\u3000x" * 60, "½¼ﬀ€™Œ" * 30,
]  # fmt: skip


def seen(chromium: Browser, sheet: str) -> list[str]:
    """The texts that a scanner reads from the printed sheet, in any order."""
    page = chromium.new_page(
        viewport={"width": 210 * 4, "height": 297 * 4}, device_scale_factor=_PIXELS_PER_MM / 4
    )
    page.set_content(re.sub(r'width="210mm" height="297mm"', 'width="840" height="1188"', sheet))
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    page.close()
    return [each.text for each in zxingcpp.read_barcodes(picture)]


def read(chromium: Browser, items: list[Item], **layout: int) -> list[str]:
    found: list[str] = []
    for sheet in sheets(items, board_url=URL, **{"columns": 3, "rows": 8, **layout}):
        found += seen(chromium, sheet)
    return sorted(found)


def test_every_code_of_every_sheet_leads_to_its_item(chromium: Browser) -> None:
    items = [make_item(f"MK-1335-CW-25238-{number:03d}") for number in range(30)]
    assert read(chromium, items) == [f"{URL}/items/{item.tag}" for item in items]


@pytest.mark.parametrize("tag", ["A", "x" * 64, "a.b_c:d-e"])
def test_any_tag_can_be_read(chromium: Browser, tag: str) -> None:
    assert read(chromium, [make_item(tag)]) == [f"{URL}/items/{tag}"]


def test_small_labels_can_be_read_too(chromium: Browser) -> None:
    items = [make_item(f"T-{number}", title="a long title " * 10) for number in range(10, 58)]
    assert read(chromium, items, columns=4, rows=12) == [
        f"{URL}/items/{each.tag}" for each in items
    ]


def test_a_title_runs_nothing_and_the_widest_tag_fits_its_label(chromium: Browser) -> None:
    items = [
        make_item("T-1", title="<script>document.title = 'run'</script>"),
        make_item("W" * 64, title="Brida ciega DN 150 mm, acero inoxidable " * 4),
    ]
    (sheet,) = sheets(items, board_url=URL, columns=3, rows=8)
    page = chromium.new_page()
    page.set_content(sheet)
    assert page.title() == ""
    right_edges_mm = page.evaluate(
        """[...document.querySelectorAll('text[font-weight=bold]')]
            .map(text => text.getBBox()).map(box => box.x + box.width)"""
    )
    assert len(right_edges_mm) > 1
    assert max(right_edges_mm) <= 70
    page.close()


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (3, 8), (4, 12), (6, 12), (6, 1), (1, 12)])
def test_no_text_overflows_a_label(chromium: Browser, columns: int, rows: int) -> None:
    tags = ("T-1", "W" * 64, "MK-1335-CW-25238-011", "x.-" * 21)
    items = [make_item(tag, title=title) for tag in tags for title in TITLES]
    page = chromium.new_page()
    width, height = 210 / columns, 297 / rows
    for sheet in sheets(items, board_url=URL, columns=columns, rows=rows):
        page.set_content(sheet)
        boxes = page.evaluate(
            """[...document.querySelectorAll('text')].map(text => {
                const box = text.getBBox();
                return [text.textContent, box.x + box.width, box.y + box.height];
            })"""
        )
        assert boxes
        over = [box for box in boxes if box[1] > width or box[2] > height]
        assert over == [], over
    page.close()

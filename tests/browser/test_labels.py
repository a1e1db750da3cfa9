"""Sheets of labels, as a browser draws them: each code leads to its item's page."""

from __future__ import annotations

import io
import re

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser

from occupancy.labels import sheets
from occupancy.model import Item
from tests.test_labels import make_item

URL = "https://board.example/boards/taller"
_PIXELS_PER_MM = 6


def seen(chromium: Browser, sheet: str) -> list[str]:
    """What a scanner reads off the printed sheet, in no particular order."""
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

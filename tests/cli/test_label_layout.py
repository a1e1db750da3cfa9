"""The layout of labels: sizes, what gives way to what, and the end of a tag."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from occupancy.labels.label import break_tag, tag_lines
from occupancy.labels.sheet import sheets
from occupancy.labels.stocks import STOCKS, Stock
from tests.cli.test_labels import make_item, texts
from tests.support.deployment import ROOT

SVG = "{http://www.w3.org/2000/svg}"
SEPARATED = "MK-1335-CW-25238-012-LONGER.TAG:WITH-MANY_PARTS-AND-64-CHARS-001"
TAGS = [
    SEPARATED, "A", "T-1", "MK-1335-CW-25238-011", "W" * 64, "a.b_c:d-e", "x-" * 31 + "yy",
    "ORDEN20260001234567890123456789", f"{'LOTE' * 14}0000-017"[-64:],
]  # fmt: skip


def drawn(tag: str, stock: Stock, title: str = "Brida", board: str = "Taller") -> list[ET.Element]:
    (sheet,) = sheets([make_item(tag, title)], stock, board_url="http://x", board_title=board)
    return list(ET.fromstring(sheet).iter(f"{SVG}text"))


def bold(elements: list[ET.Element]) -> list[str]:
    return ["".join(each.itertext()) for each in elements if each.get("font-weight") == "bold"]


@pytest.mark.parametrize("stock", STOCKS.values(), ids=lambda stock: stock.name)
def test_the_labels_of_a_stock_fit_its_page_and_do_not_overlap(stock: Stock) -> None:
    places = [stock.place_mm(number) for number in range(stock.labels)]
    assert len(set(places)) == stock.labels
    for left, top in places:
        assert left >= 0
        assert top >= 0
        assert left + stock.label_mm[0] <= stock.page_mm[0] + 1e-9
        assert top + stock.label_mm[1] <= stock.page_mm[1] + 1e-9


@pytest.mark.parametrize("stock", STOCKS.values(), ids=lambda stock: stock.name)
@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_is_whole_on_every_stock(stock: Stock, tag: str) -> None:
    assert "".join(bold(drawn(tag, stock, "long " * 40, "board " * 20))) == tag


@pytest.mark.parametrize("stock", STOCKS.values(), ids=lambda stock: stock.name)
@pytest.mark.parametrize("tag", TAGS)
def test_the_end_of_a_tag_is_not_broken(stock: Stock, tag: str) -> None:
    end = re.split(r"[-._:]", tag[-7:])[-1] or tag[-2:]
    assert bold(drawn(tag, stock))[-1].endswith(end)


@pytest.mark.parametrize("stock", STOCKS.values(), ids=lambda stock: stock.name)
def test_a_tag_is_as_large_as_the_label_allows(stock: Stock) -> None:
    sizes = [
        max(float(each.get("font-size", 0)) for each in drawn(tag, stock))
        for tag in ("T-1", "MK-1335-CW-25238-011", "W" * 64)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 6
    assert sizes[1] > 4
    assert sizes[2] > 2


def test_a_long_tag_pushes_title_and_name_of_the_board_away() -> None:
    stock = STOCKS["a4-3x8"]
    short = texts(next(sheets([make_item("T-1", "Brida")], stock, board_url="", board_title="B")))
    assert short == ["T-1", "Brida", "B"]
    longest = ["".join(each.itertext()) for each in drawn(SEPARATED, stock)]
    assert "Brida" not in longest
    assert "".join(longest) == SEPARATED


def test_a_tag_breaks_after_a_separator_where_it_can() -> None:
    assert break_tag("MK-1335-CW-25238-011", 9) == (["MK-1335-", "CW-25238-", "011"], True)
    assert break_tag("MK-1335", 3) == ([], False)
    assert break_tag("ABCDEFGHIJ", 8) == (["ABC", "DEFGHIJ"], False)
    assert break_tag("A" * 30, 10) == (["A" * 10] * 3, False)
    assert break_tag("A" * 22, 10) == (["A" * 10, "A" * 5, "A" * 7], False)


def test_a_short_tag_is_not_broken_for_a_little_more_size() -> None:
    size, lines = tag_lines("SP-001", 31.0, 24.0)
    assert lines == ["SP-001"]
    assert size > 8
    assert tag_lines("SP-001", 20.0, 24.0)[1] == ["SP-", "001"]


def test_a_tag_without_room_is_none() -> None:
    assert tag_lines("W" * 64, 3.0, 3.0) == (0.0, [])


@pytest.mark.parametrize("first", [1, 2, 24])
def test_used_places_of_the_first_sheet_stay_free(first: int) -> None:
    stock = STOCKS["a4-3x8"]
    made = list(
        sheets([make_item("T-1"), make_item("T-2")], stock, board_url="http://x", first=first)
    )
    assert len(made) == (2 if first == 24 else 1)
    label = ET.fromstring(made[0]).find(f"{SVG}svg")
    assert label is not None
    left, top = stock.place_mm(first - 1)
    assert (float(label.get("x", "")), float(label.get("y", ""))) == pytest.approx((left, top))


def test_others_have_a_turn_after_each_label() -> None:
    turns: list[int] = []
    items = [make_item(f"T-{number}") for number in range(30)]
    list(sheets(items, STOCKS["a4-2x7"], board_url="", pause=lambda: turns.append(1)))
    assert len(turns) == 30


def test_the_stylesheet_has_the_size_of_every_page() -> None:
    css = (ROOT / "occupancy/web/ui/static/css/labels.css").read_text()
    for stock in STOCKS.values():
        width, height = stock.page_mm
        size = rf"{width:g}mm {height:g}mm"
        assert re.search(rf"@page {stock.page} {{ size: {size}; margin: 0; }}", css), stock.name
        assert re.search(
            rf"\.on-{stock.page} \.sheet {{ page: {stock.page}; width: {width:g}mm", css
        )

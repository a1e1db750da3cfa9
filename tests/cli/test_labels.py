"""Labels: the sheets, and the command that writes them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from occupancy.core.entities import Item
from occupancy.labels.lines import truncate, wrap
from occupancy.labels.sheet import sheets
from occupancy.labels.stocks import STOCKS, a4_grid
from occupancy.services import Services
from tests.cli.command_line import Run

SVG = "{http://www.w3.org/2000/svg}"


def texts(sheet: str) -> list[str]:
    return ["".join(each.itertext()) for each in ET.fromstring(sheet).iter(f"{SVG}text")]


@pytest.mark.parametrize(("items", "pages"), [(0, 0), (1, 1), (24, 1), (25, 2), (49, 3)])
def test_as_many_sheets_as_it_takes(items: int, pages: int) -> None:
    made = list(
        sheets(
            [make_item(f"T-{number}") for number in range(items)],
            a4_grid(3, 8), board_url="http://x/boards/main",
        )
    )  # fmt: skip
    assert len(made) == pages
    assert sum(text.startswith("T-") for sheet in made for text in texts(sheet)) == items


def test_titles_in_any_script_stand_on_the_label() -> None:
    (sheet,) = sheets(
        [make_item("T-1", title="Štít <b>&\u2028 ✓")], a4_grid(1, 1),
        board_url="http://x/boards/main",
    )  # fmt: skip
    assert texts(sheet) == ["T-1", "Štít <b>&\ufffd ✓"]


def test_a_title_that_is_too_long_ends_in_an_ellipsis() -> None:
    (sheet,) = sheets([make_item("T-1", title="long " * 40)], a4_grid(3, 8), board_url="http://x")
    assert texts(sheet)[-1].endswith("…")


NBSP, NARROW, JOINER, SOFT, MARK = "\u00a0", "\u202f", "\u200d", "\u00ad", "\u0301"
MECHANIC, FAMILY, FLAG = "👩🏽\u200d🔧", "👨\u200d👩\u200d👧\u200d👦", "🇲🇽"


def lines(text: str, room: float = 10) -> list[str]:
    """In a font of which each character has the width 1."""
    return wrap(text, room, lambda _: 1)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("one two three", ["one two", "three"]),
        ("  one   two  ", ["one two"]),
        ("", []),
        (" ", []),
        (f"abc 10{NBSP}000{NARROW}mm", ["abc", f"10{NBSP}000{NARROW}mm"]),  # never inside a number
        (f"acero{SOFT}inoxidable", ["acero-", "inoxidable"]),
        (f"ace{SOFT}ro", ["acero"]),  # invisible where no line breaks
        (f"{SOFT}x{SOFT}", ["x"]),
        (f"abcdef{SOFT}ghi{SOFT}jkl", ["abcdefghi-", "jkl"]),
        ("acero-inoxidable", ["acero-", "inoxidable"]),
        ("- - -", ["- - -"]),
        ("path/of\u200bsomething", ["path/of", "something"]),
        ("abcdefghijklm", ["abcdefghij", "klm"]),
        (f"{'e' + MARK} " * 2 + "x", [f"e{MARK} e{MARK} x"]),
        (f"e{MARK}" * 11, [f"e{MARK}" * 10, f"e{MARK}"]),
        (MECHANIC * 11, [MECHANIC * 10, MECHANIC]),
        (FAMILY + FLAG * 10, [FAMILY + FLAG * 9, FLAG]),
        ("焊接工位第三号。请勿移动", ["焊接工位第三号。请勿", "移动"]),
        ("焊接工位第三号请勿动。", ["焊接工位第三号请勿", "动。"]),
        ("क्षि" * 11, ["क्षि" * 10, "क्षि"]),
        ("a\u2060b\ufeffc\u202ed", ["abcd"]),
        ("a\0b\nc\u2028d\uffff", ["a\ufffdb\ufffdc\ufffdd\ufffd"]),
    ],
)
def test_a_text_is_broken_where_its_readers_would_break_it(text: str, broken: list[str]) -> None:
    assert lines(text) == broken


@pytest.mark.parametrize(
    "title", [f"10{NBSP}mm", f"10{NARROW}mm", MECHANIC, FAMILY, FLAG, "☎\ufe0f", "\U0001fae8"]
)
def test_the_whole_title_is_on_the_label(title: str) -> None:
    (sheet,) = sheets([make_item("T-1", title=title)], a4_grid(3, 8), board_url="http://x")
    assert texts(sheet) == ["T-1", title]


def test_an_ellipsis_takes_the_place_of_whole_characters() -> None:
    room = 4.0
    broken = wrap(MECHANIC * 20, room, lambda _: 1)
    assert truncate(broken, 2, room, lambda _: 1) == [MECHANIC * 4, MECHANIC * 3 + "…"]
    assert truncate(broken, 0, room, lambda _: 1) == []
    assert truncate(broken[:2], 2, room, lambda _: 1) == broken[:2]


def test_the_command_writes_one_file_a_sheet_and_names_them(
    run: Run, shop: Services, tmp_path: Path
) -> None:
    result = run("items", "labels", "--out", str(tmp_path / "l.svg"))
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(tmp_path / "l.svg")]
    assert "only this machine" in result.stderr
    result = run("items", "labels", "--out", str(tmp_path / "l.svg"), "--columns=1", "--rows=1")
    assert result.stdout.split() == [str(tmp_path / f"l-{number}.svg") for number in (1, 2)]
    assert texts((tmp_path / "l-1.svg").read_text())[:2] == ["T-1", "One"]


@pytest.mark.parametrize("name", STOCKS)
def test_the_command_writes_one_file_whose_pages_have_the_size_of_the_stock(
    run: Run, shop: Services, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "labels.html"
    assert run("items", "labels", "--out", str(out), "--stock", name).exit_code == 0
    text, stock = out.read_text(), STOCKS[name]
    width, height = stock.page_mm
    assert f"size: {width:g}mm {height:g}mm" in text
    assert text.count(f'width="{width:g}mm" height="{height:g}mm"') == (
        2 if stock.labels == 1 else 1
    )
    assert "T-1" in text
    assert "T-2" in text


def test_only_the_tags_that_were_asked_for(run: Run, shop: Services, tmp_path: Path) -> None:
    out = tmp_path / "one.svg"
    assert run("items", "labels", "--out", str(out), "--tag", "T-2").exit_code == 0
    assert "T-2" in texts(out.read_text())
    assert "T-1" not in texts(out.read_text())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--tag", "T-9"], "has no item T-9"),
        (["--tag", "a b"], "tag"),
        (["--tag", "a\nb"], "tag"),
        (["--tag", "a\x07\u202eb"], "tag"),
        (["--board", "no\rwhere"], "board"),
        (["--board", "nowhere"], "nowhere"),
        (["--columns", "0"], "columns"),
        (["--out", "/nowhere/labels.svg"], "No such file"),
    ],
)
def test_unprintable_characters_stay_on_one_line(
    run: Run, shop: Services, tmp_path: Path, arguments: list[str], why: str
) -> None:
    result = run("items", "labels", "--out", str(tmp_path / "l.svg"), *arguments)
    assert result.exit_code != 0
    assert why in result.stderr
    assert result.stderr.endswith("\n")
    assert result.stderr.removesuffix("\n").isprintable()
    assert "Traceback" not in result.output


def make_item(tag: str, title: str = "") -> Item:
    """An item that nobody holds."""
    return Item(
        tag=tag, title=title, state="available", step="", holder=None,
        since="2026-11-22T19:00:00.000Z", reason=None, epoch=1, version=1, worked_s=0,
        attributes={},
    )  # fmt: skip

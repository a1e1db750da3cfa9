"""Exports: they import unchanged, and no cell of theirs is a formula."""

from __future__ import annotations

import csv
import io

import pytest

from occupancy.boards.commands import Command
from occupancy.core.errors import InvalidRequest
from occupancy.core.texts.formulas import escape_formula, unescape_formula
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from occupancy.tables.exporter import excel_bytes, export_items
from occupancy.tables.imports.item_import import import_items
from occupancy.tables.imports.item_rows import read_items
from tests.tables.rows import ADMIN, counts, items, load, put

NASTY = {
    "area": "B2",
    "diameter": 6,
    "length": 2.5,
    "is_checked": True,
    "nothing": None,
    "empty": "",
    "formula": "=1+1",
    "minus": -5,
    "minus text": "-5",
    "=name": "@x",
    "'=name": "'=x",
    "'name": "'x",
    "+json": 1,
    ' "y"': "x",
    '"y"': "x",
    "exact": 0.30000000000000004,
    "quoted": 'a "b", c; d',
    "spaces": "  x ",
    "number as text": "007",
    " name with spaces ": "x",
    "tag": "not the tag",
    "Title": "not the title",
    "worked_s": "not a number",
    "state": "not the state",
    "x:json": "{}",
    ":json": "y",
    "mañana": "Ünï©ödé 🛠",
}


def test_importing_an_export_changes_nothing(services: Services) -> None:
    put(services, "T-1", title="  One, \"or\" 'more'; ", attributes=NASTY)
    put(services, "T-2", title="Two")
    put(services, "T-3", attributes={"diameter": "six", "area": "C1"})
    for separator in ",;\t":
        text = export_items(items(services), is_full=False, separator=separator)
        assert counts(load(services, text)) == (0, 0, 3, 0)
        rows = read_items(excel_bytes(text.replace("\n", "\r\n")))
        report = import_items(services.store, "main", rows, actor=ADMIN)
        assert counts(report) == (0, 0, 3, 0)


FORMULAS = [f"{sign}cmd|' /C calc'!A0" for sign in ("=", "+", "-", "@", "＝", "＋", "－", "＠")]


@pytest.mark.parametrize(
    "text", [*FORMULAS, "'=x", "''=x", "'x", "x=1", '="0,1;2"', "\t=1", "\r=1"]
)
def test_an_escaped_cell_is_not_a_formula_and_survives_a_round_trip(text: str) -> None:
    assert escape_formula(text)[0] not in "=+-@＝＋－＠\t\r\n"
    assert unescape_formula(escape_formula(text)) == text


@pytest.mark.parametrize("is_full", [False, True])
def test_no_exported_cell_is_a_formula(services: Services, is_full: bool) -> None:
    for number, text in enumerate(FORMULAS):
        put(services, f"T-{number}", title=text, attributes={"note": text, text: text, "n": -1})
        block = TRANSITIONS["block"]
        services.store.commands.execute(
            Command("main", block, [f"T-{number}"], actor=ADMIN, reason=text)
        )
    before = items(services)
    exported = export_items(before, is_full=is_full)
    table = list(csv.reader(io.StringIO(exported)))
    cells = [cell for row in table for cell in row]
    assert {cell for cell in cells if cell[:1] in tuple("=+-@＝＋－＠")} == {"-1"}
    for text in FORMULAS:
        assert cells.count(f"'{text}") == (5 if is_full else 4)
    if not is_full:
        assert counts(load(services, exported)) == (0, 0, len(FORMULAS), 0)
        assert items(services) == before


def test_an_export_makes_the_same_items_on_another_board(services: Services) -> None:
    put(services, "T-1", title="One", attributes=NASTY)
    put(services, "T-2")
    before = items(services)
    services.store.boards.create("copy")
    rows = read_items(export_items(before, is_full=False).encode())
    import_items(services.store, "copy", rows, actor=ADMIN)
    made = [(item.tag, item.title, item.attributes) for item in items(services, "copy")]
    assert made == [(item.tag, item.title, item.attributes) for item in before]


def test_texts_are_plain_columns_and_other_values_json(services: Services) -> None:
    put(services, "T-1", attributes={"area": "B2", "diameter": 6})
    put(services, "T-2", attributes={"diameter": 8})
    assert export_items(items(services), is_full=False) == (
        "tag,title,area,diameter:json\nT-1,T-1,B2,6\nT-2,T-2,,8\n"
    )


def test_a_full_export_has_state_and_holder_and_is_not_imported(services: Services) -> None:
    put(services, "T-1", title="One", attributes=NASTY)
    services.store.commands.execute(Command("main", TRANSITIONS["take"], ["T-1"], actor=ADMIN))
    text = export_items(items(services), is_full=True)
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["state"], row["step"], row["holder"]) == ("occupied", "work", "admin")
    assert (row["epoch"], row["version"], row["state:json"]) == ("1", "2", '"not the state"')
    with pytest.raises(InvalidRequest, match="full export"):
        read_items(text.encode())

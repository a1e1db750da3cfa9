"""Files without a header: the letters of their columns, and when it is plain that there is none."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.tables.records import MAX_COLUMNS
from occupancy.tables.sandbox.headerless import column_letters
from tests.tables.spreadsheets import parsed, xlsx


@pytest.mark.parametrize(
    ("position", "letters"),
    [(0, "A"), (1, "B"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")],
)
def test_columns_have_the_letters_of_a_spreadsheet(position: int, letters: str) -> None:
    assert column_letters(position) == letters


def test_each_column_has_letters_of_its_own() -> None:
    assert len({column_letters(position) for position in range(MAX_COLUMNS)}) == MAX_COLUMNS


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("MK-1\nMK-2\nMK-3\n", "A"),
        ("MK-1;Codo\nMK-2;Tubo\nMK-3;Brida\n", "A"),
        ("Codo largo;MK-1;12,5\nTubo recto;MK-2;7\nCodo largo;MK-3;8\n", "B"),
        ("MK-1;B2\nMK-2;B3\nMK-3;B3\n", "A"),
        ("MK-9;Codo\nMK-8;Codo\nMK-7;Codo\nMK-10;Codo\nSP-1;Codo\n", "A"),
    ],
)
def test_a_list_of_items_plainly_has_no_header(text: str, code: str) -> None:
    head, _ = parsed(text.encode())
    assert head.headerless.is_plain
    assert head.headerless.guess is not None
    assert head.headerless.guess.code == code


@pytest.mark.parametrize(
    "text",
    [
        "tag\nMK-1\nMK-2\nMK-3\n",
        "Marca\nMK-1\nMK-2\nMK-3\n",
        "Marca;Zona\nMK-1;B2\nMK-2;B3\nMK-3;C1\n",
        "MK-1;Descripción\nMK-2;Codo\nMK-3;Tubo\nMK-4;Codo\n",  # a name that is known
        "Nave1\nMK1\nMK2\nMK3\n",  # another word before the digits
        "SP1\nSP11\nSP12\nSP13\n",  # of fewer digits, as a name of what is below
        "MK-100\nMK-100-1\nMK-100-2\nMK-100-3\n",  # of another shape, as the job of what is below
        "MK-1\nMK-2\nMK-3\nSP-1\nSP-2\nSP-3\nSP-4\n",  # most are others
        "MK-1;SP-1\nMK-2;SP-2\nMK-3;SP-3\n",  # two columns may be the code, or names of it
        "2024\n1001\n1002\n1003\n",  # a year above numbers
        "1000;Norte\n1001;Codo\n1002;Tubo\n1003;Codo\n",
        "2023;2024\n4711;4712\n4713;4714\n4715;4716\n",
        "1;2;3\n4711;Codo;B2\n4712;Tubo;B2\n4713;Codo;C1\n",  # columns with numbers for names
        "1;2;3\n4;Codo;B2\n5;Tubo;B2\n6;Codo;C1\n",
        "MK-1;Peso\nMK-2;12\nMK-3;7\nMK-4;8\n",  # a word above numbers
        "MK-1;\nMK-2;12\nMK-3;7\nMK-4;8\n",
        "MK-1;7\nMK-2;Codo\nMK-3;Tubo\nMK-4;Codo\n",
        "MK-1\nMK-1\nMK-1\nMK-2\n",  # no codes
        "Uno\nDos\nTres\nCuatro\n",  # codes without digits: any word may be a name
        "MK-1\nMK-2\n",
        "MK-1\n",
        "Lista\nMK-1;Codo\nMK-2;Tubo\nMK-3;Brida\n",  # a title above: it may stand above a header
    ],
)
def test_what_may_be_a_header_is_one(text: str) -> None:
    head, _ = parsed(text.encode())
    assert not head.headerless.is_plain


def test_without_a_header_nothing_above_is_lost_and_the_widest_row_counts() -> None:
    rows: list[list[Any]] = [
        ["LISTA 1335"],
        [],
        ["Spool", "Zona"],
        ["MK-1", "B2"],
        ["MK-2", "B3", None, "x"],
    ]
    head, records = parsed(xlsx({"Hoja1": rows}))
    assert (head.header, head.rows) == (["Spool", "Zona"], 2)
    whole = head.without_header()
    assert (whole.header, whole.header_line, whole.rows) == (["A", "B", "C", "D"], None, 4)
    assert [each.line for each in [*whole.leading, *records]] == [1, 3, 4, 5]

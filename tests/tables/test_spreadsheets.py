"""Spreadsheets with the habits of plants: what is read of them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from occupancy.core.errors import InvalidRequest
from occupancy.tables.columns import Mapping
from occupancy.tables.imports.item_rows import ItemRow, item_rows
from occupancy.tables.records import Record, Rejected
from tests.tables.spreadsheets import ods, parsed, xls, xlsx


def cells(data: bytes, **options: Any) -> list[list[str]]:
    """Header and rows."""
    head, records = parsed(data, **options)
    return [head.header, *(record.cells for record in records)]


def tags(data: bytes, mapping: Mapping | None = None) -> list[str]:
    head, records = parsed(data)
    chosen = mapping or head.guess
    assert chosen is not None
    return [row.tag for row in item_rows(head.header, chosen, records) if isinstance(row, ItemRow)]


def test_numbers_dates_booleans_and_formulas_are_read_as_people_see_them() -> None:
    row = [
        1001.0, 2.5, datetime.date(2026, 3, 1), datetime.datetime(2026, 3, 1, 7, 30), True,
        ("=1+1", 2), 0.1 + 0.2,
    ]  # fmt: skip
    assert cells(xlsx({"A": [list("abcdefg"), row]})) == [
        list("abcdefg"), ["1001", "2.5", "2026-03-01", "2026-03-01 07:30", "true", "2", "0.3"],
    ]  # fmt: skip


def test_zeros_at_the_beginning_stay_where_the_cell_is_a_text() -> None:
    assert tags(xlsx({"A": [["tag"], ["007"], [7]]})) == ["007", "7"]


def test_a_number_that_has_lost_its_last_digits_is_no_tag() -> None:
    head, records = parsed(xlsx({"A": [["tag"], [1234567890123456.0]]}))
    (row,) = item_rows(head.header, Mapping("tag"), records)
    assert isinstance(row, Rejected)
    assert "shortened" in row.why


def test_titles_above_the_header_and_empty_rows_and_columns_are_skipped() -> None:
    rows: list[list[Any]] = [
        [None, ["LISTA DE SPOOLS – PROYECTO 1335", 3]],
        [],
        [None, "Nº Spool", "Descripción", "Peso\n(kg)", "Área"],
        [],
        [None, "MK-1", "Codo", 12.0, "B2"],
        [None, "MK-2", "Tubo", None, ""],
    ]
    head, records = parsed(xlsx({"Hoja1": rows}))
    assert (head.header, head.header_line) == (
        ["Nº Spool", "Descripción", "Peso (kg)", "Área"], 3,
    )  # fmt: skip
    assert head.guess == Mapping("Nº Spool", "Descripción")
    assert records == [
        Record(5, ["MK-1", "Codo", "12", "B2"]), Record(6, ["MK-2", "Tubo", "", ""]),
    ]  # fmt: skip


def test_spaces_and_marks_that_nobody_sees_are_removed_and_letters_of_any_script_stay() -> None:
    data = xlsx({"A": [["\ufefftag ", "title"], [" \u00a0T-1\u200f ", "Ñandú\u00a0 שלום "]]})
    assert cells(data) == [["tag", "title"], ["T-1", "Ñandú  שלום"]]


def test_the_first_sheet_with_content_is_read_or_the_one_that_is_named() -> None:
    data = xlsx({"Portada": [], "Spools": [["tag"], ["T-1"]], "Otros": [["tag"], ["T-2"]]})
    head, records = parsed(data)
    assert (head.sheet, head.sheets) == ("Spools", ["Portada", "Spools", "Otros"])
    assert [record.cells for record in records] == [["T-1"]]
    assert cells(data, sheet="Otros") == [["tag"], ["T-2"]]
    with pytest.raises(InvalidRequest, match="no sheet 'Nada'; there are: Portada, Spools"):
        parsed(data, sheet="Nada")


@pytest.mark.parametrize("make", [ods, xls])
def test_other_formats_are_read_alike(make: Any) -> None:
    head, records = parsed(make([["Código", "Título"], ["A-1", "Ñandú"], ["A-2", "Dos"]]))
    assert (head.format, head.sheet) == (make.__name__, "Hoja1")
    assert head.guess == Mapping("Código", "Título")
    assert [record.cells for record in records] == [["A-1", "Ñandú"], ["A-2", "Dos"]]


def test_a_csv_file_of_a_spanish_excel_is_read() -> None:
    data = 'Lista;;\r\nCódigo;Descripción;Kg\r\nA-1;Codo 3";2,5\r\n'.encode("cp1252")
    head, records = parsed(data.replace(b'3"', b"3"))
    assert (head.format, head.encoding, head.separator) == ("csv", "cp1252", ";")
    assert head.guess == Mapping("Código", "Descripción")
    assert records == [Record(3, ["A-1", "Codo 3", "2,5"])]


def test_a_header_with_a_line_break_is_one_line() -> None:
    head, _ = parsed('"Código\nde spool";Nombre;"Peso\r\n(kg)"\nA-1;Uno;3\n'.encode())
    assert head.header == ["Código de spool", "Nombre", "Peso (kg)"]


def test_names_of_columns_are_bounded() -> None:
    head, _ = parsed(f"code;{'x' * 100_000}\nA-1;Uno\n".encode())
    assert [len(each) for each in head.header] == [4, 200]


def test_text_that_is_script_or_a_formula_stays_text() -> None:
    script = "<script>alert(1)</script>"
    head, records = parsed(xlsx({"A": [["tag", script], ["T-1", '=HYPERLINK("x")']]}))
    (row,) = item_rows(head.header, Mapping("tag"), records)
    assert isinstance(row, ItemRow)
    assert row.body.attributes == {script: '=HYPERLINK("x")'}


def test_columns_are_mapped_or_left_out() -> None:
    rows = [["Spool", "Title", "Notes", "Notes"], ["T-1", "x", "a", "b"]]
    head, records = parsed(xlsx({"A": rows}))
    with pytest.raises(InvalidRequest, match="two columns 'Notes'"):
        list(item_rows(head.header, Mapping("Spool"), records))
    (row,) = item_rows(head.header, Mapping("spool", None, ["notes"]), records[:1])
    assert isinstance(row, ItemRow)
    assert (row.tag, row.body.title, row.body.attributes) == ("T-1", None, {"Title 2": "x"})
    for wrong, why in ((Mapping("Nr"), "no column 'Nr'"), (Mapping("Spool", "spool"), "both")):
        with pytest.raises(InvalidRequest, match=why):
            list(item_rows(head.header, wrong, records))


def test_the_code_is_found_by_its_cells_where_no_name_tells() -> None:
    rows: list[list[Any]] = [[zone, f"T-{n}", 3] for n, zone in enumerate("BBC")]
    head, _ = parsed(xlsx({"A": [["Zona", "Marca", "Kg"], *rows]}))
    assert head.guess == Mapping("Marca")
    assert [column.unique for column in head.columns] == [0.667, 1.0, 0.333]


def test_a_file_that_is_no_table_is_refused_with_a_sentence() -> None:
    for data, why in (
        (b"PK\x03\x04" + b"\0" * 100, "cannot be read"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "cannot be read"),
        (xlsx({"A": []}), "empty"),
        (b"", "empty"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            parsed(data)

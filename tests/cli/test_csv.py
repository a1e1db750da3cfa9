"""CSV: the accepted files of items and workers, and the result of each row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from occupancy.access.pins import is_pin
from occupancy.boards.commands import Command
from occupancy.cli.csv.encoding import decode_text, detect_encoding
from occupancy.cli.csv.exporter import excel_bytes, export_items
from occupancy.cli.csv.importer import (
    ItemRow,
    Report,
    import_items,
    import_workers,
    read_items,
    read_workers,
)
from occupancy.cli.csv.table import Rejected
from occupancy.core.entities import Item, Person, Role
from occupancy.core.errors import BoardNotFound, InvalidRequest, StoreUnavailable
from occupancy.core.requests import ItemBody
from occupancy.core.settings import Settings
from occupancy.core.spreadsheets.formulas import escape_formula, unescape_formula
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services
from tests.support.servers import RealServer

ADMIN = Person("admin", "Admin")


def bodies(text: str) -> dict[str, ItemBody]:
    """The rows of a file without errors."""
    rows = read_items(text.encode())
    assert all(isinstance(row, ItemRow) for row in rows), rows
    return {row.tag: row.body for row in rows if isinstance(row, ItemRow)}


def rejected(text: str) -> list[tuple[int, str]]:
    """Lines and reasons of the rejected rows."""
    return [(row.line, row.why) for row in read_items(text.encode()) if isinstance(row, Rejected)]


def load(services: Services, text: str, *, dry_run: bool = False) -> Report:
    rows = read_items(text.encode())
    return import_items(services.store, "main", rows, actor=ADMIN, dry_run=dry_run)


def items(services: Services, board: str = "main") -> list[Item]:
    snapshot = services.store.queries.snapshot(board)
    assert snapshot is not None
    return [msgspec.json.decode(each, type=Item) for each in snapshot.items]


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, len(report.rejected)


# The file


def test_other_columns_become_attributes() -> None:
    found = bodies("tag,title,area\nT-1,One,B2\n")
    assert found == {"T-1": ItemBody(title="One", attributes={"area": "B2"})}


def test_columns_stand_in_any_order_and_tag_and_title_in_any_case() -> None:
    assert bodies("area, Title ,TAG\nB2,One,T-1\n")["T-1"].title == "One"


def test_without_a_title_column_or_with_an_empty_title_the_title_is_not_given() -> None:
    assert bodies("tag\nT-1\n")["T-1"] == ItemBody()
    assert bodies("tag,title\nT-1,\n")["T-1"] == ItemBody()


def test_an_empty_cell_means_that_the_item_does_not_have_the_attribute() -> None:
    assert bodies("tag,area,bay\nT-1,,7\n")["T-1"].attributes == {"bay": "7"}


def test_numbers_stay_texts_as_they_are_written() -> None:
    assert bodies("tag,code\nT-1,007\n")["T-1"].attributes == {"code": "007"}


def test_a_json_column_holds_other_types() -> None:
    found = bodies('tag,n:json\nT-1,6\nT-2,true\nT-3,""""""\nT-4,null\nT-5,\n')
    assert [body.attributes for body in found.values()] == [
        {"n": 6}, {"n": True}, {"n": ""}, {"n": None}, {},
    ]  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_from_the_header(delimiter: str) -> None:
    text = f"title{delimiter}tag\nA, b; c{delimiter}T-1\n".replace("A, b; c", '"A, b; c"')
    assert bodies(text)["T-1"].title == "A, b; c"


def test_a_byte_order_mark_does_not_belong_to_the_first_column() -> None:
    assert list(bodies("\ufefftag,title\nT-1,One\n")) == ["T-1"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_blank_lines_and_empty_rows_are_skipped(newline: str) -> None:
    text = newline.join(["", "tag,title", "", "T-1,One", ",", "T-2,Two", "", "T-3"])
    rows = read_items(text.encode())
    assert [(row.line, type(row)) for row in rows] == [(4, ItemRow), (6, ItemRow), (8, ItemRow)]


def test_superfluous_empty_cells_as_spreadsheets_write_them_do_no_harm() -> None:
    assert list(bodies("tag,title,,\nT-1,One,,\nT-2,Two,,,,\n")) == ["T-1", "T-2"]


def test_only_a_header_is_a_file_without_rows() -> None:
    assert read_items(b"tag,title\n") == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b" \r\n\r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"name,title\nT-1,One\n", "no column 'tag'; the columns are: name, title"),
        (b"tag,area,area\nT-1,a,b\n", "two columns 'area'"),
        (b'tag,"a\nb"\nT-1,x\n', "column 2 has the character U\\+000A"),
        (b'tag,"a"b\nT-1,x\n', "header cannot be read"),
        (b"tag,title\nT-1,One\nT-2,Caf\xe9\x81\n", "not utf-8: line 3 has the byte 0xE9.*--enc"),
        ("tag,title\nT-1,Ñandú\n".encode() + b"T-2,\xe9\n", "not utf-8: line 3 has the byte 0xE9"),
        (b"\xef\xbb\xbftag\nT-1\xe9\n", "not utf-8: line 2 has the byte 0xE9"),
        ("tag\nT-1".encode("utf-16")[:-1], "not utf-16"),
        (b"sep=;\r\n", "empty"),
        (b'"name";"title"\n"T-1";"x"\n', "no column 'tag'; the columns are: name, title"),
        (b'"tag" x;"title"\n', "header cannot be read"),
        (b"sep=;\r\ntag,title\r\nT-1,One", "no column 'tag'; the columns are: tag,title"),
        (b";;\n ; ;\n", "no column 'tag'"),
        (
            b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0",
            "spreadsheet itself.*save or export it as CSV",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "spreadsheet itself"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(data: bytes, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        read_items(data)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "cp850", "mac-roman"])
def test_another_encoding_is_read_where_it_is_named(encoding: str) -> None:
    rows = read_items("tag,title\nT-1,Café\n".encode(encoding), encoding=encoding)
    assert rows == [ItemRow(2, "T-1", ItemBody(title="Café"))]


@pytest.mark.parametrize(
    "data",
    [
        "tag;title;note\r\nB-1;Ñu – €;x\r\nB-2;;\r\nB-3;x",  # trailing empty cells left out
        "\ufefftag;title;note\r\nB-1;Ñu – €;x\r\nB-2;;\r\nB-3;x;",
        "sep=;\r\ntag;title;note\r\nB-1;Ñu – €;x\r\nB-2\r\nB-3;x\r\n",
        "\ufeffSEP=;\rtag;title;note\rB-1;Ñu – €;x\rB-2;\rB-3;x\r",  # a Mac of old
        '"sep=;"\ntag;title;note\nB-1;Ñu – €;x\nB-2\nB-3;x\n',
        "sep=;;;\ntag;title;note\nB-1;Ñu – €;x\nB-2\nB-3;x\n",
        "sep=|\ntag|title|note\nB-1|Ñu – €|x\nB-2\nB-3|x\n",
        "sep=\t\ntag\ttitle\tnote\nB-1\tÑu – €\tx\nB-2\nB-3\tx\n",
        "tag\ttitle\tnote\t\t\r\nB-1\tÑu – €\tx\t\t\r\nB-2\r\nB-3\tx\t\t\r\n",
        ";;\n ;\u00a0;\ntag;title;note;\n  ;;;\nB-1;Ñu – €;x;;\n;;\nB-2;\nB-3;x\n;;;;\n\n",
        '" Tag ";"TITLE ";" note "\n"B-1";"Ñu – €";"x"\n"B-2";"";""\n"B-3";"x";""\n',
        '"tag", "title", "note"\n"B-1", "Ñu – €", "x"\n"B-2", "", ""\n"B-3", "x"\n',
        "tag, title, note\r\nB-1,Ñu – €,x\r\nB-2,,\r\nB-3,x,\r\n\x1a",
        "tag,title,note\nB-1,Ñu – €,x\nB-2\nB-3,x\n\0\0",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_peculiarities_of_spreadsheets_are_accepted(data: str, encoding: str) -> None:
    text = data if encoding != "cp1252" else data.removeprefix("\ufeff")
    if encoding in ("utf-16-le", "utf-16-be") and not text[0].isascii():
        text = text.removeprefix("\ufeff")
    rows = read_items(text.encode(encoding))
    assert [(row.tag, row.body) for row in rows if isinstance(row, ItemRow)] == [
        ("B-1", ItemBody(title="Ñu – €", attributes={"note": "x"})),
        ("B-2", ItemBody(attributes={})),
        ("B-3", ItemBody(title="x", attributes={})),
    ]


def test_lines_in_a_huge_cell_are_not_rows() -> None:
    cell = "x" * 140_000 + "\nB-2,from inside\n" + "x" * 140_000 + "\nB-3,too"
    found = read_items(f'tag,title\nB-1,"{cell}"\nB-4,Four\n'.encode())
    assert [type(row) for row in found] == [Rejected, ItemRow]
    assert (found[0].line, isinstance(found[1], ItemRow) and found[1].tag) == (2, "B-4")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_repeated_header_is_not_an_item(mark: str) -> None:
    text = f"Tag,title,area\nB-1,One,x\n{mark}Tag,title,area\nB-2,Two,y\n"
    found = read_items(text.encode())
    assert [isinstance(row, ItemRow) and row.tag for row in found] == ["B-1", False, "B-2"]
    assert rejected(text) == [(3, "it repeats the header: are these two files in one?")]


def test_a_mark_after_the_separator_line_does_not_belong_to_the_header() -> None:
    assert list(bodies("sep=;\r\n\ufefftag;title\r\nB-1;One\r\n")) == ["B-1"]


def test_lines_are_counted_with_the_first_one_that_names_the_separator() -> None:
    assert [line for line, _ in rejected("sep=;\ntag;title\nT 1;x\n\nT 2;x\n")] == [3, 5]
    ((line, why),) = rejected('sep=;\ntag;title\nT-1;"One\nT-2;Two\n')
    assert (line, "up to line 4" in why) == (3, True)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"tag\nT-1\n", "utf-8"),
        ("tag\nCAFÉ” – €\n".encode("cp1252"), "cp1252"),  # É” is also a character of UTF-8
        ("tag\nÑandú “x” – €\n".encode("cp1252"), "cp1252"),
        ("tag\nÑandú “x” – €\n".encode(), "utf-8"),
        ("tag\nT".encode("utf-16"), "utf-16"),
        (b"", "utf-8"),
    ],
)
def test_the_encoding_is_found(data: bytes, encoding: str) -> None:
    found = detect_encoding(data)
    assert found == encoding
    assert decode_text(data, "auto") == data.decode(found)


# Rows


@pytest.mark.parametrize(
    "tag", ["1.23457E+11", "1,23457E+11", "1E+11", "-1.5e+05", "1.20E-33", "#######"]
)
def test_a_tag_or_an_id_shortened_by_a_spreadsheet_is_refused_with_advice(tag: str) -> None:
    ((line, why),) = rejected(f'tag,title\n"{tag}",x\n')
    assert line == 2
    assert "format the column as text" in why or "widen it" in why


@pytest.mark.parametrize("tag", ["25E10", "5E-12", "E-1.5", "1.5"])
def test_a_tag_that_only_looks_like_a_number_is_one(tag: str) -> None:
    assert list(bodies(f"tag\n{tag}\n")) == [tag]


@pytest.mark.parametrize("text", [" ", "\u00a0", "\u200b", "\u2060\ufeff", "\u00ad", "a\u202eb"])
def test_a_title_of_nothing_visible_or_in_another_order_rejects_its_row(text: str) -> None:
    ((_, why),) = rejected(f'tag,title\nT-1,"{text}"\n')
    assert why.startswith("title has ")


@pytest.mark.parametrize(
    "number",
    ["9007199254740993", "0.1234567890123456789", "1e22", "1e-999999999999999999999"],
)
def test_a_json_number_that_would_be_rounded_rejects_its_row(number: str) -> None:
    ((_, why),) = rejected(f"tag,n:json,o:json\nT-1,{number},1.5\n")
    assert "Send it as text" in why
    assert "'n'" in why
    assert bodies(f"tag,n\nT-1,{number}\n")["T-1"].attributes == {"n": number}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("T 1,One,x", "tag 'T 1' is not allowed"),
        (",One,x", "tag '' is not allowed"),
        (f"{'T' * 65},One,x", "is not allowed: 1 to 64"),
        (f"T-1,{'x' * 201},x", "title: .*200"),
        (f"T-1,One,{'x' * 501}", "column 'area': .*500"),
        ("T-1,O\0ne,x", "title has the character U\\+0000"),
        ("T-1,One,\x1b[31m", "column 'area': attributes has the character U\\+001B"),
        ('T-1,"One\nmore",x', "title has the character U\\+000A"),
        ("T-1,One,x,y", "4 cells; the header has 3"),
        ('T-1,"One" more,x', "quotation mark"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_the_next_is_read(row: str, why: str) -> None:
    found = read_items(f"tag,title,area\nA-1,a,a\n{row}\nZ-1,z,z\n".encode())
    assert [type(each) for each in found] == [ItemRow, Rejected, ItemRow]
    bad = found[1]
    assert isinstance(bad, Rejected)
    assert bad.line == 3
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(bad.why)


def test_a_cell_under_no_name_is_rejected() -> None:
    assert rejected("tag,,area\nT-1,x,B2\n") == [(2, "column 2 has no name in the header")]


def test_the_second_of_two_equal_tags_is_rejected_and_names_the_first() -> None:
    assert rejected("tag\nT-1\nT-2\nT-1\n") == [(4, "line 2 has the same one")]


def test_a_quotation_mark_that_is_not_closed_says_how_far_it_reaches() -> None:
    ((line, why),) = rejected('tag,title\nT-1,"One\nT-2,Two\nT-3,Three\n')
    assert line == 2
    assert "up to line 4" in why


def test_lines_are_counted_through_quoted_line_breaks() -> None:
    assert [line for line, _ in rejected('tag,title\nT-1,"a\nb\nc"\nT-2,ok\nT 3,x\n')] == [2, 6]


def test_a_json_column_that_is_not_json_rejects_its_row() -> None:
    ((line, why),) = rejected("tag,n:json\nT-1,six\n")
    assert (line, why.split(":")[0]) == (2, "n")
    ((_, why),) = rejected('tag,n:json\nT-1,"[1]"\n')
    assert "column 'n'" in why


def test_an_attribute_given_twice_is_rejected() -> None:
    ((_, why),) = rejected("tag,n,n:json\nT-1,6,6\n")
    assert "twice" in why


# Results


def test_items_are_added_updated_or_left_alone(services: Services) -> None:
    assert counts(load(services, "tag,title\nT-1,One\nT-2,Two\n")) == (2, 0, 0, 0)
    report = load(services, "tag,title\nT-1,One\nT-2,Zwei\nT-3,Three\nT 4,x\n")
    assert counts(report) == (1, 1, 1, 1)
    assert [item.title for item in items(services)] == ["One", "Zwei", "Three"]
    assert services.store.log.head("main").head_seq == 4


def test_a_dry_run_counts_the_same_and_changes_nothing(services: Services) -> None:
    load(services, "tag,title\nT-1,One\nT-2,Two\n")
    text = "tag,title\nT-1,One\nT-2,Zwei\nT-3,Three\nT 4,x\n"
    assert counts(load(services, text, dry_run=True)) == (1, 1, 1, 1)
    assert [item.title for item in items(services)] == ["One", "Two"]
    assert services.store.log.head("main").head_seq == 2


def test_fields_without_a_column_stay(services: Services) -> None:
    load(services, "tag,title,area\nT-1,One,B2\n")
    services.store.commands.execute(Command("main", TRANSITIONS["take"], ["T-1"], actor=ADMIN))
    load(services, "tag,title\nT-1,Uno\n")
    (item,) = items(services)
    assert (item.title, item.attributes, item.state) == ("Uno", {"area": "B2"}, "occupied")


def test_columns_of_attributes_replace_all_attributes(services: Services) -> None:
    load(services, "tag,title,area,bay\nT-1,One,B2,7\nT-2,Two,B2,7\n")
    load(services, "tag,area\nT-1,C1\nT-2,\n")
    assert [(item.title, item.attributes) for item in items(services)] == [
        ("One", {"area": "C1"}), ("Two", {}),
    ]  # fmt: skip


def test_a_board_that_is_not_there_is_an_error_even_without_rows(services: Services) -> None:
    with pytest.raises(BoardNotFound):
        import_items(services.store, "nowhere", [], actor=ADMIN)


def test_ten_thousand_rows_go_in(valkey_services: Services) -> None:
    text = "tag,title,area\n" + "".join(f"T-{n:05d},Spool {n},B2\n" for n in range(10_000))
    steps: list[int] = []
    report = import_items(
        valkey_services.store, "main", read_items(text.encode()),
        actor=ADMIN, on_progress=steps.append,
    )  # fmt: skip
    assert counts(report) == (10_000, 0, 0, 0)
    assert sum(steps) == 10_000
    board = valkey_services.store.boards.get("main")
    assert (board.counts["available"], board.seq) == (10_000, 10_000)


def test_an_import_interrupted_by_the_server_reports_its_position(
    tmp_path: Path, own_server: RealServer
) -> None:
    settings = Settings(redis_url=own_server.url, state_dir=str(tmp_path / "state"))
    services = Services.for_command_line(settings)
    rows = read_items(b"tag\n" + b"".join(b"T-%d\n" % n for n in range(1000)))
    steps: list[int] = []

    def stop_at_the_first_row(_steps: int) -> None:
        steps.append(1)
        if len(steps) == 2:  # the first call counts the rejected rows
            own_server.stop()

    try:
        with pytest.raises(StoreUnavailable, match=r"200 of 1000 rows are done; it is safe"):
            import_items(
                services.store, "main", rows, actor=ADMIN, on_progress=stop_at_the_first_row
            )
        own_server.start()
        assert counts(import_items(services.store, "main", rows, actor=ADMIN)) == (800, 0, 200, 0)
    finally:
        services.close()


# Export


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


def put(services: Services, tag: str, **fields: object) -> None:
    texts = {name: json.dumps(value) for name, value in fields.items()}
    body = msgspec.json.decode(json.dumps(fields), type=ItemBody)
    assert set(texts) == set(body.as_json_texts())
    services.store.commands.execute(
        Command("main", PUT, [tag], actor=ADMIN, items=[body.as_json_texts()])
    )


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


# Workers


def load_workers(services: Services, text: str) -> Report:
    return import_workers(services.workers, read_workers(text.encode()))


def test_workers_are_added_updated_or_left_alone(services: Services) -> None:
    text = "id;name;role\n93;Marta;worker\n12;Carlos;Supervisor\n"
    assert counts(load_workers(services, text)) == (2, 0, 0, 0)
    text = "id,name,role\n93,Marta,worker\n12,Carlos,admin\n7,Ana,observer\n"
    assert counts(load_workers(services, text)) == (1, 1, 1, 0)
    assert services.workers.get("12").role == Role.ADMIN.label


def test_bad_workers_are_rejected_with_their_lines(services: Services) -> None:
    report = load_workers(
        services,
        "id,name,role,pin\n93,Marta,boss,\n9 3,Marta,worker,\n94,,worker,\n95,A\0b,worker,\n"
        "96,Iván,worker,12\n97,Ana,worker,2580\n97,Ana,worker,2580\n5813,Eva,worker,5813\n",
    )
    assert counts(report) == (1, 0, 0, 7)
    assert [each.line for each in report.rejected] == [2, 3, 4, 5, 6, 8, 9]
    assert [worker.id for worker in services.workers.all()] == ["97"]


def test_a_pin_is_stored_as_a_hash_and_an_empty_one_keeps_it(services: Services) -> None:
    assert counts(load_workers(services, "id,name,role,pin\n93,Marta,worker,2580\n"))[0] == 1
    pin_hash = services.workers.get("93").pin_hash
    assert pin_hash is not None
    assert is_pin("2580", pin_hash)
    assert not is_pin("2581", pin_hash)
    again = load_workers(services, "id,name,role,pin\n93,Marta,worker,2580\n")
    assert counts(again) == (0, 0, 1, 0)
    load_workers(services, "id,name,role,pin\n93,Marta R.,worker,\n")
    assert services.workers.get("93").pin_hash == pin_hash


@pytest.mark.parametrize("pin", [
    "1.23457E+11", "1,23457E+11", "1E+11", " 1.23E+11 ", "123.456.789", "123,456,789",
    "1'234'567.00", "123\u00a0456\u00a0789", "27015839.00", "27015839,0", "'27015839",
])  # fmt: skip
def test_a_pin_that_a_spreadsheet_has_shortened_is_refused_and_not_repeated(
    services: Services, pin: str
) -> None:
    report = load_workers(services, f"id;name;role;pin\n93;Marta;worker;{pin}\n")
    assert "pin is a number" in report.rejected[0].why
    ((why),) = [each.why for each in report.rejected]
    assert "format the column as text" in why
    assert pin not in why
    assert not services.workers.is_any()


def test_blanks_around_the_digits_of_a_pin_are_no_part_of_it(services: Services) -> None:
    load_workers(services, "id;name;role;pin\n93;Marta;worker; 27015839\u00a0\n")
    assert is_pin("27015839", services.workers.get("93").pin_hash)


def test_a_pin_without_its_leading_zeros_is_refused_with_the_cause(services: Services) -> None:
    report = load_workers(services, "id,name,role,pin\n93,Marta,worker,42\n")
    assert "format the column as text" in report.rejected[0].why


def test_a_workers_name_of_nothing_visible_is_rejected(services: Services) -> None:
    report = load_workers(services, "id,name,role\n93,\u200b,worker\n94,a\u202eb,worker\n")
    assert [each.why.split(" has ")[0] for each in report.rejected] == ["name", "name"]


def test_a_disabled_worker_stays_disabled(services: Services) -> None:
    load_workers(services, "id,name,role\n93,Marta,worker\n")
    services.workers.edit("93", disabled=True)
    load_workers(services, "id,name,role\n93,Marta Ruiz,worker\n")
    assert services.workers.get("93").disabled


@pytest.mark.parametrize(
    ("header", "why"),
    [("id,name", "no column 'role'"), ("id,name,role,rol", "no column rol"), ("", "empty")],
)
def test_a_file_of_workers_has_these_columns_and_no_others(header: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        read_workers(header.encode())


@pytest.mark.parametrize(
    ("read", "data", "why"),
    [
        (read_items, b'sep=\x1b\n"tag"x\n', r"'\\x1b' expected"),
        (read_items, "tag,\u202ea,\u202ea\n".encode(), r"two columns '\\u202ea'"),
        (read_workers, "id,name,role,\u202ea".encode(), r"no column \\u202ea"),
    ],
)
def test_a_message_about_a_file_shows_no_character_that_moves_the_terminals_cursor(
    read: Callable[[bytes], object], data: bytes, why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        read(data)
    assert refused.value.detail.isprintable()

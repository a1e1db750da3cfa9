"""Files of items and workers: which are read, in which encoding, and which are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.items import ItemBody
from occupancy.tables.encoding import decode_text, detect_encoding
from occupancy.tables.imports.item_rows import ItemRow, read_items
from occupancy.tables.imports.worker_import import read_workers
from occupancy.tables.records import Rejected
from tests.tables.rows import bodies, rejected


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

"""Rows of items: which are rejected, with their line and why."""

from __future__ import annotations

import pytest

from occupancy.services import Services
from occupancy.tables.imports.item_rows import ItemRow, read_items
from occupancy.tables.imports.worker_import import import_workers, read_workers
from occupancy.tables.records import Rejected
from tests.tables.rows import bodies, rejected


@pytest.mark.parametrize(
    "tag", ["1.23457E+11", "1,23457E+11", "1E+11", "-1.5e+05", "1.20E-33", "#######"]
)
def test_a_tag_or_an_id_shortened_by_a_spreadsheet_is_refused_with_advice(
    services: Services, tag: str
) -> None:
    advice = "widen it" if tag.startswith("#") else "format the column as text"
    workers = read_workers(f'id,name,role\n"{tag}",x,worker\n'.encode())
    report = import_workers(services.workers, workers)
    found = rejected(f'tag,title\n"{tag}",x\n')
    found += [(row.line, row.why) for row in report.rejected]
    assert [(line, advice in why) for line, why in found] == [(2, True)] * 2
    assert services.workers.all() == []


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

"""Import of a file whose first row is an item already, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from occupancy.services import Services
from tests.support.tablets import fields, problem
from tests.tables.spreadsheets import xlsx
from tests.web.item_files import FILE, MAPPING, Desk, counts

LIST = "MK-1;Codo largo;B2\r\nMK-2;Tubo recto;B2\r\nMK-3;Brida ciega;C1\r\n"
SHORT = "MK-1;Codo largo;B2\r\nMK-2;Tubo recto;B2\r\n"  # too short to be sure


@pytest.fixture
def desk(services: Services) -> Desk:
    return Desk(services)


def looked_at(desk: Desk, upload: dict[str, Any], **query: str) -> dict[str, Any]:
    answer = desk.send("GET", f"/imports/{upload['id']}", query_string=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = fields(answer)
    return found


def test_a_plain_list_is_proposed_without_a_header_and_no_item_is_lost(desk: Desk) -> None:
    found = desk.uploaded(LIST)
    assert (found["has_header"], found["header_line"], found["rows"]) == (False, None, 3)
    assert [(each["name"], each["samples"][0]) for each in found["columns"]] == [
        ("A", "MK-1"), ("B", "Codo largo"), ("C", "B2"),
    ]  # fmt: skip
    assert found["mapping"] == {"code": "A", "title": "B", "left_out": ["C"], "has_header": False}
    assert found["mapping_source"] == "guessed"
    assert counts(found["preview"]) == (3, 0, 0, 0)
    assert found["preview"]["lines"]["added"][0] == {
        "line": 1, "tag": "MK-1", "title": "Codo largo",
    }  # fmt: skip
    ran = desk.ran(found, found["mapping"])
    assert (ran["state"], ran["rows"], *counts(ran)) == ("done", 3, 3, 0, 0, 0)
    assert desk.items() == {
        "MK-1": ("Codo largo", {}), "MK-2": ("Tubo recto", {}), "MK-3": ("Brida ciega", {}),
    }  # fmt: skip


def test_what_is_not_sure_has_a_header_until_somebody_says_that_it_has_none(desk: Desk) -> None:
    upload = desk.uploaded(SHORT)
    assert (upload["has_header"], upload["rows"]) == (True, 1)
    assert upload["mapping"]["has_header"] is True
    found = looked_at(desk, upload, has_header="false")
    assert (found["has_header"], found["rows"], found["mapping_source"]) == (False, 2, "guessed")
    assert found["mapping"] == {"code": "A", "title": "B", "left_out": ["C"], "has_header": False}
    assert counts(found["preview"]) == (2, 0, 0, 0)


def test_a_proposal_to_read_without_a_header_can_be_declined(desk: Desk) -> None:
    found = looked_at(desk, desk.uploaded(LIST), has_header="true")
    assert (found["has_header"], found["header_line"], found["rows"]) == (True, 1, 2)
    assert [each["name"] for each in found["columns"]] == ["MK-1", "Codo largo", "B2"]


def test_letters_become_attributes_only_where_the_mapping_says_so(desk: Desk) -> None:
    upload = desk.uploaded(SHORT)
    mapping: dict[str, Any] = {"code": "a", "has_header": False}
    found = looked_at(desk, upload, mapping=json.dumps(mapping))
    assert found["mapping"]["left_out"] == ["B", "C"]
    desk.ran(upload, mapping)
    assert desk.items()["MK-1"] == ("MK-1", {})
    desk.ran(upload, {**mapping, "title": "B", "left_out": []})
    assert desk.items()["MK-1"] == ("Codo largo", {"C": "B2"})


def test_a_spreadsheet_without_a_header_is_imported_from_its_first_row(desk: Desk) -> None:
    rows: list[list[Any]] = [
        ["LISTA"],
        ["Codo", "MK-1", 12.5],
        ["Tubo", "MK-2", 7],
        ["Brida", "MK-3", 8, "urgente"],
    ]
    upload = desk.uploaded(xlsx({"Hoja1": rows}))
    assert upload["has_header"] is True  # something stands above: who knows what
    mapping = {"code": "B", "title": "A", "left_out": ["C"], "has_header": False}
    found = looked_at(desk, upload, mapping=json.dumps(mapping))
    assert [each["name"] for each in found["columns"]] == ["A", "B", "C", "D"]
    assert counts(found["preview"]) == (3, 0, 0, 1)
    assert found["preview"]["lines"]["rejected"][0]["cause"]["code"] == "no_code"
    desk.ran(upload, mapping)
    assert desk.items() == {
        "MK-1": ("Codo", {}), "MK-2": ("Tubo", {}), "MK-3": ("Brida", {"D": "urgente"}),
    }  # fmt: skip


def test_a_cell_that_is_called_like_a_column_is_no_header_where_there_is_none(desk: Desk) -> None:
    upload = desk.uploaded("tag\r\nT-1\r\n")
    ran = desk.ran(upload, {"code": "A", "has_header": False})
    assert counts(ran) == (2, 0, 0, 0)
    assert set(desk.items()) == {"tag", "T-1"}


def test_the_columns_of_a_list_are_remembered_for_the_next_one(desk: Desk) -> None:
    mapping = {"code": "A", "title": "C", "left_out": ["B"], "has_header": False}
    desk.ran(desk.uploaded(LIST), mapping)
    found = desk.uploaded(LIST.replace("MK-", "MK-10"))
    assert (found["mapping"], found["mapping_source"]) == (mapping, "remembered")


def test_a_list_that_was_imported_without_a_header_is_known_again(desk: Desk) -> None:
    mapping = {"code": "A", "title": None, "left_out": ["B", "C"], "has_header": False}
    desk.ran(desk.uploaded(SHORT), mapping)
    found = desk.uploaded(SHORT)
    assert (found["mapping"], found["mapping_source"]) == (mapping, "remembered")
    declined = looked_at(desk, found, has_header="true")
    assert (declined["has_header"], declined["mapping_source"]) == (True, "guessed")


def test_what_is_remembered_of_letters_is_not_for_a_header_of_letters(desk: Desk) -> None:
    desk.ran(desk.uploaded(LIST), {"code": "A", "has_header": False})
    found = desk.uploaded(f"A;B;C\r\n{LIST}")
    assert (found["has_header"], found["mapping_source"]) == (True, "guessed")


def test_a_header_that_the_board_knows_stays_one(desk: Desk) -> None:
    desk.ran(desk.uploaded(LIST), {"code": "MK-1", "left_out": ["Codo largo", "B2"]})
    found = desk.uploaded(LIST)
    assert (found["has_header"], found["mapping_source"]) == (True, "remembered")


def test_a_choice_that_cannot_be_is_refused(desk: Desk) -> None:
    path = f"/imports/{desk.uploaded()['id']}"
    wrong: tuple[dict[str, str], ...] = (
        {"has_header": "perhaps"},
        {"has_header": "false", "mapping": json.dumps(MAPPING)},
        {"mapping": json.dumps({"code": "Código", "has_header": False})},
        {"mapping": json.dumps({"code": "A"})},
    )
    for query in wrong:
        answer = desk.send("GET", path, query_string=query)
        assert problem(answer) == (400, "invalid_request"), query
    run = desk.send("POST", f"{path}/run", json={"code": "D", "has_header": False})
    assert problem(run) == (400, "invalid_request")
    assert "the columns are: A, B, C." in fields(run)["detail"]
    assert desk.items() == {}
    assert looked_at(desk, desk.uploaded(FILE))["has_header"] is True

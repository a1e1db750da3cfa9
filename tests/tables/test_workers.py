"""Files of workers: who is added, updated and rejected, and their PINs."""

from __future__ import annotations

import pytest

from occupancy.access.pins import is_pin
from occupancy.core.entities import Role
from occupancy.core.errors import InvalidRequest
from occupancy.services import Services
from occupancy.tables.imports.report import Report
from occupancy.tables.imports.worker_import import import_workers, read_workers
from tests.tables.rows import counts


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


def test_a_row_that_would_leave_no_administrator_is_rejected(services: Services) -> None:
    load_workers(services, "id,name,role\n1,Ana,admin\n93,Marta,worker\n")
    report = load_workers(services, "id,name,role\n1,Ana,worker\n93,Marta,admin\n")
    assert counts(report) == (0, 1, 0, 1)
    assert "only active administrator" in report.rejected[0].why
    assert services.workers.get("1").role == Role.ADMIN.label
    again = load_workers(services, "id,name,role\n1,Ana,worker\n93,Marta,admin\n")
    assert counts(again) == (0, 1, 1, 0)


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

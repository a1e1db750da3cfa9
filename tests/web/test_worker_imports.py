"""Import of workers from files, over HTTP: the preview, the run, and who stays in charge."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from werkzeug.test import TestResponse

from occupancy.access.pins import is_pin
from occupancy.core.entities import Role
from occupancy.core.errors import RateLimited, StoreUnavailable
from occupancy.services import Services
from occupancy.web import worker_imports
from tests.support.tablets import PIN, Shop, audit_lines_of, fields, problem
from tests.tables.spreadsheets import xlsx

FILE = "id;nombre;rol;pin;Zona\r\n95;Ana Gil;operaria;270158;B2\r\n96;Eva;Supervisora;;\r\n"


class Staff(Shop):
    """An administrator (1) in a browser, over the workers 93 and 94, all with the PIN ``PIN``."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.admin, self.csrf = self.signed_in("1")

    def send(self, data: bytes | str, **query: Any) -> TestResponse:
        body = data.encode() if isinstance(data, str) else data
        return self.admin.post(
            "/api/workers/import", data=body, query_string=query, headers=self.csrf
        )

    def done(self, data: bytes | str, **query: Any) -> Any:
        answer = self.send(data, **query)
        assert answer.status_code == 200, answer.text
        return fields(answer)

    def preview(self, data: bytes | str) -> Any:
        return self.done(data, dry_run="true")


@pytest.fixture
def staff(services: Services) -> Staff:
    return Staff(services)


def counts(found: Any) -> tuple[int, ...]:
    return tuple(found[name] for name in ("added", "updated", "unchanged", "rejected"))


def test_a_dry_run_says_of_each_line_what_it_would_do_and_changes_nothing(staff: Staff) -> None:
    before = staff.services.workers.all()
    found = staff.preview(
        FILE + "93;Marta;worker;;\r\n94;Worker 94;worker;;\r\n9 5;Sí;worker;;\r\n"
    )
    assert (found["dry_run"], found["format"], found["rows"]) == (True, "csv", 5)
    assert found["left_out"] == ["Zona"]
    assert counts(found) == (2, 1, 1, 1)
    assert [(each["line"], each["result"]) for each in found["lines"]] == [
        (2, "added"), (3, "added"), (4, "updated"), (5, "unchanged"), (6, "rejected"),
    ]  # fmt: skip
    ana, eva, marta, _, wrong = found["lines"]
    assert (ana["id"], ana["name"], ana["role"], ana["has_pin"]) == (
        "95",
        "Ana Gil",
        "worker",
        True,
    )
    assert eva["role"] == "supervisor"
    assert marta["changes"] == ["name"]
    assert (wrong["code"], wrong["id"]) == ("id", "9 5")
    assert "270158" not in str(found)
    assert staff.services.workers.all() == before


def test_a_run_does_what_the_preview_says_and_again_nothing(staff: Staff) -> None:
    assert counts(staff.done(FILE)) == (2, 0, 0, 0)
    ana = staff.services.workers.get("95")
    assert (ana.name, ana.role, is_pin("270158", ana.pin_hash)) == ("Ana Gil", "worker", True)
    assert staff.services.workers.get("96").pin_hash is None
    again = staff.done(FILE)
    assert (counts(again), again["next_line"]) == ((0, 0, 2, 0), None)
    assert staff.services.workers.get("95") == ana


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("95,,worker,", "name"), ("95,\u200b,worker,", "name"), ("95,a\u202eb,worker,", "name"),
        ("95,Ana,boss,", "role"), ("95,Ana,,", "role"), ("95,Ana,worker,1234", "pin"),
        ("5813,Ana,worker,5813", "pin"), ("95,Ana,worker,12", "pin"), ("a/b,Ana,worker,", "id"),
        ("1.23E+11,Ana,worker,", "id"), ("93,Marta,worker,,more", "row"),
        ("1,One,worker,", "admin"), ("1,One,admin,270158", "own_pin"),
    ],
)  # fmt: skip
def test_a_bad_row_is_rejected_with_its_line_and_the_rule_and_the_others_are_imported(
    staff: Staff, row: str, code: str
) -> None:
    text = f"id,name,role,pin\n97,Iván,worker,\n{row}\n97,Other,worker,\n"
    for found in (staff.preview(text), staff.done(text)):
        assert (found["added"], found["rejected"]) == (1, 2)
        _, bad, repeated = found["lines"]
        assert (bad["line"], bad["result"], bad["code"]) == (3, "rejected", code)
        assert bad["why"]
        assert (repeated["line"], repeated["code"]) == (4, "duplicate")
        assert repeated["why"] == "line 2 has the same one"
    assert staff.services.workers.get("97").name == "Iván"


def test_no_row_takes_the_administrators_role_from_anybody(staff: Staff) -> None:
    staff.services.workers.add("2", name="Two", role=Role.ADMIN)
    found = staff.done("id,name,role\n1,Me,worker\n2,Two,observer\n93,Marta,admin\n")
    assert counts(found) == (0, 1, 0, 2)
    roles = {each.id: each.role for each in staff.services.workers.all()}
    assert roles == {"1": "admin", "2": "admin", "93": "admin", "94": "worker"}
    assert staff.services.workers.get("1").name == "Worker 1"
    assert staff.who(staff.admin) == "1"


def test_a_row_takes_no_role_from_who_has_just_become_the_only_administrator(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = staff.services.workers
    edit = workers.edit

    def edit_after_others(worker_id: str, **changes: Any) -> Any:
        edit("93", role="admin")
        edit("1", role="worker")
        return edit(worker_id, **changes)

    monkeypatch.setattr(workers, "edit", edit_after_others)
    found = staff.done("id,name,role\n93,Marta,supervisor\n")
    assert [each["code"] for each in found["lines"]] == ["admin"]
    assert (workers.get("93").name, workers.get("93").role) == ("Worker 93", "admin")


def test_the_callers_own_row_neither_signs_them_out_nor_says_whether_a_pin_is_theirs(
    staff: Staff,
) -> None:
    for pin in (PIN, "270158"):
        found = staff.done(f"id,name,role,pin\n1,Me,admin,{pin}\n")
        assert found["lines"][0]["code"] == "own_pin"
    assert staff.done("id,name,role\n1,Me,admin\n")["updated"] == 1
    assert staff.who(staff.admin) == "1"


def test_a_new_pin_ends_the_sessions_and_the_same_one_does_not(staff: Staff) -> None:
    tablet, _ = staff.signed_in("93")
    assert staff.done(f"id,name,role,pin\n93,Worker 93,worker,{PIN}\n")["unchanged"] == 1
    assert staff.who(tablet) == "93"
    found = staff.done("id,name,role,pin\n93,Worker 93,worker,270158\n")
    assert found["lines"][0]["changes"] == ["pin"]
    assert staff.who(tablet) is None


def test_who_is_disabled_stays_so(staff: Staff) -> None:
    staff.services.workers.edit("93", disabled=True)
    staff.done("id,name,role\n93,Marta,worker\n")
    assert staff.services.workers.get("93").disabled


@pytest.mark.parametrize("kind", ["xlsx", "tabs", "cp1252"])
def test_spreadsheets_and_what_is_pasted_from_them_are_read(staff: Staff, kind: str) -> None:
    rows: list[list[Any]] = [
        ["Nº empleado", "Nombre completo", "Rol", "NIP"],
        [950, "Peña", "Operario", 270158],
    ]
    if kind == "xlsx":
        data = xlsx({"Personal": [["Plantilla 2026"], *rows]})
    else:
        text = "\n".join("\t".join(map(str, row)) for row in rows)
        data = text.encode("cp1252" if kind == "cp1252" else "utf-8")
    assert counts(staff.done(data)) == (1, 0, 0, 0)
    found = staff.services.workers.get("950")
    assert (found.name, is_pin("270158", found.pin_hash)) == ("Peña", True)


@pytest.mark.parametrize("text", ["", "id,name\n95,Ana\n", "id,name,role,role\n", "PK\x03\x04\x00"])
def test_a_file_that_is_no_list_of_workers_is_refused_as_a_whole(staff: Staff, text: str) -> None:
    before = staff.services.workers.all()
    assert problem(staff.send(text)) == (400, "invalid_request")
    assert staff.services.workers.all() == before


def test_a_missing_column_is_named_for_programs(staff: Staff) -> None:
    assert fields(staff.send("id,name\n95,Ana\n", dry_run="true"))["missing"] == "role"


def test_rows_are_bounded(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_imports, "MAX_ROWS", 2)
    refused = staff.send("id,name,role\n" + "".join(f"{n},x,worker\n" for n in range(95, 98)))
    assert problem(refused) == (400, "invalid_request")
    assert fields(refused)["most"] == 2
    assert counts(staff.done("id,name,role\n95,x,worker\n96,x,worker\n")) == (2, 0, 0, 0)


def test_a_long_run_stops_and_the_next_request_goes_on(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_imports, "RUN_S", 0.0)
    text = "id,name,role\n95,Ana,worker\n96,Eva,worker\n95,Again,worker\n"
    lines, line = [], 1
    while line is not None:
        found = staff.done(text, from_line=line)
        lines += [(each["line"], each["result"]) for each in found["lines"]]
        line = found["next_line"]
    assert lines == [(2, "added"), (3, "added"), (4, "rejected")]


def test_a_full_queue_for_pins_stops_the_run_and_loses_no_row(
    staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_pin: str, worker_id: str) -> str:
        raise RateLimited("Too many.", retry_after=2)

    monkeypatch.setattr(staff.services.pin_hasher, "hash", full)
    text = "id,name,role,pin\n95,Ana,worker,\n96,Eva,worker,270158\n"
    found = staff.done(text)
    assert (counts(found), found["next_line"]) == ((1, 0, 0, 0), 3)
    assert problem(staff.send(text, from_line=3)) == (429, "rate_limited")


def test_every_change_and_the_import_are_audited_without_a_pin(
    staff: Staff, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "occupancy.observability.audit_log")
    staff.done(FILE + "93;Marta;worker;;\r\n94;Worker 94;worker;;\r\n", name="staff.csv")
    staff.preview(FILE)
    told = [each for each in audit_lines_of(caplog) if each["event"].startswith("worker")]
    assert [(each["event"], each.get("worker")) for each in told] == [
        ("worker_added", "95"), ("worker_added", "96"), ("worker_edited", "93"),
        ("workers_imported", None),
    ]  # fmt: skip
    assert (told[0]["role"], told[0]["fields"]) == ("worker", "name,role,pin")
    assert (told[2]["role"], told[2]["fields"]) == ("worker", "name")
    wanted = {
        "by": "1", "means": "session", "file": "staff.csv", "format": "csv", "rows": 4, "added": 2,
        "updated": 1, "unchanged": 1, "rejected": 0, "complete": True,
    }  # fmt: skip
    assert {name: told[3][name] for name in wanted} == wanted
    assert "270158" not in caplog.text


def test_what_was_done_before_the_store_went_away_is_audited(
    staff: Staff, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "occupancy.observability.audit_log")
    add = staff.services.workers.add

    def fail_at_second(worker_id: str, **options: Any) -> Any:
        if worker_id == "96":
            raise StoreUnavailable("Away.", retry_after=1)
        return add(worker_id, **options)

    monkeypatch.setattr(staff.services.workers, "add", fail_at_second)
    assert problem(staff.send("id,name,role\n95,Ana,worker\n96,Eva,worker\n"))[0] == 503
    (told,) = [each for each in audit_lines_of(caplog) if each["event"] == "workers_imported"]
    assert (told["added"], told["complete"]) == (1, False)


def test_a_worker_may_be_called_import(staff: Staff) -> None:
    answer = staff.admin.put(
        "/api/workers/import", json={"name": "Import", "role": "worker"}, headers=staff.csrf
    )
    assert answer.status_code == 201
    assert staff.services.workers.get("import").name == "Import"

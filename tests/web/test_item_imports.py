"""Import of items from files and export of them, over HTTP."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from occupancy.services import Services
from occupancy.tables import uploads as uploads_module
from occupancy.tables.causes import FILE_CAUSES, ROW_CAUSES
from occupancy.tables.sandbox import parsing
from occupancy.web import item_imports
from tests.support.tablets import audit_lines_of, fields, problem
from tests.tables.spreadsheets import parsed, xlsx
from tests.web.item_files import FILE, MAPPING, Desk, counts


@pytest.fixture
def desk(services: Services) -> Desk:
    return Desk(services)


def test_an_upload_says_what_it_is_and_what_it_would_do_and_changes_nothing(desk: Desk) -> None:
    found = desk.uploaded(FILE.encode("cp1252"), "/imports?name=plan.csv")
    assert {name: found[name] for name in ("file", "format", "encoding", "separator", "rows")} == {
        "file": "plan.csv", "format": "csv", "encoding": "cp1252", "separator": ";", "rows": 4,
    }  # fmt: skip
    assert found["mapping"] == {**MAPPING, "left_out": [], "has_header": True}
    assert (found["mapping_source"], found["problem"]) == ("guessed", None)
    preview = found["preview"]
    assert counts(preview) == (2, 0, 0, 2)
    assert preview["lines"]["added"][0] == {"line": 2, "tag": "A-1", "title": "Uno"}
    assert [(each["line"], each["tag"]) for each in preview["lines"]["rejected"]] == [
        (4, "A 3"), (5, "A-1"),
    ]  # fmt: skip
    assert preview["lines"]["rejected"][1]["why"] == "line 2 has the same one"
    assert desk.items() == {}
    assert desk.services.store.log.head("main").head_seq == 0


def test_a_run_does_what_the_preview_says_and_again_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "occupancy.observability.audit_log")
    upload = desk.uploaded(FILE, "/imports?name=plan.csv")
    ran = desk.ran(upload)
    assert (ran["state"], *counts(ran)) == ("done", 2, 0, 0, 2)
    assert [each["line"] for each in ran["lines"]] == [4, 5]
    assert desk.items() == {"A-1": ("Uno", {"Zona": "B2"}), "A-2": ("Dos", {"Zona": "B3"})}
    assert counts(desk.ran(upload)) == (0, 0, 2, 2)
    assert desk.services.store.log.head("main").head_seq == 2
    lines = [each for each in audit_lines_of(caplog) if each["event"] == "items_imported"]
    assert len(lines) == 2
    wanted = {
        "board": "main", "by": "supervisor", "means": "token", "file": "plan.csv", "rows": 4,
        "added": 2, "rejected": 2, "complete": True,
    }  # fmt: skip
    assert {name: lines[0][name] for name in wanted} == wanted


def test_a_preview_says_what_changes(desk: Desk) -> None:
    desk.ran(desk.uploaded())
    found = desk.uploaded(FILE.replace("Dos;B3", "Zwei;C1"))
    assert counts(found["preview"]) == (0, 1, 1, 2)
    (line,) = found["preview"]["lines"]["updated"]
    assert (line["tag"], line["changes"]) == ("A-2", ["title", "Zona"])


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("A 3;;", {"code": "bad_code", "values": {}}),
        (";Uno;", {"code": "no_code", "values": {}}),
        ("A-1;;", {"code": "same_code", "values": {"line": 2}}),
        ("1,23E+11;;", {"code": "shortened_number", "values": {}}),
        ("####;;", {"code": "narrow_column", "values": {}}),
        (f"A-3;{'x' * 201};", {"code": "title_too_long", "values": {"most": 200}}),
        ("A-3;x\u202ey;", {"code": "title_refused", "values": {}}),
        (f"A-3;;{'x' * 501}", {"code": "cell_too_long", "values": {"column": "Zona", "most": 500}}),
        ("A-3;;x\u202ey", {"code": "odd_character", "values": {"column": "Zona"}}),
        ("A-3;;;x", {"code": "too_many_cells", "values": {"cells": 4, "columns": 3}}),
        ('A-3;"x;', {"code": "quotation", "values": {"line": 3}}),
    ],
)
def test_a_rejected_row_has_a_code_for_its_cause(
    desk: Desk, row: str, cause: dict[str, Any]
) -> None:
    upload = desk.uploaded(f"Código;Descripción;Zona\r\nA-1;Uno;B2\r\n{row}\r\n")
    (line,) = upload["preview"]["lines"]["rejected"]
    assert line["cause"] == cause
    assert cause["code"] in ROW_CAUSES
    assert desk.ran(upload, upload["mapping"])["lines"][0]["cause"] == cause


def test_a_row_far_too_wide_says_how_many_cells_are_read(desk: Desk) -> None:
    rows = "".join(f"A-{n};x\r\n" for n in range(30))
    upload = desk.uploaded(f"tag;title\r\n{rows}A-30{';x' * 300}\r\n")
    (line,) = upload["preview"]["lines"]["rejected"]
    assert line["cause"] == {"code": "too_many_columns", "values": {"columns": 301, "most": 256}}
    assert line["cause"]["code"] in ROW_CAUSES


@pytest.mark.parametrize(
    ("data", "query", "code"),
    [
        (b"", "", "empty_file"),
        (b"tag\nT-1\xe9\x81\n", "", "encoding"),
        (b"tag\nT-1\xe9\n", "?encoding=utf-8", "encoding"),
        (b"PK\x03\x04nothing", "", "damaged"),
        (xlsx({"A": [["tag"], ["T-1"]]}), "?sheet=B", "no_sheet"),
        (b",".join(b"c%d" % n for n in range(300)), "", "too_many_columns"),
    ],
)
def test_a_refused_file_has_a_code_for_its_cause(
    desk: Desk, data: bytes, query: str, code: str
) -> None:
    answer = desk.send("POST", f"/imports{query}", data)
    assert problem(answer) == (400, "invalid_request")
    assert fields(answer)["cause"]["code"] == code
    assert code in FILE_CAUSES


def test_a_mapping_that_does_not_fit_has_a_code_for_its_cause(desk: Desk) -> None:
    twice = desk.uploaded("tag;Zona;Zona\r\nA-1;x;y\r\n")
    assert twice["problem_cause"] == {"code": "two_columns", "values": {"column": "Zona"}}
    unknown = desk.uploaded("Zona;Kg\r\nB2;3\r\nB2;3\r\n")
    assert unknown["problem_cause"]["code"] == "no_code_column"


def test_what_an_import_has_added_is_listed_also_after_a_second_run(desk: Desk) -> None:
    assert desk.send("PUT", "/items/A-1", json={}).status_code == 201
    upload = desk.uploaded()
    path = f"/imports/{upload['id']}/added"
    assert desk.send("GET", path).json == {"tags": []}
    for _ in range(2):
        desk.ran(upload)
        assert desk.send("GET", path).json == {"tags": ["A-2"]}


def test_up_to_a_thousand_rejected_rows_are_listed(desk: Desk) -> None:
    upload = desk.uploaded("tag\r\nA-1\r\n" + "A-1\r\n" * 1100)
    assert upload["preview"]["rejected"] == 1100
    assert len(upload["preview"]["lines"]["rejected"]) == 1000
    assert len(desk.ran(upload, {"code": "tag"})["lines"]) == 1000


def test_another_mapping_is_previewed_and_the_one_that_ran_is_proposed_next_time(
    desk: Desk,
) -> None:
    upload = desk.uploaded()
    mapping = {"code": "Código", "left_out": ["Descripción"]}
    answer = desk.send(
        "GET", f"/imports/{upload['id']}", query_string={"mapping": json.dumps(mapping)}
    )
    assert answer.json is not None
    assert answer.json["mapping_source"] == "given"
    assert answer.json["preview"]["lines"]["added"][0]["title"] is None
    desk.ran(upload, mapping)
    assert desk.items()["A-1"] == ("A-1", {"Zona": "B2"})
    again = desk.uploaded()
    assert again["mapping"] == {"title": None, "has_header": True, **mapping}
    assert again["mapping_source"] == "remembered"


def test_a_mapping_that_is_not_of_the_file_is_refused(desk: Desk) -> None:
    path = f"/imports/{desk.uploaded()['id']}"
    for body in ({"code": "Nr"}, {"code": "Zona", "title": "Zona"}, {"title": "x"}, {"code": ""}):
        assert problem(desk.send("POST", f"{path}/run", json=body)) == (400, "invalid_request")
        query = {"mapping": json.dumps(body)}
        assert desk.send("GET", path, query_string=query).status_code == 400
    assert desk.items() == {}


def test_a_file_whose_codes_nobody_can_guess_is_kept_and_asked_about(desk: Desk) -> None:
    found = desk.uploaded("Zona;Kg\r\nB2;3\r\nB2;3\r\nB2;3\r\n")
    assert (found["mapping"], found["preview"]) == (None, None)
    assert "choose the column" in found["problem"]


def test_progress_is_polled(desk: Desk) -> None:
    upload = desk.uploaded()
    path = f"/imports/{upload['id']}/run"
    waiting = desk.send("GET", path).json
    assert waiting is not None
    assert (waiting["state"], waiting["rows"], waiting["done"]) == ("none", 4, 0)
    desk.ran(upload)
    done = desk.send("GET", path).json
    assert done is not None
    assert (done["state"], done["done"]) == ("done", 4)


def test_an_import_whose_process_has_ended_is_not_running_for_ever(desk: Desk) -> None:
    upload = desk.uploaded()
    run = uploads_module.Run("running", rows=4, done=1, at_s=1.0)
    desk.services.uploads.save_run("main", upload["id"], run)
    found = desk.send("GET", f"/imports/{upload['id']}/run").json
    assert found is not None
    assert found["state"] == "stopped"


def test_an_import_whose_file_ends_meanwhile_counts_all_that_it_has_done(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = desk.uploaded("code\n" + "".join(f"A-{n}\n" for n in range(1000)))  # two chunks
    uploads = desk.services.uploads
    records = uploads.records

    def of_one_chunk(board: str, found: Any) -> Any:
        reader = records(board, found)
        yield from (next(reader) for _ in range(500))
        uploads.remove(board, found.id)
        yield from reader

    monkeypatch.setattr(uploads, "records", of_one_chunk)
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        answer = desk.send("POST", f"/imports/{upload['id']}/run", json={"code": "code"})
    assert problem(answer) == (404, "import_not_found")
    line = audit_lines_of(caplog)[-1]
    assert (line["added"], line["complete"]) == (len(desk.items()), False)
    assert len(desk.items()) == 500


def test_an_upload_ends_when_it_is_removed_and_when_four_newer_ones_came(desk: Desk) -> None:
    first, *_, last = [desk.uploaded() for _ in range(5)]
    assert problem(desk.send("GET", f"/imports/{first['id']}")) == (404, "import_not_found")
    assert desk.send("DELETE", f"/imports/{last['id']}").status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/run"), ("POST", "/run")):
        body = MAPPING if method == "POST" else None
        answer = desk.send(method, f"/imports/{last['id']}{path}", json=body)
        assert problem(answer) == (404, "import_not_found")
    client, keys = desk.services.store.client, desk.services.store.keys.board("main")
    left = [key.decode() for key in client.scan_iter(match=f"{keys.root}:upload:*", count=1000)]
    assert not [key for key in left if first["id"] in key or last["id"] in key]


def test_every_key_of_an_upload_expires(desk: Desk) -> None:
    desk.ran(desk.uploaded())
    client, keys = desk.services.store.client, desk.services.store.keys.board("main")
    found = list(client.scan_iter(match=f"{keys.root}:upload*", count=1000))
    assert len(found) == 5
    assert all(0 < int(client.ttl(key)) <= uploads_module.UPLOAD_TTL_S for key in found)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_file_that_is_too_large_is_refused_and_other_bodies_keep_their_bound(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_chunked: bool
) -> None:
    monkeypatch.setattr(item_imports, "MAX_FILE_BYTES", 100_000)
    header = "tag;note\r\n"
    accepted = desk.uploaded(header + "A-1;x\r\n" * 10_000)  # more than 64 KiB
    assert accepted["rows"] == 10_000
    data = b"x" * 100_001
    options: dict[str, Any] = {}
    if is_chunked:
        ended = {"wsgi.input_terminated": True}  # as gunicorn says of a chunked body
        options = {"input_stream": io.BytesIO(data), "environ_overrides": ended}
    answer = desk.send("POST", "/imports", None if is_chunked else data, **options)
    assert problem(answer) == (413, "too_large")
    too_much = {"title": "x" * 70_000}
    assert problem(desk.send("PUT", "/items/A-1", json=too_much)) == (413, "too_large")


def test_what_cannot_be_read_is_refused_and_leaves_nothing(desk: Desk) -> None:
    for data in (b"", b"PK\x03\x04nothing", b"\xd0\xcf\x11\xe0nothing", b"tag\nT-1\xe9\x81\n"):
        assert problem(desk.send("POST", "/imports", data)) == (400, "invalid_request")
    for query in ("?encoding=klingon", "?sheet=Nada", "?nonsense=1"):
        data = xlsx({"A": [["tag"], ["T-1"]]})
        assert problem(desk.send("POST", f"/imports{query}", data)) == (400, "invalid_request")
    keys = desk.services.store.keys.board("main")
    assert not list(desk.services.store.client.scan_iter(match=f"{keys.root}:upload*"))


def test_a_file_waits_while_another_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_MAX_WAIT_S", 0.01)
    with parsing._turns:
        assert problem(desk.send("POST", "/imports", FILE.encode())) == (429, "rate_limited")


def test_a_board_that_is_not_there(desk: Desk) -> None:
    answer = desk.send("POST", "/imports", FILE.encode(), board="nowhere")
    assert problem(answer) == (404, "board_not_found")


# Export


def exported(desk: Desk, query: str) -> bytes:
    answer = desk.send("GET", f"/export?{query}", who="watcher")
    assert answer.status_code == 200, answer.text
    return bytes(answer.data)


def test_an_export_is_as_the_spreadsheets_of_the_language_expect(desk: Desk) -> None:
    body = {"title": "=Uno", "attributes": {"kg": 2.5, "zona": "B2; B3"}}
    assert desk.send("PUT", "/items/007", json=body).status_code == 201
    assert exported(desk, "lang=es").decode() == (
        '\ufefftag;title;kg:json;zona\n007;\'=Uno;2,5;"B2; B3"\n'
    )
    assert exported(desk, "").decode() == "\ufefftag,title,kg:json,zona\n007,'=Uno,2.5,B2; B3\n"
    head, records = parsed(exported(desk, "format=xlsx"))
    assert (head.sheet, head.header) == ("main", ["tag", "title", "kg:json", "zona"])
    assert [record.cells for record in records] == [["007", "=Uno", "2.5", "B2; B3"]]


@pytest.mark.parametrize("query", ["", "lang=es", "format=xlsx"])
def test_importing_an_export_changes_nothing(desk: Desk, query: str) -> None:
    attributes = [
        {"n": 1, "f": 2.5, "b": True, "none": None, "empty": "", "t": "007"},
        {"n": 2.0, "f": 0.1 + 0.2, "b": False, "t": "'=1+1", "title": "x"},
        {"n": -3, "f": 1e-7, "t": "=1+1", "<b>": "<script>alert(1)</script>"},
    ]
    for number, each in enumerate(attributes):
        body = {"title": f"T{number}", "attributes": each}
        assert desk.send("PUT", f"/items/T-{number}", json=body).status_code == 201
    before = desk.items()
    upload = desk.uploaded(exported(desk, query))
    assert counts(upload["preview"]) == (0, 0, 3, 0), upload["preview"]
    desk.ran(upload, {"code": "tag", "title": "title"})
    assert desk.items() == before


def test_an_export_has_the_filters_of_the_list_and_all_of_an_item_if_asked(desk: Desk) -> None:
    for tag in ("A-1", "A-2", "B-1"):
        assert desk.send("PUT", f"/items/{tag}", json={}).status_code == 201
    assert desk.send("POST", "/items/A-2/take", who="holder").status_code == 200
    assert exported(desk, "state=occupied").decode() == "\ufefftag,title\nA-2,A-2\n"
    assert exported(desk, "q=b-").decode() == "\ufefftag,title\nB-1,B-1\n"
    head, records = parsed(exported(desk, "holder=holder&full=true&format=xlsx"))
    found = dict(zip(head.header, records[0].cells, strict=True))
    assert (found["state"], found["holder"]) == ("occupied", "holder")
    assert found["since"][:2] == "20"  # a date
    assert exported(desk, "step=work&state=occupied").decode() == "\ufefftag,title\nA-2,A-2\n"
    assert exported(desk, "step=elsewhere").decode() == "\ufefftag,title\n"
    for wrong in ("format=pdf", "lang=de", "full=yes", "state=lost", "x=1"):
        assert problem(desk.send("GET", f"/export?{wrong}")) == (400, "invalid_request")


def test_a_removed_board_keeps_neither_uploads_nor_mappings(desk: Desk) -> None:
    services = desk.services
    services.store.boards.create("yard")
    upload = fields(desk.send("POST", "/imports", FILE.encode(), board="yard"))
    desk.send("POST", f"/imports/{upload['id']}/run", json=MAPPING, board="yard")
    keys = services.store.keys.board("yard")
    assert list(services.store.client.scan_iter(match=f"{keys.root}:upload*"))
    services.removal.remove("yard", with_items=True, recording=services.audit_trail.recording)
    services.removal.sweep("yard")
    for pattern in (f"{keys.root}:upload*", keys.mappings):
        assert not list(services.store.client.scan_iter(match=pattern))

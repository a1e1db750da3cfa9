"""Import and export by command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT
from occupancy.services import Services
from tests.cli.command_line import Run, answer, error
from tests.tables.spreadsheets import xlsx


def test_import_prints_the_result_of_each_row(run: Run, shop: Services, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("tag,title,area\nT-1,One,B2\nT-2,Two,\nT-3,Three,C1\n")
    result = run("items", "import", str(file))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "1 added, 1 updated, 1 unchanged, 0 rejected\n"


def test_import_lists_rejected_rows_and_ends_with_status_1(run: Run, shop: Services) -> None:
    text = "tag,title\nT 1,One\nT-3,Three\nT-3,Again\n"
    result = run("items", "import", "-", stdin=text)
    assert error(result) == "2 of 3 rows rejected."
    lines = result.stdout.splitlines()
    assert lines[0].startswith("line 2 (T 1): tag 'T 1' is not allowed")
    assert lines[1] == "line 4 (T-3): line 3 has the same one"
    assert lines[2] == "1 added, 0 updated, 0 unchanged, 2 rejected"
    assert run("items", "show", "T-3").exit_code == 0


def test_a_dry_run_changes_nothing(run: Run) -> None:
    report = answer(run("items", "import", "-", "--dry-run", "--json", stdin="tag\nT-1\n"))
    counted = {"added": 1, "updated": 0, "unchanged": 0, "rejected": []}
    assert report == {**counted, "encoding": "utf-8", "dry_run": True}
    assert "no item T-1" in error(run("items", "show", "T-1"))


def test_a_file_that_is_not_utf_8_is_read_as_windows_1252_and_says_so(run: Run) -> None:
    data = "tag,title\nT-9,“Café” – 5 €\n".encode("cp1252")
    result = run("items", "import", "-", stdin=data)
    assert result.exit_code == 0
    assert "read as Windows-1252" in result.stderr
    assert answer(run("items", "show", "T-9", "--json"))["title"] == "“Café” – 5 €"
    result = run("items", "import", "-", "--json", stdin=data)
    assert json.loads(result.stdout)["encoding"] == "cp1252"
    assert "read as Windows-1252" in result.stderr
    people = "id;name;role\n55;Íñigo;worker\n".encode("cp1252")
    assert "read as Windows-1252" in run("workers", "import", "-", stdin=people).stderr
    named = run("items", "import", "-", "--encoding", "cp1252", stdin=data)
    assert (named.exit_code, named.stderr) == (0, "")
    assert "Windows" not in run("items", "import", "-", stdin=data.decode("cp1252")).stderr
    assert "--encoding" in error(run("items", "import", "-", stdin=b"tag,title\nT-9,\xe9\x81\n"))


@pytest.mark.parametrize(("name", "separator"), [("comma", ","), ("semicolon", ";"), ("tab", "\t")])
def test_an_export_for_excel_has_its_mark_and_separator_and_imports_unchanged(
    run: Run, shop: Services, tmp_path: Path, name: str, separator: str
) -> None:
    title = json.dumps("=HYPERLINK(0) ñ", ensure_ascii=False)
    shop.store.commands.execute(
        Command("main", PUT, ["T-1"], actor=Person("a", "A"), items=[{"title": title}])
    )
    file = tmp_path / "items.csv"
    arguments = ["--excel", *(["--separator", name] if name != "comma" else [])]
    assert run("items", "export", str(file), *arguments).exit_code == 0
    text = file.read_bytes().decode("utf-8")
    assert text.startswith(f"\ufefftag{separator}title")
    assert f"{separator}'=HYPERLINK(0) ñ" in text
    assert "2 unchanged" in run("items", "import", str(file)).stdout


def test_an_export_imports_unchanged(run: Run, shop: Services, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert run("items", "export", str(file)).exit_code == 0
    assert file.read_text() == "tag,title,area\nT-1,One,B2\nT-2,T-2,\n"
    assert "2 unchanged" in run("items", "import", str(file)).stdout


def test_an_export_can_go_to_standard_output_in_full(run: Run, shop: Services) -> None:
    result = run("items", "export", "-", "--full")
    assert result.exit_code == 0
    assert result.stdout.startswith("tag,title,state,step,holder,since,")


def test_an_empty_board_exports_a_header(run: Run) -> None:
    assert run("items", "export", "-").stdout == "tag,title\n"


def test_a_spreadsheet_is_imported_by_the_columns_that_are_named(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "plan.xlsx"
    rows: list[list[object]] = [["Lista"], [], ["Spool", "Descripción", "Zona"]]
    rows += [["007", "Codo", "B2"], [8.0, "", ""]]
    file.write_bytes(xlsx({"Portada": [], "Plan": rows, "Otra": [["tag"], ["T-9"]]}))
    assert "If the tags are in 'Spool', name it (--code-column)" in error(
        run("items", "import", str(file))
    )
    result = run(
        "items", "import", str(file), "--code-column", "spool", "--title-column", "Descripción"
    )
    assert (result.exit_code, result.stdout) == (0, "2 added, 0 updated, 0 unchanged, 0 rejected\n")
    assert result.stderr == "Read the sheet Plan; not read: Portada, Otra.\n"
    found = answer(run("items", "show", "007", "--json"))
    assert (found["title"], found["attributes"]) == ("Codo", {"Zona": "B2"})
    assert answer(run("items", "show", "8", "--json"))["title"] == "8"
    assert run("items", "import", str(file), "--sheet", "Otra").exit_code == 0
    out = tmp_path / "all.xlsx"
    assert run("items", "export", str(out)).exit_code == 0
    assert "0 added, 0 updated" in run("items", "import", str(out)).stdout


def test_a_csv_file_has_named_columns_too_and_no_sheets(run: Run) -> None:
    text = "Código;Zona\r\nX-1;B2\r\n"
    result = run("items", "import", "-", "--code-column", "Código", "--json", stdin=text)
    assert answer(result)["added"] == 1
    assert "has sheets" in error(run("items", "import", "-", "--sheet", "A", stdin=text))


def test_a_file_without_a_header_is_imported_by_the_letters_of_its_columns(
    run: Run, tmp_path: Path
) -> None:
    text = "Codo;MK-1;B2\nTubo;MK-2;B3\n"
    result = run(
        "items", "import", "-", "--no-header", "--code-column", "B", "--title-column", "a",
        stdin=text,
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "2 added, 0 updated, 0 unchanged, 0 rejected\n"
    item = answer(run("items", "show", "MK-1", "--json"))
    assert (item["title"], item["attributes"]) == ("Codo", {})
    file = tmp_path / "plan.xlsx"
    file.write_bytes(xlsx({"Plan": [["MK-3", "Codo"], ["MK-4", "Tubo"]]}))
    result = run("items", "import", str(file), "--no-header", "--code-column", "A")
    assert result.stdout == "2 added, 0 updated, 0 unchanged, 0 rejected\n"
    assert answer(run("items", "show", "MK-3", "--json"))["title"] == "MK-3"


def test_a_file_without_a_header_needs_the_letter_of_the_tags(run: Run) -> None:
    options = ("items", "import", "-", "--no-header")
    assert "(--code-column A)" in error(run(*options, stdin="MK-1;Codo\n"))
    wrong = error(run(*options, "--code-column", "tag", stdin="MK-1;Codo\n"))
    assert "There is no column 'tag'; the columns are: A, B." in wrong

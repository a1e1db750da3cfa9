"""The import of items: files and pasted rows as plants have them, and the run."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, Route, expect

from occupancy.core.entities import Item
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.tables.spreadsheets import xlsx, xlsx_with_sheet

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
PLAN = (
    "Código;Descripción;Zona\r\nMK-1;Línea año;B2\r\nMK-2;Codo;B3\r\nMK 3;Mal;\r\nMK-1;Otra;\r\n"
).encode("latin-1")


@pytest.fixture
def board(site: Site) -> str:
    return site.board(title=PAYLOAD)


def file_of(name: str, data: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def choose(page: Page, name: str, data: bytes) -> None:
    page.locator("#file").set_input_files(file_of(name, data))


def importing(visit: Visit, board: str, query: str = "", **options: Any) -> Page:
    page = visit(f"/boards/{board}/import{query}", "supervisor", **options)
    expect(page.locator("#managed")).to_be_visible()
    return page


def items(site: Site, board: str) -> dict[str, Item]:
    snapshot = site.services.store.queries.snapshot(board)
    assert snapshot is not None
    found = [msgspec.json.decode(each, type=Item) for each in snapshot.items]
    return {each.tag: each for each in found}


def test_a_file_of_excel_in_latin_1_is_looked_at_imported_and_its_labels_are_offered(
    site: Site, board: str, visit: Visit
) -> None:
    page = importing(visit, board)
    choose(page, "plan.csv", PLAN)
    expect(page.locator("#file-title")).to_have_text("plan.csv")
    expect(page.locator("#facts")).to_contain_text("CSV · 4 rows · separator: semicolon")
    expect(page.locator("[name=encoding]")).to_have_value("cp1252")
    expect(page.locator("[name=code]")).to_have_value("Código")
    expect(page.locator("[name=title]")).to_have_value("Descripción")
    expect(page.locator('[data-line="2"]')).to_contain_text("MK-1added: Línea año")
    expect(page.locator('[data-line="4"]')).to_contain_text("without accents")
    expect(page.locator('[data-line="5"]')).to_contain_text("Line 2 has the same code")
    page.locator('[data-result="rejected"]').click()
    expect(page.locator("#lines tbody tr")).to_have_count(2)
    assert items(site, board) == {}
    page.locator("#run").click()
    expect(page.locator("#run-title")).to_have_text("Imported")
    expect(page.locator("#run-counts")).to_have_text("2 added · 2 rejected")
    expect(page.locator("#rejected tbody tr")).to_have_count(2)
    expect(page.locator("#rejected-hint")).to_contain_text("import it again")
    assert {tag: each.title for tag, each in items(site, board).items()} == {
        "MK-1": "Línea año", "MK-2": "Codo",
    }  # fmt: skip
    page.locator("#labels").click()
    expect(page).to_have_url(re.compile(rf"/boards/{board}/labels\?tags=MK-1%2CMK-2$"))
    kept = page.evaluate("() => sessionStorage.getItem('occupancy-labels')")
    assert json.loads(kept) == {"board": board, "tags": ["MK-1", "MK-2"]}


def test_other_columns_are_chosen_and_remembered(site: Site, board: str, visit: Visit) -> None:
    page = importing(visit, board)
    choose(page, "plan.csv", PLAN)
    page.locator("[name=title]").select_option("")
    page.locator('.column input[value="Zona"]').uncheck()
    expect(page.locator('[data-line="2"]')).to_have_text(re.compile("MK-1added$"))
    page.locator("#run").click()
    expect(page.locator("#run-title")).to_have_text("Imported")
    assert items(site, board)["MK-1"].attributes == {"Descripción": "Línea año"}
    page.locator("#next-file").click()
    choose(page, "plan.csv", PLAN)
    expect(page.locator("#mapping-source")).to_contain_text("last import")
    expect(page.locator('.column input[value="Zona"]')).not_to_be_checked()
    expect(page.locator('[data-result="unchanged"]')).to_contain_text("2")
    expect(page.locator("#run")).to_be_disabled()


def test_a_list_without_a_header_is_read_from_its_first_row(
    site: Site, board: str, visit: Visit
) -> None:
    page = importing(visit, board, locale="es-MX")
    choose(page, "lista.csv", b"MK-1;Codo largo;B2\r\nMK-2;Tubo recto;B3\r\n")
    tick = page.get_by_role("checkbox", name="El archivo no tiene encabezado")
    expect(tick).not_to_be_checked()
    expect(page.locator("#lines tbody th")).to_have_text(["MK-2"])
    tick.check()
    expect(page.locator("#lines tbody th")).to_have_text(["MK-1", "MK-2"])
    expect(tick).to_be_focused()
    expect(page.locator("[name=code]")).to_have_value("A")
    expect(page.locator("[name=code] option:checked")).to_have_text("A: MK-1")
    expect(page.locator("[name=title]")).to_have_value("B")
    expect(page.locator('.column input[value="C"]')).not_to_be_checked()
    expect(page.locator("#facts")).to_contain_text("2 filas")
    assert violations(page) == []
    page.locator("[name=title]").select_option("C")
    expect(page.locator('[data-line="1"]')).to_contain_text("MK-1añadido: B2")
    expect(page.locator('.column input[value="B"]')).not_to_be_checked()
    page.locator("#run").click()
    expect(page.locator("#run-counts")).to_have_text("2 añadidos")
    found = items(site, board)
    assert {tag: (each.title, each.attributes) for tag, each in found.items()} == {
        "MK-1": ("B2", {}), "MK-2": ("B3", {}),
    }  # fmt: skip
    page.locator("#next-file").click()
    choose(page, "lista.csv", b"MK-3;Codo largo;B2\nMK-4;Tubo recto;B3\nMK-5;Brida ciega;B3\n")
    expect(tick).to_be_checked()  # plainly
    expect(page.locator("[name=title]")).to_have_value("C")
    expect(page.locator("#run")).to_have_text("Importar 3 piezas")
    tick.uncheck()
    expect(page.locator("#run")).to_have_text("Importar 2 piezas")
    expect(page.locator("[name=code]")).to_have_value("MK-3")


def test_a_sheet_and_an_encoding_are_chosen(board: str, visit: Visit) -> None:
    page = importing(visit, board)
    book = xlsx({"Plan": [["tag"], ["A-1"]], PAYLOAD[4:30].replace("/", ""): [["tag"], ["B-1"]]})
    choose(page, "plan.xlsx", book)
    expect(page.locator("#facts")).to_contain_text("Excel (XLSX)")
    expect(page.locator("#lines tbody th")).to_have_text("A-1")
    page.locator("[name=sheet]").select_option(index=1)
    expect(page.locator("#lines tbody th")).to_have_text("B-1")
    page.locator("#another").click()
    choose(page, "plan.csv", "tag;Descripción\r\nA-1;Línea\r\n".encode("cp850"))
    expect(page.locator("[name=encoding]")).to_be_visible()
    page.locator("[name=encoding]").select_option("cp850")
    expect(page.locator('[data-line="2"]')).to_contain_text("Línea")


def test_rows_are_pasted_from_a_spreadsheet_or_typed(site: Site, board: str, visit: Visit) -> None:
    page = importing(visit, board)
    page.locator("#source-title").focus()
    page.evaluate(
        """text => {
          const data = new DataTransfer();
          data.setData('text/plain', text);
          document.activeElement.dispatchEvent(
            new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
        }""",
        "Código\tZona\nP-1\tB2\nP-2\tB3\n",
    )
    expect(page.locator("#facts")).to_contain_text("separator: tab")
    expect(page.locator("#lines tbody th")).to_have_text(["P-1", "P-2"])
    page.locator("#another").click()
    page.locator("#use-rows").click()
    expect(page.locator("#problem")).to_contain_text("no rows yet")
    page.locator("#rows").fill("tag,title\nT-1,One\n")
    page.locator("#use-rows").click()
    page.locator("#run").click()
    expect(page.locator("#run-counts")).to_have_text("1 added")
    assert items(site, board)["T-1"].title == "One"


def drop(page: Page, content: str | int, name: str) -> None:
    """Drop a file on the page's header; ``content`` is its text, or how many bytes it has."""
    page.evaluate(
        """([content, name]) => {
          const parts = typeof content === 'number' ? new Uint8Array(content) : content;
          const data = new DataTransfer();
          data.items.add(new File([parts], name));
          for (const kind of ['dragover', 'drop']) {
            document.getElementById('who').dispatchEvent(
              new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
          }
        }""",
        [content, name],
    )


def test_a_file_is_dropped_anywhere(board: str, visit: Visit) -> None:
    page = importing(visit, board)
    drop(page, 20 * 1024 * 1024 + 1, "large.csv")
    expect(page.locator("#problem")).to_contain_text("20 MiB")
    drop(page, "tag\nD-1\n", "dropped.csv")
    expect(page.locator("#file-title")).to_have_text("dropped.csv")
    expect(page.locator("#lines tbody th")).to_have_text("D-1")


def bomb() -> bytes:
    """A workbook whose sheet unpacks to a gigabyte of zeros."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx_with_sheet("<x/>"))) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            with target.open(name, "w", force_zip64=True) as part:
                if not name.endswith("sheet1.xml"):
                    part.write(source.read(name))
                    continue
                for _ in range(1024):
                    part.write(bytes(1024 * 1024))
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("bomb.xlsx", bomb, "demasiado"),
        ("vacio.csv", lambda: b"", "vacío"),
        ("blanco.csv", lambda: b"\r\n", "vacío"),
        ("roto.xlsx", lambda: b"PK\x03\x04nada", "dañada"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_spanish_and_another_may_follow(
    site: Site, visit: Visit, name: str, data: Any, text: str
) -> None:
    board = site.board()
    page = importing(visit, board, locale="es-MX")
    choose(page, name, data())
    expect(page.locator("#problem")).to_contain_text(text, timeout=60_000)
    expect(page.locator("#retry")).to_be_hidden()
    choose(page, "plan.csv", PLAN)
    expect(page.locator("#facts")).to_contain_text("separador: punto y coma")
    expect(page.locator("#problem")).to_have_text("")
    expect(page.locator('[data-line="5"]')).to_contain_text("La línea 2 tiene el mismo código")
    page.locator("#run").click()
    expect(page.locator("#run-counts")).to_have_text("2 añadidos · 2 rechazados")
    assert set(items(site, board)) == {"MK-1", "MK-2"}


def test_the_button_for_a_file_speaks_the_page_s_language(board: str, visit: Visit) -> None:
    page = importing(visit, board, locale="es-MX")
    with page.expect_file_chooser() as chosen:
        page.locator(".drop .button", has_text="Elegir un archivo").click()
    chosen.value.set_files([file_of("plan.csv", b"Spool;Titulo\nT-77;Uno\n")])
    expect(page.locator("#run")).to_have_text("Importar 1 pieza")


def test_a_file_without_an_obvious_code_asks_for_the_column(board: str, visit: Visit) -> None:
    page = importing(visit, board)
    choose(page, "plan.csv", b"Zona;Kg\r\nB2;3\r\nB2;3\r\nB2;3\r\n")
    expect(page.locator("#preview-said")).to_contain_text("choose the column")
    expect(page.locator("#run")).to_be_disabled()
    page.locator("[name=code]").select_option("Zona")
    expect(page.locator('[data-result="rejected"]')).to_contain_text("2")
    expect(page.locator("#run")).to_have_text("Import 1 piece")
    page.locator("[name=title]").select_option("Zona")
    expect(page.locator("#preview-said")).to_contain_text("both the code and the title")
    expect(page.locator("#run")).to_be_disabled()


def test_a_page_that_was_left_goes_on_with_its_import(board: str, visit: Visit) -> None:
    page = importing(visit, board)
    choose(page, "plan.csv", PLAN)
    expect(page).to_have_url(re.compile(r"\?import=[0-9a-f]{16}$"))
    page.reload()
    expect(page.locator("#file-title")).to_have_text("plan.csv")
    expect(page.locator("[name=encoding]")).to_be_disabled()
    page.locator("#run").click()
    expect(page.locator("#run-title")).to_have_text("Imported")
    page.reload()
    expect(page.locator("#run-title")).to_have_text("Imported")
    expect(page.locator("#run-counts")).to_have_text("2 added · 2 rejected")
    expect(page.locator("#labels")).to_be_visible()


def test_the_progress_of_an_import_that_runs_is_shown_to_who_comes_back(
    site: Site, board: str, visit: Visit
) -> None:
    page = importing(visit, board)
    choose(page, "plan.csv", PLAN)
    expect(page.locator("#file-title")).to_have_text("plan.csv")
    number = page.url.rpartition("=")[2]
    counts = {"added": 4, "updated": 0, "unchanged": 0, "rejected": 0, "lines": [], "at_s": 1}
    answer = {"state": "running", "rows": 4, "done": 1, **counts}

    def told(route: Route) -> None:
        route.fulfill(json=answer)

    page.route(f"**/imports/{number}/run", told)
    page.reload()
    expect(page.locator("#run-said")).to_have_text("1 of 4 rows")
    answer["done"] = 3
    expect(page.locator("#run-said")).to_have_text("3 of 4 rows")
    answer |= {"state": "done", "done": 4}
    expect(page.locator("#run-counts")).to_have_text("4 added")


def test_an_upload_that_is_over_says_what_to_do(site: Site, board: str, visit: Visit) -> None:
    page = importing(visit, board, "?import=0123456789abcdef")
    expect(page.locator("#problem")).to_contain_text("Choose the file again")
    expect(page).to_have_url(re.compile(r"/import$"))
    choose(page, "plan.csv", PLAN)
    expect(page.locator("#file-title")).to_have_text("plan.csv")
    site.services.uploads.remove(board, page.url.rpartition("=")[2])
    page.locator("[name=title]").select_option("")
    expect(page.locator("#problem")).to_contain_text("no longer kept")
    page.locator("#retry").click()
    expect(page.locator("#file-title")).to_have_text("plan.csv")


def test_an_upload_that_was_lost_on_its_way_is_sent_again(board: str, visit: Visit) -> None:
    page = importing(visit, board)
    page.route("**/imports?*", lambda route: route.abort())
    choose(page, "plan.csv", PLAN)
    expect(page.locator("#problem")).to_contain_text("did not answer")
    page.unroute("**/imports?*")
    page.locator("#retry").click()
    expect(page.locator("#file-title")).to_have_text("plan.csv")


def test_an_import_whose_answer_is_lost_is_followed_to_its_end(board: str, visit: Visit) -> None:
    page = importing(visit, board)
    choose(page, "plan.csv", PLAN)

    def lose(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/run", lose)
    page.locator("#run").click()
    expect(page.locator("#run-title")).to_have_text("Imported")
    expect(page.locator("#run-counts")).to_have_text("2 added · 2 rejected")


def test_stored_and_sent_texts_stay_text(site: Site, board: str, visit: Visit) -> None:
    page = importing(visit, board)
    rows = [["tag", f"title{PAYLOAD}", f"a{PAYLOAD}"[:60], "b"]]
    rows += [[PAYLOAD, PAYLOAD, PAYLOAD, PAYLOAD], ["X-1", PAYLOAD, PAYLOAD, PAYLOAD]]
    book = xlsx({"<img src=x>": rows, "<script>": rows})
    choose(page, f"{PAYLOAD}.xlsx".replace("/", ""), book)
    expect(page.locator("#lines tbody tr")).to_have_count(2)
    page.locator("[name=title]").select_option(index=2)
    expect(page.locator('[data-line="3"]')).to_contain_text(PAYLOAD)
    assert violations(page) == []
    page.locator("#run").click()
    expect(page.locator("#run-counts")).to_have_text("1 added · 1 rejected")
    assert items(site, board)["X-1"].title == PAYLOAD
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("#managed img, #managed script").count() == 0


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_import_is_accessible_on_phone_and_desk(
    board: str, visit: Visit, width: int, locale: str
) -> None:
    page = importing(visit, board, locale=locale, viewport={"width": width, "height": 844})

    def check() -> None:
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert not re.search(
            r"\b(?:import|items)\.[a-z]|undefined|\{\w+\}", page.inner_text("main")
        )

    page.locator("#paste summary").click()
    check()
    choose(page, "plan.csv", PLAN)
    expect(page.locator("#lines tbody tr")).to_have_count(4)
    check()
    page.locator("#run").click()
    expect(page.locator("#rejected tbody tr")).to_have_count(2)
    check()


def test_an_import_by_keyboard_alone(site: Site, board: str, visit: Visit) -> None:
    page = importing(visit, board)
    page.locator("#paste summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.insert_text("tag,title\nK-1,One\n")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#file-title")).to_be_focused()
    expect(page.locator("#run")).to_be_enabled()
    for _ in range(20):
        if page.evaluate("() => document.activeElement.id") == "run":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#run-title")).to_have_text("Imported")
    expect(page.locator("#run-title")).to_be_focused()
    assert set(items(site, board)) == {"K-1"}


def test_workers_are_told_that_it_is_for_supervisors(board: str, visit: Visit) -> None:
    page = visit(f"/boards/{board}/import", "holder")
    expect(page.locator("#said")).to_contain_text("supervisor")
    expect(page.locator("#managed")).to_be_hidden()

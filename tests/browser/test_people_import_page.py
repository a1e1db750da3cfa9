"""The import of people: a file or pasted rows, previewed and carried out."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from occupancy.access.pins import is_pin
from tests.browser.conftest import Visit
from tests.browser.people_page import PAYLOAD, opened
from tests.browser.site import Site


def test_a_file_is_previewed_imported_and_leads_to_cards(
    people: str, site: Site, visit: Visit
) -> None:
    text = (
        f"id;nombre;rol;pin\n{people}-a;Ana {people};operaria;270158\n{people}-b;{people};jefe;\n"
        f"admin;Admin;worker;\n{people}-m;Marta {people};worker;\n"
    )
    page = opened(visit)
    page.locator("#to-import").click()
    page.locator("#import input[type=file]").set_input_files(
        {"name": f"{PAYLOAD.replace('/', '')}.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )
    rows = page.locator(".import-lines tbody tr")
    expect(rows).to_have_count(4)
    expect(page.locator("#import")).to_contain_text("To add: 1 · to change: 0 · unchanged: 1")
    expect(rows.nth(0)).to_contain_text("Unknown role")
    expect(rows.nth(1)).to_contain_text("never takes that role away")
    assert page.evaluate("() => window.hacked") is None
    assert all(each.id != f"{people}-a" for each in site.services.workers.all())
    page.get_by_role("button", name="Import 2 people").click()
    expect(page.locator("#import h3")).to_have_text("Imported")
    assert is_pin("270158", site.services.workers.get(f"{people}-a").pin_hash)
    assert site.services.workers.get("admin").role == "admin"
    page.get_by_role("link", name="Print cards for these people").click()
    expect(page).to_have_url(re.compile(r"/people/cards$"))
    chosen = page.locator("#people input:checked")
    expect(chosen).to_have_count(2)
    ids = chosen.evaluate_all("all => all.map((each) => each.value)")
    assert ids == [f"{people}-a", f"{people}-m"]


def test_rows_are_pasted_and_a_missing_column_is_named(
    people: str, site: Site, visit: Visit
) -> None:
    page = opened(visit)
    page.locator("#to-import").click()
    pasted = page.locator("#import textarea")
    pasted.fill(f"id\tnombre\n{people}-p\tPaula\n")
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#import .said")).to_contain_text("The column role is missing")
    expect(pasted).to_have_value(f"id\tnombre\n{people}-p\tPaula\n")
    pasted.fill(f"id\tnombre\trol\n{people}-p\tPaula {PAYLOAD[:40]}\toperaria\n")
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name="Import 1 person").click()
    expect(page.locator("#import h3")).to_have_text("Imported")
    assert site.services.workers.get(f"{people}-p").role == "worker"
    page.locator(".leave-import").click()
    page.locator("#search").fill(f"{people}-p")
    expect(page.locator("#people .row .open")).to_have_text(f"Paula {PAYLOAD[:40]}")
    assert page.evaluate("() => window.hacked") is None

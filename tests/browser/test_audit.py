"""The page of the audit trail: sentences, filters in the address, keyboard, and stored texts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from occupancy.core.entities import Role
from occupancy.observability.audit_trail.events import EVENTS
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{by}'


@pytest.fixture(scope="module")
def board(site: Site) -> str:
    """A board whose name only these entries have, with one entry of each event."""
    board = site.board(title=PAYLOAD)
    site.services.workers.add("audited", name=PAYLOAD, role=Role.WORKER)
    for event in EVENTS:
        site.services.audit_trail.add(
            event, by="audited", worker="audited", board=board, means="session", role="worker",
            fields="name,role,disabled,pin", disabled=True, code="forbidden", added=1, updated=2,
            path=PAYLOAD, more=7, address="10.0.0.1", format="csv",
        )  # fmt: skip
    return board


def listed(page: Page) -> list[str]:
    rows = page.locator("#entries tbody tr")
    expect(rows.first).to_be_visible()
    return rows.locator(".entry-what").all_inner_texts()


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_every_event_is_a_sentence_and_stored_texts_stay_text(
    board: str, visit: Visit, locale: str
) -> None:
    page = visit(f"/audit?board={board}", "admin", locale=locale)
    sentences = listed(page)
    assert len(sentences) == len(EVENTS)
    for event in [each for each in EVENTS if "_" in each]:  # the others are words
        assert not any(event in each for each in sentences), event
    assert not [each for each in sentences if re.search(r"audit\.|\{(?!by\})|undefined", each)]
    assert sum(PAYLOAD in each for each in sentences) > 15
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("#entries img, #entries script").count() == 0


def test_details_are_in_the_language_of_the_page(site: Site, visit: Visit) -> None:
    board = site.board()
    add = site.services.audit_trail.add
    add("items_imported", by="admin", board=board, file="plan.csv", format="csv", rows=4,
        added=1, updated=2, unchanged=0, rejected=1, complete=True)  # fmt: skip
    add("audit_exported", by="admin", board=board, format="csv", filter_q="T-1")
    page = visit(f"/audit?board={board}", "admin", locale="es-ES")
    details = page.locator("#entries .details")
    expect(details).to_have_text([
        "formato: csv · Texto: T-1",
        "archivo: plan.csv · formato: csv · filas: 4 · sin cambios: 0 · rechazadas: 1"
        " · completa: sí",
    ])  # fmt: skip


def test_the_audit_is_accessible_on_phone_and_desk(board: str, visit: Visit) -> None:
    for width in (1440, 390):
        page = visit(
            f"/audit?board={board}&event=denied", "admin", viewport={"width": width, "height": 844}
        )
        assert len(listed(page)) == 1
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        page.goto(f"/audit?board={board}&event=signed_in&q=nothing")
        expect(page.locator("#none")).to_be_visible()


def test_filters_by_keyboard_are_in_the_address_and_come_back(board: str, visit: Visit) -> None:
    page = visit(f"/audit?board={board}", "admin")
    assert len(listed(page)) == len(EVENTS)
    page.locator("#more-filters").evaluate("each => { each.open = true; }")
    page.locator('[name="worker"]').focus()
    page.keyboard.type("nobody", delay=250)
    page.keyboard.press("Enter")
    expect(page.locator("#none")).to_be_visible()
    assert "worker=nobody" in page.url
    assert f"board={board}" in page.url
    page.go_back()
    expect(page.locator("#entries tbody tr")).to_have_count(len(EVENTS))
    expect(page.locator('[name="worker"]')).to_have_value("")
    href = page.locator("#export-csv").get_attribute("href") or ""
    with page.expect_download() as download:
        page.locator("#export-csv").click()
    assert f"board={board}" in href
    text = download.value.path().read_text()
    assert len([line for line in text.splitlines() if board in line]) >= len(EVENTS)
    page.locator("#clear").click()
    expect(page).to_have_url(re.compile(r"/audit$"))


def test_older_entries_follow_on_request(site: Site, visit: Visit) -> None:
    for number in range(130):
        site.services.audit_trail.record_soon(
            "denied", code="csrf", worker="older", path=str(number)
        )
    site.services.audit_trail.flush()
    page = visit("/audit?worker=older", "admin")
    rows = page.locator("#entries tbody tr")
    expect(rows).to_have_count(100)
    page.locator("#more").click()
    expect(rows).to_have_count(130)
    expect(page.locator("#more")).to_be_hidden()
    expect(rows.nth(100)).to_be_focused()


def test_older_entries_of_a_former_filter_are_not_asked_for(site: Site, visit: Visit) -> None:
    for number in range(101):
        site.services.audit_trail.record_soon("denied", code="csrf", worker="b", path=str(number))
    site.services.audit_trail.flush()
    page = visit("/audit?worker=b", "admin")
    rows, more = page.locator("#entries tbody tr"), page.locator("#more")
    expect(rows).to_have_count(100)
    expect(more).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/audit*", hold)
    with page.expect_request("**/api/audit*"):
        page.locator("#clear").click()
    expect(more).to_be_hidden()
    held[0].continue_()
    expect(more).to_be_visible()
    expect(rows).to_have_count(100)


def test_only_administrators_see_it_and_find_it(site: Site, visit: Visit) -> None:
    page = visit("/audit", "supervisor")
    expect(page.locator("#said")).to_contain_text("administrators")
    expect(page.locator("#audit")).to_be_hidden()
    page.goto("/boards")
    expect(page.locator("#boards li").first).to_be_visible()
    page.locator("#menu summary").click()
    expect(page.locator("#menu [href='/status']")).to_be_visible()
    expect(page.locator("#menu [href='/audit']")).to_be_hidden()
    page = visit("/boards", "admin")
    page.locator("#menu summary").click()
    page.locator("#menu [href='/audit']").click()
    expect(page.locator("#entries tbody tr").first).to_be_visible()

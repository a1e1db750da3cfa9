"""The page of programs, walls and stations: what is made works, and what is revoked stops."""

from __future__ import annotations

import re
import secrets

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from occupancy.core.entities import Role
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site, expect_live
from tests.support.waiting import wait_until

PAYLOAD = '"><img src=x onerror="window.hacked=1">{by}'


def make(page: Page, section: str) -> None:
    """Open the form of a section."""
    page.locator(f"#{section} .toolbar button").click()
    expect(page.locator("#ask-dialog")).to_be_visible()


def send(page: Page) -> None:
    page.locator("#ask-dialog button.primary").click()


def revoke(page: Page, section: str, row: str) -> None:
    page.locator(f'#{section} [data-id="{row}"]').get_by_role("button", name="Revoke").click()
    send(page)
    expect(page.locator(f'#{section} [data-id="{row}"]')).to_have_count(0)


def shown_secret(page: Page, section: str) -> str:
    """The token or the link that is shown; the focus is on its title."""
    expect(page.locator(f"#{section} .made h3")).to_be_focused()
    return page.locator(f"#{section} .made .secret").first.input_value()


def status_of(site: Site, secret: str, path: str = "/api/boards") -> int:
    header = {"Authorization": f"Bearer {secret}"}
    return requests.get(f"{site.url}{path}", headers=header, timeout=10).status_code


def test_a_token_of_a_new_program_works_until_it_is_revoked(site: Site, visit: Visit) -> None:
    name = f"ERP {secrets.token_hex(3)}"
    page = visit("/programs", "admin")
    make(page, "tokens")
    page.keyboard.type("   ")
    send(page)  # a name that nobody could read is not sent
    expect(page.locator("#ask-dialog")).to_be_visible()
    page.get_by_label("Name of the program").fill(name)
    page.get_by_label("What it may do").select_option("supervisor")
    page.keyboard.press("Enter")
    secret = shown_secret(page, "tokens")
    assert secret in page.locator("#tokens .made .secret").nth(1).input_value()
    assert status_of(site, secret) == 200
    worker = site.services.workers.get(name.lower().replace(" ", "."))
    assert (worker.name, worker.role, worker.pin_hash) == (name, "supervisor", None)
    (token,) = [each.token for each in site.services.tokens.all() if each.token.worker == worker.id]
    row = page.locator(f'#tokens [data-id="{token.id}"]')
    expect(row).to_contain_text(name)
    expect(row).to_contain_text("supervisor")
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#tokens .made")).to_be_hidden()
    page.reload()
    expect(row).to_be_visible()
    assert secret not in page.content()
    revoke(page, "tokens", token.id)
    expect(page.locator("#tokens-title")).to_be_focused()
    assert status_of(site, secret) == 401


def test_a_token_of_somebody_has_at_most_their_role_and_the_given_bounds(
    site: Site, visit: Visit
) -> None:
    worker, board = f"p-{secrets.token_hex(3)}", site.board("T-1", title="Only this")
    site.services.workers.add(worker, name="Señal Óptica", role=Role.WORKER)
    page = visit("/programs", "admin")
    make(page, "tokens")
    page.get_by_label("for a worker who is there already").check()
    page.get_by_label("Search by name").fill("nobody like that")
    send(page)
    expect(page.locator("#ask-dialog")).to_be_visible()
    page.get_by_label("Search by name").fill(f"senal {worker}")
    page.get_by_role("radio", name=worker).check()
    role = page.get_by_label("What it may do")
    assert role.locator("option").all_inner_texts() == ["observer", "worker"]
    role.select_option("worker")
    page.locator("#ask-dialog [name=board]").select_option(board)
    page.get_by_label("Valid for how many days").fill("3")
    send(page)
    secret = shown_secret(page, "tokens")
    (token,) = [each.token for each in site.services.tokens.all() if each.token.worker == worker]
    assert (token.role, token.board) == ("worker", board)
    assert (token.expires_s or 0) - token.created_s == 3 * 86400
    assert status_of(site, secret, f"/api/boards/{board}/items") == 200
    assert status_of(site, secret, "/api/boards/main/items") == 403


def test_a_wall_link_opens_the_wall_and_revoking_it_signs_the_screen_out(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1", title="Hall")
    wall = visit(f"/boards/{board}/wall", None)
    expect(wall.locator("#told-command")).to_have_text(f"{site.url}/programs")
    page = visit("/programs", "admin")
    make(page, "walls")
    page.locator("#ask-dialog [name=board]").select_option(board)
    send(page)
    link = shown_secret(page, "walls")
    expect(page.locator("#walls .qr")).to_be_visible()
    (token,) = [each.token for each in site.services.tokens.all() if each.token.board == board]
    expect(page.locator(f'#walls [data-id="{token.id}"]')).to_contain_text("Hall")
    expect(page.locator(f'#tokens [data-id="{token.id}"]')).to_have_count(0)
    screen = visit(link, None)
    expect(screen).to_have_url(f"{site.url}/boards/{board}/wall")
    expect_live(screen)
    make(page, "walls")  # another screen has the same worker, and a token of its own
    page.locator("#ask-dialog [name=board]").select_option(board)
    send(page)
    expect(page.locator("#walls .made .secret")).not_to_have_value(link)
    tokens = [each.token for each in site.services.tokens.all() if each.token.board == board]
    assert len(tokens) == 2
    assert len({each.worker for each in tokens}) == 1
    revoke(page, "walls", token.id)
    wait_until(
        lambda: screen.request.get("/api/session").status == 401, what="the screen's sign-out"
    )
    screen.close()


def test_a_tablet_is_paired_by_its_link_and_revoked(site: Site, visit: Visit) -> None:
    name, board = f"Hall {secrets.token_hex(3)}", site.board("T-1", title="Welding")
    page = visit("/programs", "admin")
    make(page, "stations")
    page.get_by_label("Name of the station").fill(name)
    page.locator("#ask-dialog [name=board]").select_option(board)
    send(page)
    link = shown_secret(page, "stations")
    (station,) = [
        each.station for each in site.services.stations.all() if each.station.name == name
    ]
    row = page.locator(f'#stations [data-id="{station.id}"]')
    expect(row).to_contain_text("waits for its tablet")
    tablet = visit(link, None)
    expect(tablet).to_have_url(f"{site.url}/boards/{board}")
    page.reload()
    expect(row).not_to_contain_text("waits for its tablet")
    expect(row).to_contain_text("Welding")
    revoke(page, "stations", station.id)
    wait_until(
        lambda: tablet.request.get("/api/session").status == 401, what="the end of the station"
    )
    tablet.close()


def test_a_lost_answer_is_told_and_nothing_that_was_typed_is_lost(site: Site, visit: Visit) -> None:
    name = f"Report {secrets.token_hex(3)}"
    page = visit("/programs", "admin")

    def lose_the_answer(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/tokens", lose_the_answer)
    make(page, "tokens")
    page.get_by_label("Name of the program").fill(name)
    send(page)
    expect(page.locator("#ask-dialog .said")).to_contain_text("may have been created or not")
    expect(page.get_by_label("Name of the program")).to_have_value(name)
    page.unroute("**/api/tokens")
    send(page)  # again: a token for the same program, not a second program
    shown_secret(page, "tokens")
    workers = [each.id for each in site.services.workers.all() if each.name == name]
    assert len(workers) == 1
    rows = page.locator("#tokens tbody tr", has_text=name)
    expect(rows).to_have_count(2)


def test_a_board_that_is_gone_meanwhile_is_said_in_the_pages_language(
    site: Site, visit: Visit
) -> None:
    board = site.board(title="Gone soon")
    page = visit("/programs", "admin", locale="es-MX")
    make(page, "walls")
    page.locator("#ask-dialog [name=board]").select_option(board)
    site.services.removal.remove(
        board, with_items=True, recording=site.services.audit_trail.recording
    )
    send(page)
    expect(page.locator("#ask-dialog .said")).to_have_text("Ese tablero ya no existe. Elija otro.")
    page.keyboard.press("Escape")
    expect(page.locator("#ask-dialog")).to_be_hidden()


@pytest.mark.parametrize("locale", ["en-GB", "es-MX"])
def test_the_page_is_accessible_and_shows_texts_as_text(
    site: Site, visit: Visit, locale: str
) -> None:
    board, worker = site.board(title=PAYLOAD), f"p-{secrets.token_hex(3)}"
    site.services.workers.add(worker, name=PAYLOAD, role=Role.WORKER)
    site.services.tokens.create(worker, board=board)
    site.services.tokens.create(worker, board=board, role=Role.OBSERVER)
    site.services.stations.create(PAYLOAD, by="admin", board=board)
    for width in (1440, 390):
        page = visit("/programs", "admin", locale=locale, viewport={"width": width, "height": 844})
        for section in ("tokens", "walls", "stations"):
            rows = page.locator(f"#{section} tbody tr", has_text=PAYLOAD)
            expect(rows.first).to_be_visible()
        assert violations(page) == []
        make(page, "tokens")
        page.locator("[value=existing]").check()
        page.locator("#ask-dialog [type=search]").fill(worker)
        assert violations(page) == []
        page.locator("#ask-dialog .buttons button").last.click()
        make(page, "walls")
        page.locator("#ask-dialog [name=board]").select_option(board)
        send(page)
        expect(page.locator("#walls .qr")).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate("() => window.hacked") is None


def test_only_administrators_see_it(visit: Visit) -> None:
    page = visit("/programs", "supervisor")
    expect(page.locator("#said")).to_contain_text(re.compile("administrator"))
    expect(page.locator("#managed")).to_be_hidden()
    expect(page.locator("#managed section")).to_have_count(0)

"""A board is created from the pages."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.settings_page import (
    new_id,
    stored,
)
from tests.browser.site import Site


def test_an_admin_creates_a_board_with_its_steps_and_sets_it_up(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    page.locator("#new-board").click()
    dialog = page.locator("#ask-dialog")
    dialog.get_by_label("Title").fill("Línea de Ñandú")
    expect(dialog.locator('[name="board"]')).to_have_value(re.compile(r"^linea-de-nandu(-\d+)?$"))
    dialog.locator('[name="board"]').fill(board)
    dialog.get_by_role("button", name="Add a step").click()
    dialog.get_by_label("Step 1").fill("Soldar")
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Step 2")).to_be_focused()
    dialog.get_by_label("Step 2").fill("Control final")
    dialog.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(f"/boards/{board}/settings$"))
    expect(page.locator("#managed")).to_be_visible()
    expect(page.locator("#no-items")).to_contain_text("Import a file")
    found = stored(site, board)
    assert found["title"] == "Línea de Ñandú"
    assert found["steps"] == ["SOLDAR", "CONTROL-FINAL"]
    assert found["step_titles"] == {"SOLDAR": "Soldar", "CONTROL-FINAL": "Control final"}


def test_a_board_without_steps_has_the_one_that_every_board_has(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    page.locator("#new-board").click()
    page.locator('[name="title"]').fill("Shop")
    page.locator('[name="board"]').fill(board)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#managed")).to_be_visible()
    assert stored(site, board)["steps"] == ["work"]


def test_what_is_wrong_in_a_new_board_is_said_before_it_is_sent(site: Site, visit: Visit) -> None:
    existing = site.board()
    page = visit("/boards", "admin")
    expect(page.locator("#boards li").first).to_be_visible()
    page.locator("#new-board").click()
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.method))
    dialog = page.locator("#ask-dialog")
    create = dialog.get_by_role("button", name="Create")
    create.click()
    expect(dialog).to_contain_text("Write something here.")
    expect(dialog.locator('[name="title"]')).to_be_focused()
    dialog.locator('[name="title"]').fill("Shop")
    dialog.locator('[name="board"]').fill("línea 1")
    expect(dialog).to_contain_text("letters without accents")
    dialog.locator('[name="board"]').fill(existing)
    expect(dialog).to_contain_text(f"There is a board with the id {existing} already.")
    create.click()
    expect(dialog.locator('[name="board"]')).to_be_focused()
    dialog.locator('[name="board"]').fill("access")
    expect(dialog).to_contain_text("No board can have the id access.")
    create.click()
    expect(dialog).to_be_visible()
    assert "POST" not in sent


def test_a_board_whose_answer_was_lost_is_created_once(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    page.locator("#new-board").click()
    page.locator('[name="title"]').fill("Lost")
    page.locator('[name="board"]').fill(board)

    def lose(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
            page.unroute("**/api/boards")
        else:
            route.continue_()

    page.route("**/api/boards", lose)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#ask-dialog")).to_contain_text("may have been created")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(f"/boards/{board}/settings$"))


def test_boards_lead_to_their_items_and_settings_by_role(site: Site, visit: Visit) -> None:
    board = site.board(title="Links")
    here = f'#boards a[href="/boards/{board}'
    for who, items, settings in [("holder", 0, 0), ("supervisor", 1, 0), ("admin", 1, 1)]:
        page = visit("/boards", who)
        expect(page.locator(f'{here}"]')).to_be_visible()
        expect(page.locator(f'{here}/items"]')).to_have_count(items)
        expect(page.locator(f'{here}/settings"]')).to_have_count(settings)
        expect(page.locator("#new-board")).to_be_visible(visible=bool(settings))


def test_the_settings_are_for_admins(site: Site, visit: Visit) -> None:
    page = visit(f"/boards/{site.board()}/settings", "supervisor")
    expect(page.locator("#said")).to_contain_text("admin")
    expect(page.locator("#managed")).to_be_hidden()
    expect(page.locator("#save")).to_be_hidden()

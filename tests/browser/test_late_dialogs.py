"""Dialogs whose answer comes when another one is open, or somebody else is signed in."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenBoard, Visit
from tests.browser.people_page import open_person
from tests.browser.site import Site, card, expect_live, touch
from tests.browser.switching import settle, signed_in, switch
from tests.browser.test_operations import give_reason, hold


def board_of_two_steps(site: Site) -> str:
    """Both items are at the second step, so that they can be sent back."""
    board = site.board("T-1", "T-2", steps=("cut", "weld"))
    for tag in ("T-1", "T-2"):
        site.do("take", board, tag)
        site.do("complete", board, tag)
    return board


def test_of_two_dialogs_that_were_asked_for_the_later_one_opens(
    site: Site, open_board: OpenBoard
) -> None:
    board = board_of_two_steps(site)
    page = open_board(board, "supervisor")
    held = hold(page, f"**/api/boards/{board}")
    for number, tag in enumerate(("T-1", "T-2")):
        with page.expect_request(f"**/api/boards/{board}"):
            touch(page, tag, "send-back")
        assert len(held) == number + 1
        card(page, tag).locator("summary").click()  # its menu may cover the other one's
    for route in reversed(held):
        with page.expect_response(f"**/api/boards/{board}"):
            route.continue_()
    settle(page)
    expect(page.locator("#ask-title")).to_contain_text("T-2")
    give_reason(page, "Scratched")
    expect(page.locator("#ask-dialog")).to_be_hidden()
    expect(page.locator(".note.done")).to_contain_text("T-2")
    assert site.types(board, "T-1") == ["taken", "completed"]


def test_a_dialog_is_not_opened_for_the_next_who_signs_in(site: Site, visit: Visit) -> None:
    board = board_of_two_steps(site)
    page = signed_in(site, visit, f"/boards/{board}", "supervisor")
    expect_live(page)
    held = hold(page, f"**/api/boards/{board}")
    with page.expect_request(f"**/api/boards/{board}"):
        touch(page, "T-1", "send-back")
    switch(page, "admin")
    for route in held:
        with page.expect_response(f"**/api/boards/{board}"):
            route.continue_()
    settle(page)
    expect(page.locator("#ask-dialog")).to_be_hidden()


def test_a_late_answer_does_not_close_the_dialog_of_another_item_and_is_told(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1", "T-2")
    page = visit(f"/boards/{board}/items", "supervisor")
    dialog = page.locator("#ask-dialog")
    page.locator('[data-key="e T-1"]').click()
    dialog.locator('input[name="title"]').fill("Door")
    held = hold(page, f"**/api/boards/{board}/items/T-1")
    with page.expect_request("**/items/T-1"):
        dialog.locator("button.primary").click()
    dialog.get_by_role("button", name="Cancel").click()
    page.locator('[data-key="e T-2"]').click()
    dialog.locator('input[name="title"]').fill("Window")
    with page.expect_response("**/items/T-1"):
        held[0].continue_()
    expect(page.locator("#announcer")).to_have_text("T-1 is saved.")
    expect(dialog.locator('input[name="title"]')).to_have_value("Window")
    dialog.locator("button.primary").click()
    for title in ("Door", "Window"):
        expect(page.locator("#rows").get_by_text(title)).to_be_visible()


def test_a_removal_that_was_cancelled_does_not_go_on_behind_another_dialog(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1", "T-2", "T-3")
    page = visit(f"/boards/{board}/items", "supervisor")
    dialog = page.locator("#ask-dialog")
    page.locator("#choose-all").check()
    page.locator("#remove-chosen").click()
    held = hold(page, f"**/api/boards/{board}/items/T-1")
    with page.expect_request("**/items/T-1"):
        dialog.locator("button.primary").click()
    dialog.get_by_role("button", name="Cancel").click()
    page.locator("#add").click()
    expect(dialog.locator('input[name="tag"]')).to_be_visible()
    held[0].continue_()
    expect(page.locator("#result-title")).to_be_attached()
    expect(page.locator("#refusals li")).to_have_count(2)
    expect(page.locator('tr[data-tag="T-1"]')).to_have_count(0)
    expect(page.locator('tr[data-tag="T-3"]')).to_have_count(1)
    expect(dialog).to_be_visible()


def test_a_link_that_signs_in_is_not_shown_after_its_administrator_has_left(
    site: Site, visit: Visit
) -> None:
    page = signed_in(site, visit, "/people", "admin")
    page.locator("#search").fill("colleague")  # the list may be longer than the page
    open_person(page, "colleague")
    held = hold(page, "**/links")
    with page.expect_request("**/links"):
        page.locator('[data-action="link"]').click()
    other = page.context.new_page()
    other.goto("/boards")
    other.locator("#who button").click()
    other.get_by_role("button", name="Sign out Admin").click()
    expect(page.locator("#who")).to_have_text("Sign in")
    with page.expect_response("**/links"):
        held[0].fulfill(json={"path": "/sign-in#secret", "svg": "<svg/>", "expires_in_s": 600})
    settle(page)
    expect(page.locator(".link-panel")).to_have_count(0)

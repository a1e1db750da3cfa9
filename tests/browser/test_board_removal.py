"""A board is removed from its settings."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from occupancy.core.errors import BoardNotFound
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.settings_page import (
    settings_of,
    stored,
)
from tests.browser.site import Site


def test_an_empty_board_is_removed_after_a_question(site: Site, visit: Visit) -> None:
    board = site.board(title="Empty one")
    page = settings_of(visit("/boards", "admin"), board)
    page.locator("#remove").click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_contain_text("It has no items.")
    expect(dialog.locator("input")).to_be_hidden()
    dialog.get_by_role("button", name="Cancel").click()
    assert stored(site, board)["title"] == "Empty one"
    page.locator("#remove").click()
    dialog.get_by_role("button", name="Remove the board").click()
    expect(page).to_have_url(re.compile(r"/boards$"))
    with pytest.raises(BoardNotFound):
        site.services.store.boards.get(board)


def test_a_board_with_items_is_removed_by_typing_its_id(site: Site, visit: Visit) -> None:
    board = site.board("A", "B")
    page = settings_of(visit("/boards", "admin"), board)
    page.get_by_label("Title").fill("Typed, and of no use any more")
    page.locator("#remove").click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_contain_text("On it: 2 pieces.")
    assert violations(page) == []
    yes = dialog.get_by_role("button", name="Remove the board")
    dialog.locator("input").fill(board[:-1])
    yes.click()
    expect(dialog).to_contain_text(f"Type exactly {board}.")
    assert stored(site, board)["counts"]["available"] == 2
    dialog.locator("input").fill(board)
    yes.click()
    expect(page).to_have_url(re.compile(r"/boards$"))
    expect(page.locator("#boards li").first).to_be_visible()
    expect(page.locator(f'#boards a[href="/boards/{board}"]')).to_have_count(0)


def test_items_that_came_during_the_question_are_not_removed_by_it(
    site: Site, visit: Visit
) -> None:
    board = site.board()
    page = settings_of(visit("/boards", "admin"), board)
    page.locator("#remove").click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_contain_text("It has no items.")
    site.put(board, {"A": "a"})
    dialog.get_by_role("button", name="Remove the board").click()
    expect(dialog).to_contain_text("Items have been added meanwhile.")
    expect(dialog).to_contain_text("On it: 1 piece.")
    dialog.locator("input").fill(board)
    dialog.get_by_role("button", name="Remove the board").click()
    expect(page).to_have_url(re.compile(r"/boards$"))

"""Operations: one touch, and nothing is shown as done before the server has said so."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.site import Site, button, card, expect_state


def test_two_browsers_see_each_others_operations(site: Site, open_board: Visit) -> None:
    board = site.board("T-1", "T-2")
    mine, theirs = open_board(board, "holder"), open_board(board, "colleague")
    button(mine, "T-1", "take").click()
    expect_state(theirs, "T-1", "occupied", "Holder")
    expect_state(mine, "T-1", "occupied", "Holder")
    button(theirs, "T-2", "take").click()
    expect_state(mine, "T-2", "occupied", "Colleague")
    expect(button(mine, "T-2", "complete")).to_have_count(0)
    button(mine, "T-1", "complete").click()
    expect_state(theirs, "T-1", "completed")

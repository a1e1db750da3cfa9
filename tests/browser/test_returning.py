"""A page that was hidden for long and is shown again: what it says until it has loaded."""

from __future__ import annotations

from playwright.sync_api import APIResponse, Page, Route, expect

from tests.browser.conftest import OpenBoard
from tests.browser.site import Site, expect_live, expect_state, touch
from tests.browser.switching import settle
from tests.browser.test_operations import hold

HIDE = """(isHidden) => {
  Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def leave(page: Page) -> None:
    page.evaluate(HIDE, True)


def come_back(page: Page) -> None:
    page.evaluate(HIDE, False)


def test_a_page_that_is_shown_again_is_live_only_once_it_has_the_board(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1")
    page = open_board(board, script="/* its own clock */")
    page.clock.install()
    page.reload()
    expect_live(page)
    leave(page)
    page.clock.fast_forward("01:30")
    site.do("take", board, "T-1")
    held = hold(page, f"**/api/boards/{board}/items")
    with page.expect_request("**/items"):
        come_back(page)
    expect_live(page, "connecting")
    expect_state(page, "T-1", "available")
    settle(page)
    expect_live(page, "connecting")
    held[0].continue_()
    expect_live(page)
    expect_state(page, "T-1", "occupied", "Colleague")


def test_what_the_user_did_while_the_board_was_loading_is_not_told_as_missed(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    site.do("take", board, "T-2", who="holder")
    page = open_board(board, script="/* its own clock */")
    page.clock.install()
    page.reload()
    expect_live(page)
    items = f"**/api/boards/{board}/items"
    held: list[tuple[Route, APIResponse]] = []
    page.route(items, lambda route: held.append((route, route.fetch())))
    leave(page)
    page.clock.fast_forward("01:30")
    site.put(board, {"T-3": "Part T-3"})  # so that the answer is not that nothing has changed
    with page.expect_request(items):
        come_back(page)
    touch(page, "T-1", "take")
    expect_state(page, "T-1", "occupied", "Holder")
    touch(page, "T-2", "complete")
    expect_state(page, "T-2", "completed")
    route, answer = held[0]
    route.fulfill(response=answer)  # as it was before
    expect(page.get_by_role("button", name="All 3")).to_be_visible()
    expect_live(page)
    expect(page.locator(".note.mine")).to_have_count(0)
    expect_state(page, "T-1", "occupied", "Holder")
    expect_state(page, "T-2", "completed")

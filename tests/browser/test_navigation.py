"""The links of the header: by role, on a phone in a menu, and without height of their own."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import OpenBoard, Visit
from tests.browser.site import Site

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


def linked(page: Page) -> list[str]:
    """Where the open menu leads to."""
    expect(page.locator(".menu-panel")).to_be_visible()
    links = page.locator(".menu-panel a:visible")
    return [each.get_attribute("href") or "" for each in links.all()]


@pytest.mark.parametrize(
    ("worker", "places"),
    [
        ("watcher", ["", "/wall", "/boards", "/account", "/docs"]),
        ("holder", ["", "/wall", "/boards", "/day", "/account", "/docs"]),
        (
            "supervisor",
            ["", "/wall", "/items", "/import", "/labels", "/boards", "/day", "/status",
             "/account", "/docs"],
        ),
        (
            "admin",
            ["", "/wall", "/items", "/import", "/labels", "/settings", "/boards", "/day",
             "/people", "/programs", "/audit", "/setup", "/status", "/account", "/docs"],
        ),
    ],
)  # fmt: skip
def test_the_menu_leads_where_the_role_may_go(
    site: Site, open_board: OpenBoard, worker: str, places: list[str]
) -> None:
    board = site.board("T-1")
    page = open_board(board, worker, viewport=PHONE)
    expect(page.locator("#who strong")).to_be_visible()
    page.locator("#menu summary").click()
    of_board = places.index("/boards")
    assert (
        linked(page)
        == [f"/boards/{board}{each}" for each in places[:of_board]] + (places[of_board:])
    )
    current = page.locator(".menu-panel [aria-current='page']")
    expect(current).to_have_attribute("href", f"/boards/{board}")
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_board_shows_the_link_to_its_wall_once(site: Site, open_board: OpenBoard) -> None:
    page = open_board(site.board("T-1"), viewport=DESK)
    expect(page.locator("a[href$='/wall']:visible")).to_have_count(1)


def test_on_a_phone_the_menu_costs_the_board_no_height(site: Site, open_board: OpenBoard) -> None:
    page = open_board(site.board("T-1"), viewport=PHONE)
    top = page.locator(".top")
    height = top.evaluate("each => each.offsetHeight")
    page.locator("#menu").evaluate("each => each.remove()")
    assert top.evaluate("each => each.offsetHeight") == height
    expect(page.locator(".places")).to_be_hidden()


def test_on_a_desk_the_main_pages_stand_open_and_the_header_is_one_line(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", title="A board with a title of some length")
    page = open_board(board, "admin", viewport=DESK, locale="es-ES")
    places = page.locator(".places a:visible")
    expect(places.first).to_be_visible()
    assert [each.get_attribute("href") for each in places.all()][-3:] == [
        "/day", "/people", "/status",
    ]  # fmt: skip
    assert page.locator(".top").evaluate("each => each.offsetHeight") < 70
    assert violations(page) == []


def test_the_menu_closes_by_keyboard_by_a_touch_beside_it_and_gives_the_focus_back(
    site: Site, open_board: OpenBoard
) -> None:
    page = open_board(site.board("T-1"), viewport=PHONE)
    menu, panel = page.locator("#menu summary"), page.locator(".menu-panel")
    menu.focus()
    page.keyboard.press("Enter")
    expect(panel).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    page.locator("#title").click()
    expect(panel).to_be_hidden()


def test_the_shortcuts_are_listed_on_every_page(visit: Visit) -> None:
    page = visit("/boards", "holder", viewport=DESK)
    page.locator("#menu summary").click()
    page.locator("#show-keys").click()
    expect(page.locator("#keys-dialog")).to_contain_text("search")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#keys-dialog")).to_be_hidden()


def test_a_wall_has_no_menu_and_nobody_signed_in_sees_no_page_of_a_role(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    page = visit(f"/boards/{board}/wall", "holder")
    expect(page.locator("#wall")).to_be_visible()
    expect(page.locator("#menu")).to_have_count(0)
    page = visit("/boards", None, viewport=PHONE)
    expect(page.locator("#session-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#menu summary").click()
    assert linked(page) == ["/boards", "/docs"]

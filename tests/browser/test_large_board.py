"""A board of 5,000 items in each layout; views as addresses; rows, columns and the keyboard."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import violations
from tests.browser.conftest import OpenBoard
from tests.browser.site import Site, card, expect_live, expect_state, expect_still, wait_for

MANY = 5_000
STEPS = ("ARM", "SOLD")
DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}}
LAYOUTS = ("cards", "table", "columns")


@pytest.fixture(scope="module")
def large(site: Site) -> str:
    board = site.board(steps=STEPS)
    site.put(board, {f"S-{number:04}": f"Spool {number}" for number in range(MANY)})
    return board


def shown(page: Page) -> list[str]:
    """The tags of the visible layout's rows, from the top."""
    tags: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('#layouts-shown .row')]
          .filter((row) => row.checkVisibility())
          .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
          .map((row) => row.dataset.key)"""
    )
    return tags


def expect_tags(page: Page, tags: list[str]) -> None:
    wait_for(
        page,
        """tags => [...document.querySelectorAll('#layouts-shown .row')]
          .filter((row) => row.checkVisibility())
          .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
          .map((row) => row.dataset.key).join() === tags.join()""",
        tags,
        what=f"{tags} in this order",
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_draws_only_what_is_visible(
    site: Site, large: str, open_board: OpenBoard, layout: str
) -> None:
    page = open_board(f"{large}?layout={layout}", **DESK)
    row = page.locator("#layouts-shown .row:visible")
    expect(row.first).to_be_visible()
    assert row.count() < 60
    page.locator("#search").fill("spool 4321")
    expect_tags(page, ["S-4321"])


def test_an_event_costs_one_layout_of_the_page(
    site: Site, large: str, open_board: OpenBoard
) -> None:
    page = open_board(large, **PHONE)
    expect_still(page)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def layouts() -> int:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return int(next(each["value"] for each in metrics if each["name"] == "LayoutCount"))

    # The clocks of what is held would be laid out each second.
    page.evaluate("() => { for (let id = 0; id < 9999; id += 1) clearInterval(id); }")
    before = layouts()
    site.do("block", large, "S-4000", who="supervisor", reason="Far below what is visible")
    expect(page.locator('#states [data-state="blocked"] .count')).to_have_text("1")
    assert layouts() - before <= 2  # a check of Playwright's may lay out as well
    site.do("unblock", large, "S-4000", who="supervisor")


def test_a_touch_of_a_heading_sorts_the_table_and_the_address_can_be_shared(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(steps=STEPS)
    site.put(board, {"A-1": "Spool 10", "A-2": "Spool 9", "A-3": "Valve"})
    site.do("take", board, "A-3")
    page = open_board(f"{board}?layout=table", **DESK)
    expect_tags(page, ["A-3", "A-1", "A-2"])
    title = page.get_by_role("columnheader", name="Title")
    page.get_by_role("button", name="Title").click()
    expect_tags(page, ["A-2", "A-1", "A-3"])
    expect(title).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Title").press("Enter")
    expect_tags(page, ["A-3", "A-1", "A-2"])
    expect(title).to_have_attribute("aria-sort", "descending")
    expect(page).to_have_url(re.compile(r"layout=table&sort=-title$"))
    other = open_board(page.url.rpartition("/")[2], "colleague", **DESK)
    expect_tags(other, ["A-3", "A-1", "A-2"])
    # Without a view in the address the device's last one is used.
    page.goto(f"/boards/{board}")
    expect_live(page)
    expect_tags(page, ["A-3", "A-1", "A-2"])
    expect(page.locator("#table")).to_be_visible()


def test_the_table_is_dense_and_operates(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(f"{board}?layout=table", **DESK)
    box = card(page, "T-1").bounding_box()
    assert box is not None
    assert 44 <= box["height"] <= 52
    expect_still(page)
    card(page, "T-1").get_by_role("button", name="Take").click()
    expect_state(page, "T-1", "occupied", "Holder")
    assert site.types(board, "T-1") == ["taken"]


def test_all_of_the_table_fits_a_tablet_and_on_a_phone_it_scrolls_in_itself(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("MK-1335-CW-25238-011", "T-2", steps=STEPS)
    page = open_board(f"{board}?layout=table", viewport={"width": 1024, "height": 768})
    take = card(page, "T-2").get_by_role("button", name="Take")
    expect(take).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 390, "height": 844})
    expect(take).not_to_be_in_viewport()
    take.scroll_into_view_if_needed()
    expect(take).to_be_in_viewport(ratio=1)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_columns_count_their_items_and_one_that_moves_on_waits_while_they_are_used(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2", steps=STEPS)
    page = open_board(f"{board}?layout=columns", **DESK)
    counts = page.locator(".column h2 .count")
    expect(counts).to_have_text(["2", "0", "0"])
    arm = page.locator(".column").first
    expect(arm.locator(".row")).to_have_count(2)
    card(page, "T-2").hover()
    site.do("take", board, "T-1")
    site.do("complete", board, "T-1")
    expect(counts).to_have_text(["1", "1", "0"])
    expect(card(page, "T-1").locator(".step")).to_have_text("SOLD")
    expect(arm.locator(".row")).to_have_count(2)  # it keeps its place
    expect_still(page)  # a button that has just appeared takes no touch
    page.locator("#changes").click()
    expect(arm.locator(".row")).to_have_count(1)


def test_arrows_lead_from_the_search_into_the_list_and_through_rows_and_columns(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2", "T-3", steps=STEPS)
    site.do("take", board, "T-3")
    site.do("complete", board, "T-3")
    page = open_board(f"{board}?layout=table&sort=tag", **DESK)
    page.locator("#search").focus()
    page.keyboard.press("ArrowDown")
    expect(card(page, "T-1").locator(".tag")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(card(page, "T-2").locator(".tag")).to_be_focused()
    page.goto(f"/boards/{board}?layout=columns")
    expect_live(page)
    expect(card(page, "T-1")).to_be_visible()
    page.locator("#search").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(card(page, "T-2").locator(".tag")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(card(page, "T-3").locator(".tag")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(card(page, "T-1").locator(".tag")).to_be_focused()


def test_groups_have_headings_with_counts(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2", "T-3", "T-4")
    site.do("take", board, "T-1", who="holder")
    site.do("take", board, "T-2")
    site.do("block", board, "T-3", who="supervisor", reason="Crack found")
    page = open_board(board, **PHONE)
    headings = page.locator("#items h2")
    expect(headings).to_have_text(
        ["Mine · 1", "With others · 1", "Standing still · 1", "Free to take · 1"]
    )
    page.locator("#arrange summary").click()
    page.locator("#group").select_option("none")
    expect(headings).to_have_count(0)
    expect(page).to_have_url(re.compile("group=none"))


def test_back_from_an_item_the_search_the_view_and_the_place_are_as_before(
    site: Site, large: str, open_board: OpenBoard
) -> None:
    page = open_board(f"{large}?q=spool&sort=title", **PHONE)
    expect_still(page)
    page.evaluate("() => scrollTo(0, 20000)")
    wait_for(
        page,
        "() => scrollY > 19000 && document.querySelector('#items .row')?.ariaPosInSet > 99",
        what="the rows there to be drawn",
    )
    tag = page.locator(".row:visible").nth(8).get_attribute("data-key")
    assert tag
    expect(card(page, tag)).to_be_in_viewport()
    card(page, tag).locator(".tag").click()
    expect(page.locator("#back")).to_be_visible()
    page.locator("#back").click()
    expect_live(page)
    expect(page.locator("#search")).to_have_value("spool")
    expect(card(page, tag)).to_be_in_viewport()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("device", [PHONE, DESK])
def test_a_layout_is_accessible(
    site: Site, open_board: OpenBoard, layout: str, device: dict[str, Any]
) -> None:
    board = site.board("T-1", "T-2", steps=STEPS)
    site.do("take", board, "T-1", who="holder")
    page = open_board(f"{board}?layout={layout}", **device)
    expect(card(page, "T-1").locator("visible=true")).not_to_have_count(0)
    page.locator("#arrange summary").click()
    assert violations(page) == []
    assert (
        page.evaluate("() => document.documentElement.scrollWidth") <= device["viewport"]["width"]
    )

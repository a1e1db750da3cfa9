"""The board: thousands of items, the keyboard, the scanner, the filters."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenBoard
from tests.browser.keys import scan
from tests.browser.site import Site, card, expect_live, expect_state, wait_for

MANY = 5_000


def active(page: Page) -> Locator:
    return page.locator(".row.active")


def expect_active(page: Page, tag: str) -> None:
    """Wait until the keyboard acts on this item, and it can be seen."""
    expect(active(page)).to_have_attribute("data-key", tag)
    expect(active(page)).to_be_in_viewport()


def expect_shown(page: Page, tags: list[str]) -> None:
    """Wait until exactly these items are shown, in this order."""
    wait_for(
        page,
        """tags => {
          const rows = [...document.querySelectorAll('.row')];
          return rows.every((row, index) => +row.ariaPosInSet === index + 1)
            && rows.map((row) => row.dataset.key).join() === tags.join();
        }""",
        tags,
        what=f"{tags} alone",
    )


def test_of_5000_items_only_the_visible_ones_are_in_the_document_and_any_is_found(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board()
    site.put(board, {f"S-{number:04}": f"Spool {number}" for number in range(MANY)})
    page = open_board(board)
    rows = page.locator("#items > li")
    expect(page.locator("#shown")).to_have_text("5,000 pieces")
    assert rows.count() < 60
    for key in ("End", "Home", "PageDown"):
        page.keyboard.press(key)
        assert rows.count() < 60
    page.keyboard.press("End")
    expect_active(page, "S-4999")
    expect(active(page)).to_have_attribute("aria-posinset", "5000")
    page.locator("#search").fill("spool 4321")
    expect_shown(page, ["S-4321"])
    page.locator("#search").fill("s-432")
    expect_shown(page, [f"S-432{digit}" for digit in range(10)])
    site.do("take", board, "S-4325")
    expect_shown(page, ["S-4325", *(f"S-432{digit}" for digit in "012346789")])
    expect_state(page, "S-4325", "occupied", "Colleague")


def test_filters_by_state_step_person_and_text_add_up_and_stay_in_the_address(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2", "T-3", "T-4", steps=("ARM", "SOLD"))
    site.put(board, {"T-2": "Señal"}, area="B2")
    for tag in ("T-2", "T-3"):
        site.do("take", board, tag, who="holder")
    site.do("complete", board, "T-3", who="holder")
    page = open_board(board)
    expect_shown(page, ["T-2", "T-1", "T-3", "T-4"])  # what I hold comes first
    page.locator("#search").fill("senal b2")
    expect_shown(page, ["T-2"])
    expect(page.locator("#shown")).to_have_text("1 piece · “senal b2”")
    page.locator("#search").fill("")
    page.locator("#step").select_option("SOLD")
    expect_shown(page, ["T-3"])
    page.locator("#step").select_option("")
    page.locator('#states [data-state="available"]').click()
    expect_shown(page, ["T-1", "T-3", "T-4"])
    expect(page.locator("#shown")).to_have_text("3 pieces · available")
    page.locator("#step").select_option("ARM")
    expect_shown(page, ["T-1", "T-4"])
    page.locator("#search").fill("t-4")
    expect_shown(page, ["T-4"])
    page.reload()
    expect_live(page)
    expect_shown(page, ["T-4"])
    page.locator("#search").fill("")
    page.locator("#step").select_option("")
    page.locator('#states [data-state="available"]').click()
    page.locator("#mine").click()
    expect_shown(page, ["T-2"])
    expect(page).to_have_url(re.compile(r"\?mine="))
    page.reload()
    expect_live(page)
    expect_shown(page, ["T-2"])
    expect(page.locator("#mine")).to_have_attribute("aria-pressed", "true")


def test_everything_can_be_done_by_keyboard_alone(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2", "T-3")
    page = open_board(board)
    press = page.keyboard.press
    press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("t-2", delay=50)
    expect_shown(page, ["T-2"])
    press("ControlOrMeta+a")
    press("Delete")
    expect_shown(page, ["T-1", "T-2", "T-3"])
    press("Escape")
    press("Home")
    expect_active(page, "T-1")
    press("ArrowDown")
    press("ArrowDown")
    press("ArrowUp")
    expect_active(page, "T-2")
    focused = page.locator(".row.active .tag")
    expect(focused).to_be_focused()
    assert focused.evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
    press("t")
    expect_state(page, "T-2", "occupied", "Holder")
    expect(card(page, "T-2")).to_have_attribute("aria-busy", "false")
    press("p")
    expect(page.locator('#ask-dialog input[name="reason"]')).to_be_focused()
    page.keyboard.type("Time for tea", delay=50)
    press("Enter")
    expect_state(page, "T-2", "paused")
    expect(card(page, "T-2").locator(".reason")).to_have_text("Time for tea")
    press("t")
    expect_state(page, "T-2", "occupied", "Holder")
    expect(card(page, "T-2")).to_have_attribute("aria-busy", "false")
    press("c")
    expect_state(page, "T-2", "completed")
    press("Home")
    press(" ")
    expect(page.locator("#batch strong")).to_have_text("1 chosen")
    press("Enter")
    expect(page).to_have_url(re.compile(f"/boards/{board}/items/"))


def test_a_scan_selects_the_item_wherever_the_focus_is(site: Site, open_board: OpenBoard) -> None:
    board = site.board()
    site.put(board, {f"cpt-{number:03}": f"Part {number}" for number in range(200)})
    page = open_board(board)
    search = page.locator("#search")
    for where, tag in (("#search", "cpt-150"), (".row .choose", "cpt-070"), ("body", "cpt-199")):
        search.fill("cpt-00")
        if where == "body":
            search.blur()
        else:
            page.locator(where).first.focus()
        scan(page, tag)
        expect_active(page, tag)
        expect(search).to_have_value("")
        expect(page.locator("#notices .note")).to_contain_text(f"{tag} is selected.")
        # The letters of the tag are no shortcuts: nothing was taken, and no dialog is open.
        expect(page.locator("dialog[open]")).to_have_count(0)
        assert site.types(board, tag) == []
    # What a QR code holds is the item's address.
    scan(page, f"{site.url}/boards/{board}/items/cpt-007")
    expect_active(page, "cpt-007")


def test_a_scan_of_an_unknown_item_says_so(site: Site, open_board: OpenBoard) -> None:
    page = open_board(site.board("T-1"))
    scan(page, "T-999")
    expect(page.locator(".scanned p")).to_have_text("Scanned T-999: it is not on this board.")


def test_keys_typed_by_hand_are_no_scan(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(board)
    page.locator("#search").focus()
    page.keyboard.type("t-2 part", delay=60)
    page.keyboard.press("Enter")
    expect(page.locator("#search")).to_have_value("t-2 part")
    expect_shown(page, ["T-2"])

"""Mistakes are taken back: by the button beside the notice, and by a supervisor's send-back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.conftest import OpenBoard, Visit
from tests.browser.site import Site, card, expect_state, expect_still, touch

UNDO = "#notices .take-back"
# The page's steady clock, which a test can put forward.
CLOCK = """
  window.ahead = 0;
  const real = performance.now.bind(performance);
  performance.now = () => real() + window.ahead;
"""


def test_a_completion_is_undone_by_its_notice(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", steps=("ARM", "SOLD"))
    page = open_board(board)
    touch(page, "T-1", "take")
    touch(page, "T-1", "complete")
    expect_state(page, "T-1", "available")
    expect(card(page, "T-1").locator(".step")).to_have_text("SOLD")
    expect(page.locator(UNDO)).to_have_accessible_name("Undo: T-1")
    expect_still(page)  # a new notice takes no tap for half a second
    page.locator(UNDO).click()
    expect_state(page, "T-1", "occupied", "Holder")
    expect(card(page, "T-1").locator(".step")).to_have_text("ARM")
    expect(page.locator("#notices p")).to_have_text("T-1 is yours again.")
    expect(page.locator(UNDO)).to_have_count(0)
    assert site.types(board, "T-1") == ["taken", "completed", "undone"]


def test_on_a_phone_the_notice_has_its_text_above_its_buttons(
    site: Site, open_board: OpenBoard
) -> None:
    page = open_board(site.board("T-1"), viewport={"width": 390, "height": 844})
    touch(page, "T-1", "take")
    expect(page.locator(UNDO)).to_be_visible()
    text, button = page.locator("#notices p").bounding_box(), page.locator(UNDO).bounding_box()
    assert text is not None
    assert button is not None
    assert text["width"] > 300
    assert text["y"] + text["height"] <= button["y"]


def test_a_take_is_undone_from_the_keyboard(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1")
    page = open_board(board)
    card(page, "T-1").locator(".tag").focus()
    page.keyboard.press("t")
    expect_state(page, "T-1", "occupied", "Holder")
    expect(page.locator(UNDO)).to_have_attribute("aria-keyshortcuts", "z")
    assert violations(page) == []
    page.locator(UNDO).focus()
    expect_still(page)
    page.keyboard.press("Enter")
    expect_state(page, "T-1", "available")
    expect(page.locator("#notices button").first).to_be_focused()
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "false")
    page.locator("#main").focus()
    page.keyboard.press("t")
    expect_state(page, "T-1", "occupied", "Holder")
    expect(page.locator(UNDO)).to_have_count(1)
    page.keyboard.press("z")
    expect_state(page, "T-1", "available")
    assert site.types(board, "T-1") == ["taken", "released"] * 2


def test_the_button_goes_when_somebody_touches_the_item(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2", steps=("ARM", "SOLD"))
    page = open_board(board)
    touch(page, "T-1", "take")
    touch(page, "T-1", "complete")
    expect(page.locator(UNDO)).to_have_count(1)
    site.do("take", board, "T-2", who="colleague")
    expect_state(page, "T-2", "occupied", "Colleague")
    expect(page.locator(UNDO)).to_have_count(1)
    site.do("take", board, "T-1", who="colleague")
    expect(page.locator(UNDO)).to_have_count(0)


def test_after_a_minute_the_page_offers_no_undo(site: Site, visit: Visit) -> None:
    board = site.board("T-1", steps=("ARM", "SOLD"))
    page = visit(f"/boards/{board}", script=CLOCK)
    touch(page, "T-1", "take")
    touch(page, "T-1", "complete")
    expect(page.locator(UNDO)).to_have_count(1)
    page.evaluate("window.ahead = 61000")
    page.keyboard.press("z")
    expect(page.locator(UNDO)).to_have_count(0)
    expect_state(page, "T-1", "available")
    assert site.types(board, "T-1") == ["taken", "completed"]


def test_a_supervisor_sends_back_from_the_items_page_to_an_earlier_step(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1", steps=("ARM", "SOLD", "METROLOGIA"))
    page = visit(f"/boards/{board}/items/T-1", "supervisor")
    expect(page.locator('#items [data-name="take"]')).to_have_count(1)
    send_back = page.locator('#items [data-name="send-back"]')
    expect(send_back).to_have_count(0)  # it is at the first step
    for _ in range(2):
        site.do("take", board, "T-1")
        site.do("complete", board, "T-1")
    expect(send_back).to_have_count(1)
    expect_still(page)
    page.locator("#items summary").click()
    send_back.click()
    options = page.locator('#ask-dialog select[name="step"] option')
    expect(options).to_have_text(["ARM", "SOLD"])
    expect(page.locator('#ask-dialog select[name="step"]')).to_have_value("SOLD")
    reason = page.locator('#ask-dialog input[name="reason"]')
    reason.press("Enter")
    expect(page.locator("#ask-dialog")).to_be_visible()  # the reason is missing
    page.locator('#ask-dialog select[name="step"]').select_option("ARM")
    reason.fill("Weld is porous")
    reason.press("Enter")
    expect(page.locator("#items .step")).to_have_text("ARM")
    expect(page.locator("#items .reason")).to_have_text("Weld is porous")
    expect(page.locator("#history li").first).to_contain_text("Supervisor sent it back")
    assert site.types(board, "T-1")[-1] == "sent_back"


def test_a_batch_is_undone_by_its_notice_but_for_what_others_have_touched(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2", "T-3", steps=("ARM", "SOLD"))
    for tag in ("T-1", "T-2", "T-3"):
        site.do("take", board, tag, who="holder")
    page = open_board(board)
    expect_still(page)
    for tag in ("T-1", "T-2", "T-3"):
        card(page, tag).locator(".choose").check()
    expect_still(page)
    page.locator("#batch .complete").click()
    expect(page.locator("#notices p")).to_have_text("Done for 3 of 3.")
    expect(page.locator(UNDO)).to_have_accessible_name("Undo: 3 items")
    site.do("take", board, "T-3", who="colleague")
    expect_state(page, "T-3", "occupied", "Colleague")
    expect_still(page)
    page.locator(UNDO).click()
    expect(page.locator("#notices p")).to_have_text("Undone for 2 of 2.")
    expect_state(page, "T-1", "occupied", "Holder")
    assert [site.types(board, tag)[-1] for tag in ("T-1", "T-2", "T-3")] == [
        "undone", "undone", "taken",
    ]  # fmt: skip

"""Scanners of every speed, on every page: a scan selects an item and changes nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenBoard, Visit
from tests.browser.keys import scan, scan_strokes, stroke
from tests.browser.site import (
    Site,
    expect_live,
    expect_state,
    expect_still,
    sign_in_by_hand,
    touch,
    wait_for,
)

SPEEDS_MS = [5, 30, 44, 59, 80, 100, 150]  # from key to key


def expect_active(page: Page, tag: str) -> None:
    wait_for(
        page, "tag => document.querySelector('.row.active')?.dataset.key === tag", tag,
        what=f"{tag} to be active",
    )  # fmt: skip


def expect_said(page: Page, text: str) -> None:
    expect(page.locator(".scanned")).to_be_visible()
    expect(page.locator(".scanned")).to_contain_text(text)


@pytest.mark.parametrize("suffix", ["Enter", "Tab", ""])
@pytest.mark.parametrize("speed_ms", SPEEDS_MS)
def test_an_address_that_is_scanned_selects_its_item_and_operates_nothing(
    site: Site, open_board: OpenBoard, speed_ms: int, suffix: str
) -> None:
    board = site.board("part-1", "part-2")
    site.do("take", board, "part-1", who="holder")
    page = open_board(board)
    expect_state(page, "part-1", "occupied", "Holder")
    expect_active(page, "part-1")  # which the letters of an address would pause, and Enter open
    scan(page, f"{site.url}/boards/{board}/items/part-2", speed_ms, suffix)
    expect_active(page, "part-2")
    expect(page.locator("#search")).to_have_value("")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page).to_have_url(f"{site.url}/boards/{board}")
    assert site.types(board, "part-1") == ["taken"]
    assert site.types(board, "part-2") == []


@pytest.mark.parametrize("text", ["x", "X-t", "]C1x", "]Q1X-t", "x-T"])
def test_short_tags_with_prefixes_and_caps_lock_select_their_item(
    site: Site, open_board: OpenBoard, text: str
) -> None:
    board = site.board("first", "x", "X-t")
    page = open_board(board)
    expect_active(page, "X-t")
    for suffix in ("Enter", "Tab"):
        page.keyboard.press("End")
        scan(page, text, 60, suffix)
        expect_active(page, "x" if text.endswith("x") else "X-t")
    expect(page).to_have_url(f"{site.url}/boards/{board}")
    for tag in ("first", "x", "X-t"):
        assert site.types(board, tag) == []


def test_a_us_scanner_on_a_spanish_keyboard_is_understood(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("MK-1", "MK-2")
    page = open_board(board)
    spanish = {":": "Ñ", "/": "-", "-": "'"}
    address = f"{site.url}/boards/{board}/items/MK-2"
    strokes = [(spanish.get(key, key), code, shift) for key, code, shift in map(stroke, address)]
    scan_strokes(page, strokes, 60)
    expect_active(page, "MK-2")
    scan(page, "50% of what", 10)
    expect_said(page, "This is not the label of an item: 50% of what.")


def test_a_label_of_another_board_or_server_selects_nothing_here(
    site: Site, visit: Visit, open_board: OpenBoard
) -> None:
    board, north = site.board("T-1", "T-2"), site.board("T-2", title="North")
    page = open_board(board)
    expect_active(page, "T-1")
    scan(page, f"{site.url}/boards/{north}/items/T-2", 50)
    expect_said(page, f"Scanned T-2: a label of the board {north}.")
    expect_active(page, "T-1")
    scan(page, f"http://elsewhere.example/boards/{board}/items/T-2", 50)
    expect_said(page, "Scanned T-2: a label of another server, elsewhere.example.")
    expect(page.locator(".scanned a")).to_have_count(0)
    expect_active(page, "T-1")
    scan(page, f"{site.url}/sign-in#secret")
    expect_said(page, "an address, but not that of an item")
    expect(page.locator(".scanned")).not_to_contain_text("secret")
    scan(page, f"{site.url}/boards/{north}/items/T-2")
    expect_still(page)
    page.locator(".scanned a").click()
    expect(page).to_have_url(f"{site.url}/boards/{north}/items/T-2")


@pytest.mark.parametrize("speed_ms", [5, 44, 100])
def test_a_scan_into_the_reason_dialog_is_not_taken_as_a_reason(
    site: Site, open_board: OpenBoard, speed_ms: int
) -> None:
    board = site.board("part-1", "part-2")
    page = open_board(board)
    touch(page, "part-1", "take")
    touch(page, "part-1", "pause")
    reason = page.locator('#ask-dialog input[name="reason"]')
    reason.fill("No material")
    for text in (f"{site.url}/boards/{board}/items/part-2", "part-2"):
        scan(page, text, speed_ms)
        expect(reason).to_have_value("No material")
        expect_said(page, "Scanned part-2. Answer this first")
    reason.fill("")
    scan(page, "other-7", speed_ms)
    expect_said(page, "so it was not sent")
    assert site.types(board, "part-1") == ["taken"]
    page.locator("#ask-dialog").get_by_role("button", name="Cancel").click()
    scan(page, "part-2", speed_ms)
    expect_active(page, "part-2")


@pytest.mark.parametrize("speed_ms", [5, 44, 100])
def test_a_scan_into_the_pin_field_signs_nobody_in(site: Site, visit: Visit, speed_ms: int) -> None:
    board = site.board("T-1")
    page = visit(f"/boards/{board}", None)
    tries: list[str] = []
    page.on("request", lambda request: tries.append(request.method))
    page.locator('#session-dialog input[name="worker"]').fill("holder")
    pin = page.locator('#session-dialog input[name="pin"]')
    pin.focus()
    scan(page, f"{site.url}/boards/{board}/items/T-1", speed_ms)
    expect(pin).to_have_value("")
    expect_said(page, "Sign in first, then scan again.")
    scan(page, "PART-1", speed_ms)
    expect_said(page, "so it was not sent")
    assert "POST" not in tries
    sign_in_by_hand(page, "holder")
    expect_live(page)


def test_a_scan_with_the_focus_on_a_list_of_choices_chooses_nothing(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("es-1", "T-2", steps=("ARM", "es"))
    page = open_board(board)
    for where in ("#languages", "#step"):
        page.locator(where).focus()
        scan(page, "es-1", 60)
        expect_active(page, "es-1")
        page.keyboard.press("End")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#step")).to_have_value("")


def test_the_other_pages_answer_a_scan_too(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2")
    page = visit(f"/boards/{board}/items/T-1")
    expect_live(page)
    scan(page, "T-9", 60)
    expect_said(page, "Scanned T-9: it is not on this board.")
    scan(page, f"{site.url}/boards/{board}/items/T-2", 60)
    expect(page).to_have_url(f"{site.url}/boards/{board}/items/T-2")
    expect_live(page)

    page.goto("/boards")
    expect(page.locator("#boards li").first).to_be_visible()
    scan(page, "T-1", 60)
    expect_said(page, "Open a board first")
    scan(page, f"{site.url}/boards/{board}/items/T-1", 60)
    expect_still(page)
    page.locator(".scanned a").click()
    expect(page).to_have_url(f"{site.url}/boards/{board}/items/T-1")

    page.goto(f"/boards/{board}/wall")
    expect(page.locator("#wall")).to_be_visible()
    scan(page, f"{site.url}/boards/{board}/items/T-1", 60)
    expect_said(page, "T-1: available")
    expect(page).to_have_url(re.compile("/wall$"))


def test_a_tag_of_one_letter_that_is_a_shortcut_too_is_selected_and_not_taken(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("first", "t")
    page = open_board(board)
    expect_active(page, "first")
    scan(page, "t", suffix="")
    expect_active(page, "t")
    assert site.types(board, "first") == site.types(board, "t") == []

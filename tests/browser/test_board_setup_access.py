"""Creating, setting up and removing a board: accessible, by keyboard, and safe from texts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.settings_page import (
    PAYLOAD,
    SHORT_PAYLOAD,
    SIZES,
    STEPS,
    configure,
    fill_line,
    new_id,
    save,
    settings_of,
    stored,
)
from tests.browser.site import Site


@pytest.mark.parametrize("locale", ["en-GB", "es-MX"])
def test_texts_from_people_stay_text_and_the_pages_are_accessible(
    site: Site, visit: Visit, locale: str
) -> None:
    board = site.board(steps=STEPS, title=PAYLOAD)
    configure(
        site, board, reasons=[PAYLOAD], shown_attributes=[PAYLOAD],
        steps=[{"step": "ARM", "title": PAYLOAD}, "SOLD"],
        item_name={
            each: {"one": SHORT_PAYLOAD, "many": SHORT_PAYLOAD} for each in ("es", "en")
        },
    )  # fmt: skip
    site.put(board, {"A": PAYLOAD}, **{SHORT_PAYLOAD: PAYLOAD})
    for size in SIZES:
        page = settings_of(visit("/boards", "admin", viewport=size, locale=locale), board)
        expect(page.locator(".proposals button").first).to_contain_text(SHORT_PAYLOAD)
        expect(page.locator("#settings-form .line").first).to_contain_text(SHORT_PAYLOAD)
        for each in page.locator(".add-line").all():
            if each.is_enabled():
                each.click()
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
        text = page.locator("body").inner_text()
        assert not re.search(r"(settings|lines|boards)\.[a-z_]+|undefined", text), text
        page.locator("#remove").click()
        expect(page.locator("#ask-dialog")).to_contain_text(SHORT_PAYLOAD)
        page.keyboard.press("Escape")
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/boards")
        expect(page.locator(f'#boards a[href="/boards/{board}"]')).to_have_text(PAYLOAD)
        page.locator("#new-board").click()
        page.locator("#ask-dialog .add-line").click()
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
        assert page.evaluate("() => window.hacked") is None


def test_a_payload_that_is_typed_into_every_field_is_stored_and_shown_as_text(
    site: Site, visit: Visit
) -> None:
    board = site.board(steps=STEPS)
    page = settings_of(visit("/boards", "admin"), board)
    page.get_by_label("Title").fill(PAYLOAD)
    fill_line(page, "Step", 1, PAYLOAD)
    for each in page.locator(".words input").all():
        each.fill(SHORT_PAYLOAD)
    for label, name in [("Add an attribute", "Attribute"), ("Add a reason", "Reason")]:
        page.get_by_role("button", name=label).click()
        fill_line(page, name, 1, PAYLOAD)
    save(page)
    found = stored(site, board)
    assert [found["title"], *found["settings"]["reasons"]] == [PAYLOAD, PAYLOAD]
    expect(page.locator("#board-title")).to_have_text(PAYLOAD)
    assert page.locator("#managed script, #managed img").count() == 0
    assert page.evaluate("() => window.hacked") is None


def test_everything_is_done_with_the_keyboard_alone(site: Site, visit: Visit) -> None:
    board = new_id()
    page = visit("/boards", "admin")
    expect(page.locator("#new-board")).to_be_visible()
    press = page.keyboard.press

    def reach(selector: str, key: str = "Tab") -> None:
        for _ in range(150):
            if page.evaluate("each => document.activeElement.matches(each)", selector):
                return
            press(key)
        raise AssertionError(f"{selector} is not reached")

    def write(text: str) -> None:
        page.keyboard.insert_text(text)

    reach("#new-board")
    press("Enter")
    reach('[name="title"]')
    write("Keys")
    press("Tab")
    press("ControlOrMeta+a")
    write(board)
    press("Tab")
    press("Space")  # the first step
    write("Uno")
    press("Enter")
    write("Dos")
    reach("#ask-dialog .buttons .primary")
    press("Enter")
    expect(page).to_have_url(re.compile(f"/boards/{board}/settings$"))
    expect(page.locator("#managed")).to_be_visible()
    assert stored(site, board)["steps"] == ["UNO", "DOS"]
    reach('.line:nth-child(2) [data-name="up"]')
    press("Enter")
    expect(page.get_by_role("button", name="Move up: Dos")).to_be_focused()
    reach("#save")
    press("Enter")
    expect(page.locator("#save-said")).to_have_text("Saved.")
    assert stored(site, board)["steps"] == ["DOS", "UNO"]
    expect(page.locator("#save")).to_be_focused()
    reach("#remove", "Shift+Tab")
    press("Enter")
    expect(page.locator("#ask-dialog")).to_be_visible()
    reach("#ask-dialog .danger")
    press("Enter")
    expect(page).to_have_url(re.compile(r"/boards$"))

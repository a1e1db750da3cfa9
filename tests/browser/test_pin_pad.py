"""PINs by touch: the pad of shared tablets, letters, and the PIN that a badge needs besides."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.keys import scan
from tests.browser.site import PIN, Site, expect_live, expect_state, touch

TABLET: dict[str, Any] = {
    "viewport": {"width": 820, "height": 1180},
    "has_touch": True,
    "is_mobile": True,
}
KNOWN = """if (location.protocol.startsWith("http")) localStorage.setItem('occupancy-recent',
  JSON.stringify([{id: 'holder', name: 'Holder'}, {id: 'colleague', name: 'Colleague'}]));"""


def press(page: Page, dialog: str, keys: str) -> None:
    for each in keys:
        page.locator(f"{dialog} .pad").get_by_role("button", name=each, exact=True).click()


def station(site: Site, visit: Visit, path: str) -> tuple[Page, str, str]:
    """A paired tablet at which a supervisor has scanned a badge: page, the badge, the worker."""
    worker, badge = f"sup-{secrets.token_hex(3)}", f"00{secrets.randbelow(10**8):08d}"
    site.services.workers.add(worker, name="Chief", role=Role.SUPERVISOR, pin_hash=hash_pin(PIN))
    site.services.badges.add(worker, badge, by="admin")
    secret, _ = site.services.stations.create(f"Hall {worker}", board=None, by="admin")
    page = visit(f"/sign-in#{secret}", None, script="/* its own browser */", **TABLET)
    expect(page).to_have_url(f"{site.url}/boards")
    page.goto(path)
    expect(page.locator("#who strong")).to_contain_text("Hall")
    return page, badge, worker


def test_a_shared_tablet_takes_the_pin_by_large_keys_and_by_keyboard(visit: Visit) -> None:
    page = visit("/boards", None, script=KNOWN, **TABLET)
    dialog = page.locator("#session-dialog")
    dialog.get_by_role("button", name="Holder holder").click()
    pin = dialog.locator('input[name="pin"]')
    expect(pin).to_have_attribute("inputmode", "none")  # the pad is there instead
    assert violations(page) == []
    small = dialog.locator(".pad button").evaluate_all(
        "all => all.filter((each) => each.offsetHeight < 44).length"
    )
    assert small == 0
    press(page, "#session-dialog", PIN[:2] + "9")
    dialog.get_by_role("button", name="Delete the last digit").click()
    expect(pin).to_have_value(PIN[:2])
    expect(pin).to_be_focused()
    page.keyboard.type(PIN[2], delay=250)
    press(page, "#session-dialog", PIN[3])
    dialog.locator(".pad").get_by_role("button", name="OK").click()
    expect(page.locator("#who strong")).to_have_text("Holder")


def test_letters_bring_the_keyboard_and_take_the_pad_away(visit: Visit) -> None:
    page = visit("/boards", None, script=KNOWN, **TABLET)
    dialog = page.locator("#session-dialog")
    letters = dialog.get_by_role("button", name="Letters")
    letters.click()
    expect(letters).to_have_attribute("aria-pressed", "true")
    expect(dialog.locator('input[name="pin"]')).to_have_attribute("inputmode", "text")
    expect(dialog.locator(".pad")).to_be_hidden()
    letters.click()
    expect(dialog.locator(".pad")).to_be_visible()


@pytest.mark.parametrize("options", [{}, TABLET])
def test_a_device_of_one_person_has_digits_first_and_no_pad(
    visit: Visit, options: dict[str, Any]
) -> None:
    page = visit("/boards", None, **options)
    expect(page.locator('#session-dialog input[name="pin"]')).to_have_attribute(
        "inputmode", "numeric"
    )
    expect(page.locator("#session-dialog .pad")).to_have_count(0)


def test_a_badge_needs_the_pin_for_more_and_the_request_is_sent_again_by_itself(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1", "T-2")
    page, badge, worker = station(site, visit, f"/boards/{board}")
    expect_live(page)
    scan(page, badge, 20)
    expect(page.locator("#who strong")).to_have_text("Chief")
    keys: list[str] = []
    page.on(
        "request",
        lambda request: keys.append(request.headers.get("idempotency-key", ""))
        if request.url.endswith("/block") else None,
    )  # fmt: skip
    expect_live(page)
    touch(page, "T-1", "block")
    page.locator('#ask-dialog input[name="reason"]').fill("Crack found")
    page.locator("#ask-dialog button.primary").click()
    dialog = page.locator("#pin-dialog")
    expect(dialog).to_be_visible()
    assert violations(page) == []
    press(page, "#pin-dialog", "0000")
    dialog.locator(".pad").get_by_role("button", name="OK").click()
    expect(dialog.locator(".said")).to_contain_text("This is not your PIN")
    press(page, "#pin-dialog", PIN)
    dialog.locator(".pad").get_by_role("button", name="OK").click()
    expect_state(page, "T-1", "blocked")
    assert len(keys) == 2
    assert keys[0] == keys[1] != ""
    assert site.types(board, "T-1") == ["blocked"]
    touch(page, "T-2", "block")  # the PIN is enough for some minutes
    page.locator('#ask-dialog input[name="reason"]').fill("Crack found")
    page.locator("#ask-dialog button.primary").click()
    expect_state(page, "T-2", "blocked")
    # The tablet knows those who were there, and no others.
    page.locator("#who button").click()
    page.get_by_role("button", name="Sign out Chief").click()
    page.locator("#who button").click()
    expect(page.locator("#session-dialog .name")).to_have_count(1)
    expect(page.locator("#session-dialog .name")).to_contain_text(worker)
    expect(page.locator("#session-dialog .pad")).to_be_visible()


def test_the_pin_is_asked_for_over_another_dialog_which_keeps_what_was_typed(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    page, badge, _ = station(site, visit, f"/boards/{board}")
    expect_live(page)
    scan(page, badge, 20)
    expect(page.locator("#who strong")).to_have_text("Chief")
    expect_live(page)
    touch(page, "T-1", "reassign")  # reading the people needs the whole role
    expect(page.locator("#pin-dialog")).to_be_visible()
    page.locator("#pin-dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#ask-dialog .picker [role=status]")).to_contain_text("needs your PIN")
    page.locator('#ask-dialog input[name="reason"]').fill("He knows it")
    # Typing asks for no PIN, which would take the focus away in the midst of a name.
    with page.expect_response(lambda answer: "/people?q=h" in answer.url) as typed:
        page.locator('#ask-dialog input[name="to"]').click()
        page.keyboard.type("ho")
    assert typed.value.status == 403
    expect(page.locator('#ask-dialog input[name="to"]')).to_be_focused()
    expect(page.locator("#pin-dialog")).to_be_hidden()
    assert violations(page) == []
    page.locator("#ask-dialog .picker").get_by_role("button", name="Enter the PIN").click()
    expect(page.locator("#pin-dialog")).to_be_visible()
    press(page, "#pin-dialog", PIN)
    page.locator("#pin-dialog .pad").get_by_role("button", name="OK").click()
    page.locator('#ask-dialog [data-id="holder"]').click()
    expect(page.locator('#ask-dialog input[name="reason"]')).to_have_value("He knows it")
    page.locator("#ask-dialog button.primary").click()
    expect_state(page, "T-1", "occupied", "Holder")

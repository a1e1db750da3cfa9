"""My account: who I am, the PIN, the theme and the language of this device."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import PIN, Site, sign_in_by_hand

PAYLOAD = '"><img src=x onerror="window.hacked=1">{name}'
NEW_PIN = "7193"


def own_account(site: Site, visit: Visit, name: str = "Own", **options: Any) -> tuple[Page, str]:
    """The account page of a new worker, who has just signed in."""
    worker = f"own-{secrets.token_hex(3)}"
    site.services.workers.add(worker, name=name, role=Role.WORKER, pin_hash=hash_pin(PIN))
    page = visit("/docs", None, **options)
    site.sign_in(page.context, worker)
    page.goto("/account")
    expect(page.locator("#me")).to_contain_text(worker)
    return page, worker


def change_pin(page: Page, now: str, new: str, again: str | None = None) -> None:
    page.locator('#pin-part input[name="pin"]').fill(now)
    page.locator('#pin-part input[name="new_pin"]').fill(new)
    page.locator('#pin-part input[name="again"]').fill(new if again is None else again)
    page.locator("#pin-part button.primary").click()


def test_who_changes_the_pin_stays_signed_in_here_and_nowhere_else(
    site: Site, visit: Visit
) -> None:
    page, worker = own_account(site, visit)
    other = visit("/docs", None, locale="en-US")
    site.sign_in(other.context, worker)
    change_pin(page, PIN, NEW_PIN)
    expect(page.locator("#pin-part .done-said")).to_contain_text("Your PIN is changed")
    expect(page.locator('#pin-part input[name="pin"]')).to_have_value("")
    assert other.request.get("/api/session").status == 401
    # The page goes on with the CSRF token of the new session.
    change_pin(page, NEW_PIN, "folded paper boat")
    expect(page.locator("#pin-part .done-said")).to_contain_text("Your PIN is changed")
    page.locator("#who button").click()
    page.locator("#session-dialog").get_by_role("button", name="Sign out Own").click()
    expect(page.locator("#who")).to_have_text("Sign in")
    page.locator("#who button").click()
    sign_in_by_hand(page, worker, "folded paper boat")
    expect(page.locator("#who strong")).to_have_text("Own")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((PIN, "12", None), "4 to 12 digits"),
        ((PIN, "4321", None), "Others would try this PIN first"),
        ((PIN, "abcabcabc", None), "Others would try this PIN first"),
        ((PIN, NEW_PIN, "7194"), "differ"),
        (("9999", NEW_PIN, None), "The present PIN is not right."),
        (("", NEW_PIN, None), "Type your present PIN."),
    ],
)
def test_a_pin_that_is_refused_says_why_and_keeps_what_was_typed(
    site: Site, visit: Visit, typed: tuple[str, str, str | None], said: str
) -> None:
    page, _ = own_account(site, visit)
    change_pin(page, *typed)
    new = typed[1]
    expect(page.locator("#pin-part .said")).to_contain_text(said)
    expect(page.locator('#pin-part input[name="new_pin"]')).to_have_value(new)
    expect(page.locator("#who strong")).to_have_text("Own")


def test_a_lost_answer_says_that_the_pin_may_be_changed(site: Site, visit: Visit) -> None:
    page, _ = own_account(site, visit)

    def lose(route: Route) -> None:
        route.abort()

    page.route("**/api/session/pin", lose)
    change_pin(page, PIN, NEW_PIN)
    expect(page.locator("#pin-part .said")).to_contain_text("may be changed already")
    expect(page.locator('#pin-part input[name="new_pin"]')).to_have_value(NEW_PIN)


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_the_account_is_accessible_and_stored_texts_stay_text(
    site: Site, visit: Visit, locale: str
) -> None:
    for width in (390, 1440):
        page, _ = own_account(
            site, visit, PAYLOAD, locale=locale, viewport={"width": width, "height": 844}
        )
        expect(page.locator("#me")).to_contain_text(PAYLOAD)
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate("() => window.hacked") is None


def test_a_chosen_theme_is_there_before_the_page_is_drawn_and_can_be_taken_back(
    visit: Visit,
) -> None:
    page = visit("/account", "holder", color_scheme="light")
    paper = "() => getComputedStyle(document.body).backgroundColor"
    expect(page.locator("#me")).to_be_visible()
    light = page.evaluate(paper)
    page.locator('[name="theme"][value="dark"]').check()
    dark = page.evaluate(paper)
    assert dark != light
    response = page.goto("/boards")
    assert response is not None
    assert '<html lang="en" data-theme="dark">' in response.text()
    assert page.evaluate(paper) == dark
    page.goto("/docs")
    assert page.evaluate(paper) == "rgb(22, 23, 26)"
    page.emulate_media(color_scheme="dark")
    page.goto("/account")
    expect(page.locator('[name="theme"][value="dark"]')).to_be_checked()
    assert violations(page) == []
    page.locator('[name="theme"][value="light"]').check()
    assert page.evaluate(paper) == light
    page.reload()
    assert page.evaluate(paper) == light
    expect(page.locator("#me")).to_be_visible()  # its script listens
    page.locator('[name="theme"][value=""]').check()
    assert page.evaluate(paper) == dark
    page.reload()
    assert page.evaluate(paper) == dark


def test_the_language_is_chosen_for_the_device(visit: Visit) -> None:
    page = visit("/account", "holder")
    expect(page.locator("#me")).to_be_visible()  # its script listens
    page.locator("#language-here").select_option("es")
    expect(page.locator("h1")).to_have_text("Mi cuenta")
    page.goto("/boards")
    expect(page.locator("h1")).to_have_text("Tableros")


def test_the_name_leads_to_the_account(visit: Visit) -> None:
    page = visit("/boards", "holder")
    page.locator("#who button").click()
    expect(page.locator("#session-title")).to_have_text("Signed in as Holder.")
    assert violations(page) == []
    page.locator("#session-dialog").get_by_role("link", name="My account").click()
    expect(page.locator("#me")).to_contain_text("holder")
    expect(page.locator("#me")).to_contain_text("worker")


def test_nobody_signed_in_sees_no_account_and_may_still_choose_the_theme(visit: Visit) -> None:
    page = visit("/account", None)
    expect(page.locator("#session-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#managed")).to_be_hidden()
    page.locator('[name="theme"][value="dark"]').check()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

"""Late answers about the session, other tabs, two badges, and second touches."""

from __future__ import annotations

import secrets

from playwright.sync_api import Page, Route, expect

from occupancy.core.entities import Role
from tests.browser.conftest import Visit
from tests.browser.keys import scan
from tests.browser.site import PIN, Site, sign_in_by_hand
from tests.browser.switching import settle, signed_in, switch
from tests.browser.test_operations import hold
from tests.browser.test_pin_pad import KNOWN, TABLET, press, station


def hold_the_first(page: Page, method: str, path: str) -> list[Route]:
    """The first request to ``path`` waits until its route is continued; the others do not."""
    held: list[Route] = []

    def hold_it(route: Route) -> None:
        if held or route.request.method != method:
            route.continue_()
        else:
            held.append(route)

    page.route(path, hold_it)
    return held


def let_ask_again(page: Page) -> Page:
    """Let a page ask who is signed in, as after a change in another tab; answers that tab."""
    other = page.context.new_page()
    other.goto("/boards")
    with page.expect_request("**/api/session"):
        other.evaluate("() => new BroadcastChannel('occupancy-session').postMessage('changed')")
    return other


def test_of_two_answers_about_the_session_the_one_asked_for_later_counts(
    site: Site, visit: Visit
) -> None:
    page = signed_in(site, visit, "/boards")
    before = page.request.get("/api/session").json()
    held = hold_the_first(page, "GET", "**/api/session")
    other = let_ask_again(page)
    switch(other, "colleague")
    expect(page.locator("#who strong")).to_have_text("Colleague")
    with page.expect_response("**/api/session"):
        held[0].fulfill(json=before)
    settle(page)
    expect(page.locator("#who strong")).to_have_text("Colleague")


def test_an_answer_about_the_session_before_a_sign_in_does_not_end_the_new_one(
    visit: Visit,
) -> None:
    page = visit("/boards", None)
    expect(page.locator("#who")).to_have_text("Sign in")
    held = hold_the_first(page, "GET", "**/api/session")
    let_ask_again(page)
    sign_in_by_hand(page, "holder")
    expect(page.locator("#who strong")).to_have_text("Holder")
    with page.expect_response("**/api/session"):
        held[0].fulfill(status=401, json={"code": "unauthenticated"})
    settle(page)
    expect(page.locator("#who strong")).to_have_text("Holder")


def test_a_late_answer_to_a_new_pin_does_not_bring_its_worker_back(
    site: Site, visit: Visit
) -> None:
    page = signed_in(site, visit, "/account")
    before = page.request.get("/api/session").json()
    for name, value in (("pin", PIN), ("new_pin", "839214"), ("again", "839214")):
        page.locator(f'#pin-part input[name="{name}"]').fill(value)
    held = hold(page, "**/api/session/pin")
    with page.expect_request("**/api/session/pin"):
        page.locator("#pin-part button.primary").click()
    switch(page, "colleague")
    with page.expect_response("**/api/session/pin"):
        held[0].fulfill(json=before)
    settle(page)
    expect(page.locator("#who strong")).to_have_text("Colleague")
    page.reload()
    expect(page.locator("#who strong")).to_have_text("Colleague")


def test_the_dialog_of_the_session_closes_when_another_tab_signs_somebody_in(
    site: Site, visit: Visit
) -> None:
    page = signed_in(site, visit, "/boards")
    page.locator("#who button").click()
    expect(page.get_by_role("button", name="Sign out Holder")).to_be_visible()
    other = page.context.new_page()
    other.goto("/boards")
    switch(other, "colleague")
    expect(page.locator("#who strong")).to_have_text("Colleague")
    expect(page.get_by_role("button", name="Sign out Holder")).to_be_hidden()


def test_of_two_badges_the_one_scanned_last_stays_signed_in(site: Site, visit: Visit) -> None:
    page, badge, _ = station(site, visit, "/boards")
    worker, last = f"w-{secrets.token_hex(3)}", f"00{secrets.randbelow(10**8):08d}"
    site.services.workers.add(worker, name="Second", role=Role.WORKER)
    site.services.badges.add(worker, last, by="admin")
    held = hold_the_first(page, "POST", "**/api/session")
    scan(page, badge, 20)
    scan(page, last, 20)
    with page.expect_response(lambda answer: answer.request == held[0].request):
        held[0].continue_()
    settle(page)
    expect(page.locator("#who strong")).to_have_text("Second")
    page.reload()
    expect(page.locator("#who strong")).to_have_text("Second")


def test_a_second_touch_of_the_pad_sends_no_second_pin(visit: Visit) -> None:
    page = visit("/boards", None, script=KNOWN, **TABLET)
    page.locator("#session-dialog").get_by_role("button", name="Holder holder").click()
    press(page, "#session-dialog", PIN)
    held = hold(page, "**/api/session")
    ok = page.locator("#session-dialog .pad").get_by_role("button", name="OK")
    with page.expect_request("**/api/session"):
        ok.click()
    ok.click()
    settle(page)
    assert len(held) == 1
    held[0].continue_()
    expect(page.locator("#who strong")).to_have_text("Holder")

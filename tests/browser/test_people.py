"""Sessions in the pages: sign-in, switching, and the end."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from occupancy.core.entities import Role
from occupancy.core.transitions import TRANSITIONS
from tests.browser.conftest import OpenBoard, Visit
from tests.browser.site import (
    PIN,
    Site,
    button,
    expect_live,
    expect_state,
    sign_in_by_hand,
    touch,
)


def test_signing_in_switching_and_signing_out(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    page = visit(f"/boards/{board}", None)
    sign_in_by_hand(page, "holder", "0000")
    expect(page.locator("#session-dialog .said")).to_have_text("The worker id or the PIN is wrong.")
    sign_in_by_hand(page, "holder")
    expect(page.locator("#who strong")).to_have_text("Holder")
    expect_live(page)
    touch(page, "T-1", "take")
    expect_state(page, "T-1", "occupied", "Holder")

    page.locator("#who button").click()
    sign_in_by_hand(page, "colleague")
    expect(page.locator("#who strong")).to_have_text("Colleague")
    expect_live(page)
    expect(button(page, "T-1", "complete")).to_have_count(0)

    # An earlier user is a name to touch, and a PIN: one step.
    page.locator("#who button").click()
    page.locator("#session-dialog").get_by_role("button", name="Holder holder").click()
    expect(page.locator('#session-dialog input[name="pin"]')).to_be_focused()
    page.keyboard.type(PIN, delay=60)  # a machine would be asked to touch the button
    page.keyboard.press("Enter")
    expect(page.locator("#who strong")).to_have_text("Holder")
    expect_live(page)
    touch(page, "T-1", "complete")
    expect_state(page, "T-1", "completed")

    page.locator("#who button").click()
    page.get_by_role("button", name="Sign out Holder").click()
    expect(page.locator("#who")).to_have_text("Sign in")
    expect(page.locator(".row")).to_have_count(0)
    assert page.request.get("/api/session").status == 401


def test_a_sign_out_that_the_server_has_not_heard_says_so(site: Site, visit: Visit) -> None:
    page = visit("/boards", None)
    sign_in_by_hand(page, "holder")
    expect(page.locator("#who strong")).to_have_text("Holder")
    page.context.set_offline(True)
    page.locator("#who button").click()
    page.get_by_role("button", name="Sign out Holder").click()
    expect(page.locator("#session-dialog .said")).to_contain_text("cannot be reached")
    expect(page.locator("#who strong")).to_have_text("Holder")
    page.context.set_offline(False)
    page.get_by_role("button", name="Sign out Holder").click()
    expect(page.locator("#who")).to_have_text("Sign in")


def test_all_tabs_of_a_browser_see_who_signed_in(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    page = visit(f"/boards/{board}", None)
    sign_in_by_hand(page, "holder")
    expect_live(page)
    other = page.context.new_page()
    other.goto(f"/boards/{board}")
    expect_live(other)
    page.locator("#who button").click()
    sign_in_by_hand(page, "supervisor")
    for each in (page, other):
        expect(each.locator("#who strong")).to_have_text("Supervisor")
        expect_live(each)


def test_an_idle_user_is_warned_and_then_signed_out(site: Site, visit: Visit) -> None:
    page = visit("/sign-in", None)
    page.clock.install()
    site.sign_in(page.context, "holder")
    page.goto(f"/boards/{site.board('T-1')}")
    expect_live(page)
    notice = page.locator("#idle-notice")
    expect(notice).to_be_hidden()
    page.clock.fast_forward("29:10")
    expect(notice).to_have_text(re.compile(r"You will be signed out in about \d0 s"))
    page.mouse.click(5, 400)
    page.clock.fast_forward("00:02")
    expect(notice).to_be_hidden()
    page.clock.fast_forward("29:30")
    expect(notice).to_be_visible()
    page.clock.fast_forward("00:40")
    expect(page.locator("#who")).to_have_text("Sign in")
    expect(page.locator("#announcer")).to_have_text(
        "Signed out, because nobody touched the page for a while."
    )
    assert page.request.get("/api/session").status == 401


def test_use_of_one_tab_prevents_a_sign_out_by_another(site: Site, open_board: OpenBoard) -> None:
    page = open_board(site.board("T-1"))
    page.context.clock.install()
    page.reload()
    other = page.context.new_page()
    other.goto("/boards")
    for each in (page, other):
        expect(each.locator("#who strong")).to_have_text("Holder")
    page.context.clock.fast_forward("29:10")
    for each in (page, other):
        expect(each.locator("#idle-notice")).to_be_visible()
    page.mouse.click(5, 400)
    for each in (page, other):
        expect(each.locator("#idle-notice")).to_be_hidden()
    page.context.clock.fast_forward("28:00")
    for each in (page, other):
        expect(each.locator("#who strong")).to_have_text("Holder")


def test_a_session_that_ended_elsewhere_opens_the_sign_in_dialog(site: Site, visit: Visit) -> None:
    site.services.workers.add("leaver", name="Leaver", role=Role.WORKER)
    page = visit(f"/sign-in#{site.services.links.create('leaver')}", None)
    expect(page).to_have_url(f"{site.url}/boards")
    page.goto(f"/boards/{site.board('T-1')}")
    expect_live(page)
    site.services.workers.edit("leaver", disabled=True)
    expect(page.locator("#session-dialog")).to_be_visible(timeout=15_000)
    expect(page.locator(".row")).to_have_count(0)


def test_a_link_signs_in_once_and_is_gone_from_the_address(site: Site, visit: Visit) -> None:
    secret = site.services.links.create("colleague")
    page = visit(f"/sign-in#{secret}", None)
    expect(page).to_have_url(f"{site.url}/boards")
    expect(page.locator("#who strong")).to_have_text("Colleague")
    again = visit(f"/sign-in#{secret}", None)
    expect(again.locator("#said")).to_have_text(
        "This link was used before, or is too old. Ask for a new one."
    )
    expect(again).to_have_url(f"{site.url}/sign-in")


def test_the_link_of_a_wall_screen_opens_the_wall_read_only(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    secret, _ = site.services.tokens.create("watcher", role=Role.OBSERVER, board=board)
    page = visit(f"/sign-in#{secret}", None)
    expect(page).to_have_url(f"{site.url}/boards/{board}/wall")
    expect(page.locator("#wall")).to_be_visible()
    refused = page.evaluate(
        """async ([board, operations]) => {
          const session = await (await fetch('/api/session')).json();
          const headers = {
            'Content-Type': 'application/json', 'X-CSRF-Token': session.csrf_token,
          };
          return Promise.all(operations.map(async (operation) => {
            const path = `/api/boards/${board}/items/T-1/${operation}`;
            const answer = await fetch(path, {method: 'POST', body: '{}', headers});
            return [operation, (await answer.json()).code];
          }));
        }""",
        [board, list(TRANSITIONS)],
    )
    assert refused == [[operation, "forbidden"] for operation in TRANSITIONS]

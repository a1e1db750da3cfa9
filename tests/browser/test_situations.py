"""Pages without content: each reason has its own text."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import REMOVE
from tests.browser.conftest import OpenBoard, Visit
from tests.browser.keys import scan
from tests.browser.site import (
    Site,
    expect_live,
    expect_state,
    expect_still,
    sign_in_by_hand,
    touch,
    wait_for,
)
from tests.browser.test_operations import hold
from tests.browser.test_truth import LEAVE, RETURN, own_visit

REFUSED = {"status": 401, "json": {"status": 401, "code": "unauthenticated", "detail": ""}}
AWAY = {"status": 503, "json": {"status": 503, "code": "store_unavailable", "detail": ""}}
NOTHING_KEPT = "Object.defineProperty(window, 'indexedDB', {value: undefined});"
UNKNOWN = "The server does not say who is signed in. The page continues by itself when it does."


def expect_told(page: Page, shown: str, banner: str = "") -> None:
    expect(page.locator("#shown")).to_have_text(shown)
    expect(page.locator("#banner")).to_have_text(banner)
    expect(page.locator("#about")).to_be_hidden()
    expect(page.locator(".row")).to_be_hidden()


def test_the_item_page_tells_loading_signed_out_unreachable_and_not_found_apart(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    page = visit("/boards")
    held = hold(page, f"**/api/boards/{board}/items/T-1")
    with page.expect_request(f"**/api/boards/{board}/items/T-1"):
        page.goto(f"/boards/{board}/items/T-1")
    expect_told(page, "Loading …")
    held[0].continue_()
    expect_state(page, "T-1", "available")
    expect(page.locator("#shown")).to_be_hidden()
    expect(page.locator("#about")).to_be_visible()

    page.goto(f"/boards/{board}/items/T-9")
    expect_told(page, "", "There is no item T-9.")

    page.goto("/boards/nowhere/items/T-1")
    expect_told(page, "", "There is no board nowhere.")

    page = visit("/boards")
    page.route("**/items?limit=1", lambda route: route.abort())
    page.goto(f"/boards/{board}/items/T-1")
    expect_told(page, "Not loaded yet: the server cannot be reached. The page continues by itself.")
    page.unroute("**/items?limit=1")
    expect_live(page)
    expect_state(page, "T-1", "available")

    page = visit(f"/boards/{board}/items/T-1", None)
    expect_told(page, "Nobody is signed in. Sign in to see the item.")


@pytest.mark.parametrize(
    ("path", "ready"),
    [
        ("/boards/{board}", "T-1"),
        ("/boards/{board}/items/T-1", "T-1"),
        ("/boards", "Asked for"),
        ("/status", "Everything works"),
    ],
)
def test_a_page_says_that_the_session_is_unknown_until_the_server_responds(
    site: Site, visit: Visit, path: str, ready: str
) -> None:
    board = site.board("T-1", title="Asked for")
    page = visit("/docs", "supervisor")
    page.route("**/api/session", lambda route: route.fulfill(**AWAY))
    page.goto(path.replace("{board}", board))
    expect(page.locator("#unknown")).to_have_text(UNKNOWN)
    expect(page.locator("#main")).not_to_contain_text("Nobody is signed in")
    expect(page.locator("#items .row:visible, dialog[open]")).to_have_count(0)
    page.unroute("**/api/session")
    # It asks ever more rarely; and a late delivery of another test is told for a minute.
    expect(page.locator("#main")).to_contain_text(ready, timeout=75_000)
    expect(page.locator("#unknown")).to_be_hidden()


@pytest.mark.parametrize("path", ["/boards/{board}", "/boards/{board}/wall"])
def test_a_page_that_comes_back_while_the_server_is_away_shows_no_name_and_says_why(
    site: Site, visit: Visit, path: str
) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1")
    page = visit(path.replace("{board}", board))
    expect(page.locator("#main")).to_contain_text("Colleague")
    page.evaluate(LEAVE)
    page.route("**/api/session", lambda route: route.fulfill(**AWAY))
    page.evaluate(RETURN)
    expect(page.locator("#passing, #unknown").filter(visible=True)).to_have_text(
        "offline" if path.endswith("/wall") else UNKNOWN
    )
    wait_for(
        page, "() => document.body?.innerText.includes('Colleague') === false", what="no names"
    )
    page.unroute("**/api/session")
    expect(page.locator("#main")).to_contain_text("Colleague", timeout=20_000)
    expect(page.locator("#main")).to_be_visible()


def test_a_signed_out_user_sees_the_roles_of_the_status_page(visit: Visit) -> None:
    page = visit("/status", None)
    expect(page.locator("#denied")).to_be_visible()


def test_an_item_page_shows_its_time_and_the_missing_part_of_the_history(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    for _ in range(60):
        site.do("take", board, "T-1")
        site.do("pause", board, "T-1")
    page = visit(f"/boards/{board}/items/T-1")
    expect_live(page)
    page.context.set_offline(True)
    expect_live(page, "offline")
    expect(page.locator("#banner")).to_contain_text("What you see is from")
    page.locator("#older").click()
    expect(page.locator("#notices .refused")).to_contain_text("The server did not answer")
    expect(page.locator("#history li")).to_have_count(100)
    page.context.set_offline(False)
    expect_live(page)
    expect(page.locator("#banner")).to_be_hidden()
    page.locator("#older").dblclick()
    expect(page.locator("#history li")).to_have_count(121)


@pytest.mark.parametrize("path", ["/boards/{board}", "/boards/{board}/items/T-1", "/boards"])
def test_a_page_that_was_refused_once_continues_with_a_valid_session(
    site: Site, visit: Visit, path: str
) -> None:
    board = site.board("T-1", title="Refused once")
    page = visit("/docs")  # not /sign-in, which leads on by itself
    tries = 0

    def refuse_once(route: Route) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            route.fulfill(**REFUSED)  # type: ignore[arg-type]
        else:
            route.continue_()

    page.route(re.compile(r"/api/boards(/[^/]+/items(\?limit=1)?)?$"), refuse_once)
    page.goto(path.replace("{board}", board))
    expect(page.locator("#main")).to_contain_text("T-1" if "{board}" in path else "Refused once")
    if "{board}" in path:
        expect_live(page)
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert tries > 1, "it was refused once, and asked again"


def test_a_board_whose_access_has_ended_is_hidden(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    # The device keeps no board, which the page would show until it knows who is here.
    page = own_visit(site, visit, f"/boards/{board}", script=NOTHING_KEPT)
    expect_live(page)
    expect_state(page, "T-1", "available")
    page.route("**/session", lambda route: route.abort())  # nor does it know who is here
    page.context.clear_cookies()
    page.reload()
    expect(page.locator("#live")).to_have_text("")
    expect(page.locator(".row")).to_have_count(0)
    page.unroute("**/session")
    expect(page.locator("#session-dialog")).to_be_visible()
    sign_in_by_hand(page, "colleague")
    expect_live(page)
    expect_state(page, "T-1", "available")


def test_a_wallboard_is_hidden_after_a_sign_out_in_another_tab(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2")
    site.do("take", board, "T-1")
    page = own_visit(site, visit, f"/boards/{board}/wall")
    expect(page.locator("#holders")).to_contain_text("Colleague")
    remover = Person("supervisor", "Supervisor")
    assert (
        site.services.store.commands.execute(Command(board, REMOVE, ["T-2"], actor=remover))
        .outcomes[0]
        .is_done
    )
    expect(page.locator("#counts .available strong")).to_have_text("0")
    other = page.context.new_page()
    other.goto("/boards")
    other.locator("#who button").click()
    other.get_by_role("button", name="Sign out Holder").click()
    expect(page.locator("#told-title")).to_have_text("This screen is not signed in.")
    expect(page.locator("#wall")).to_be_hidden()
    expect(page.locator("#live")).to_have_text("")
    expect(page.locator("#holders")).not_to_contain_text("Colleague")


def test_a_scan_notice_is_above_the_bar_and_replaces_the_one_before(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(board, viewport={"width": 390, "height": 844})
    page.locator('.row[data-key="T-1"] .choose').check()
    scan(page, "T-8")
    scan(page, "T-9")
    note = page.locator(".note.scanned")
    expect(note).to_have_count(1)
    expect(note).to_contain_text("Scanned T-9: it is not on this board.")
    expect(note).to_be_in_viewport(ratio=1)
    expect(page.locator("#batch .take")).to_be_in_viewport(ratio=1)
    page.locator("#batch .take").click(trial=True)  # nothing is in front of it
    scan(page, "T-2")
    expect(page.locator("#notices .note")).to_have_count(1)
    expect(page.locator("#notices .note")).to_contain_text("T-2 is selected.")
    expect_still(page)
    page.locator("#notices .close").click()
    expect(page.locator("#notices .note")).to_have_count(0)


def test_a_scan_closes_everything_over_its_item(site: Site, open_board: OpenBoard) -> None:
    tags = [f"T-{number}" for number in range(9)]
    board = site.board(*tags)
    for tag in tags:
        site.do("take", board, tag, who="holder")
    page = open_board(board, viewport={"width": 390, "height": 844})
    expect_still(page)
    page.locator("#my-more").click()
    expect(page.locator("#my-work .complete").last).to_be_visible()
    scan(page, "T-1")
    expect(page.locator("#my-work .complete").last).not_to_be_visible()
    page.locator(".row.active .complete").click(trial=True)


def test_a_dialog_for_one_worker_is_not_answered_by_the_next(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = own_visit(site, visit, f"/boards/{board}")
    expect_live(page)
    touch(page, "T-1", "pause")
    expect(page.locator("#ask-dialog")).to_be_visible()
    other = page.context.new_page()
    other.goto("/boards")
    other.locator("#who button").click()
    sign_in_by_hand(other, "supervisor")
    expect(page.locator("#who strong")).to_have_text("Supervisor")
    expect(page.locator("#ask-dialog")).to_be_hidden()
    assert site.types(board, "T-1") == ["taken"]


def test_steps_that_cannot_be_asked_for_are_said(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", steps=("ARM", "SOLD"))
    for _ in range(2):
        site.do("take", board, "T-1", who="holder")
        site.do("complete", board, "T-1", who="holder")
    page = open_board(board, "supervisor")
    expect_state(page, "T-1", "completed")
    page.route(f"**/api/boards/{board}", lambda route: route.abort())
    touch(page, "T-1", "reopen")
    expect(page.locator("#notices .refused")).to_contain_text("The server did not answer")
    assert site.types(board, "T-1")[-1] == "completed"

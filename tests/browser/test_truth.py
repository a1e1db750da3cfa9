"""Pages show the true state: after a sign-out, for removed items, with wrong clocks."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import REMOVE
from tests.browser.chromium import HOST_NAME
from tests.browser.conftest import Visit
from tests.browser.site import (
    PIN,
    Site,
    expect_live,
    expect_state,
    sign_in_by_hand,
    touch,
    wait_for,
)

# A device's clock that can be set: window.offMs is its error.
WRONG_CLOCK = """
window.offMs = %d;
const RealDate = Date;
window.Date = class extends RealDate {
  constructor(...given) { super(...(given.length ? given : [RealDate.now() + window.offMs])); }
  static now() { return RealDate.now() + window.offMs; }
};
"""
HOURS_MS = 5 * 3600 * 1000


def own_visit(site: Site, visit: Visit, path: str, worker: str = "holder", **options: str) -> Page:
    """A page with a session that the test may end."""
    page = visit("/docs", None, **options)  # it has no script that would lead elsewhere
    site.sign_in(page.context, worker)
    page.goto(path)
    return page


def expect_nothing_of_the_item(page: Page) -> None:
    expect(page.locator("#who")).to_have_text("Sign in")
    expect(page.locator("#live")).to_have_text("")
    expect(page.locator(".row")).to_be_hidden()
    expect(page.locator("#history li")).to_have_count(0)
    expect(page.locator("#attributes dd")).to_have_count(0)


def test_after_signing_out_the_item_page_says_nothing_of_the_item(site: Site, visit: Visit) -> None:
    board = site.board()
    site.put(board, {"T-1": "A part"}, area="B2")
    page = own_visit(site, visit, f"/boards/{board}/items/T-1")
    expect_live(page)
    expect_state(page, "T-1", "available")
    page.locator("#who button").click()
    page.get_by_role("button", name="Sign out Holder").click()
    expect_nothing_of_the_item(page)
    page.locator("#who button").click()
    sign_in_by_hand(page, "holder")
    expect_live(page)
    expect_state(page, "T-1", "available")


@pytest.mark.parametrize("path", ["/boards/{board}", "/boards/{board}/items/T-1"])
def test_an_answer_that_comes_after_signing_out_is_not_shown(
    site: Site, visit: Visit, path: str
) -> None:
    board = site.board("T-1")
    page = own_visit(site, visit, "/boards")
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/api/boards/[^/]+/items(\?limit=1)?$"), keep)
    with page.expect_request(re.compile(r"/api/boards/[^/]+/items(\?limit=1)?$")) as asked:
        page.goto(path.replace("{board}", board), wait_until="commit")
    page.locator("#who button").click()
    page.get_by_role("button", name="Sign out Holder").click()
    expect(page.locator("#who")).to_have_text("Sign in")
    site.sign_in(page.context, "holder")  # the answer is one that was let in
    with page.expect_event("requestfinished", lambda request: request == asked.value):
        held[0].fulfill(response=page.context.request.get(held[0].request.url))
    page.evaluate("() => new Promise(requestAnimationFrame)")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator("#who")).to_have_text("Sign in")
    expect(page.locator("#main")).not_to_contain_text("Part T-1")


def test_an_item_removed_elsewhere_is_shown_as_removed_and_can_return(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    page = visit(f"/boards/{board}/items/T-1")
    expect_live(page)
    expect_state(page, "T-1", "available")
    expect(page.locator(".row .take")).to_be_enabled()
    remove(site, board, "T-1")
    expect(page.locator("#banner")).to_have_text("Admin removed T-1 from the board.")
    expect(page.locator(".row")).to_be_hidden()
    page.reload()
    expect(page.locator("#banner")).to_have_text("Admin removed T-1 from the board.")
    expect_live(page)
    site.put(board, {"T-1": "Again"})
    expect_state(page, "T-1", "available")
    expect(page.locator("#banner")).to_be_hidden()
    page.locator(".row .take").click()
    expect_state(page, "T-1", "occupied", "Holder")


def remove(site: Site, board: str, tag: str) -> None:

    answer = site.services.store.commands.execute(
        Command(board, REMOVE, [tag], actor=Person("admin", "Admin"))
    )
    assert answer.outcomes[0].is_done, answer


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ({"status": 503, "code": "store_unavailable"}, "The server's store cannot be reached."),
        ({"status": 503, "code": "pool_timeout"}, "The server is busy."),
        ({"status": 500, "code": "internal_error"}, "Something went wrong on the server."),
        (
            {"status": 403, "code": "csrf", "detail": "Another site."},
            "Not signed in: Another site.",
        ),
        ({"status": 429, "code": "rate_limited", "retry_after": 7}, "Too many tries. Wait 7 s."),
        ({"status": 401, "code": "unauthenticated"}, "The worker id or the PIN is wrong."),
        ({"status": 400, "code": "invalid_request", "detail": "Too long."}, "Too long."),
    ],
)
def test_a_sign_in_that_fails_says_why(visit: Visit, problem: dict[str, object], said: str) -> None:
    page = visit("/boards", None)

    def refuse(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        route.fulfill(
            status=int(str(problem["status"])), content_type="application/problem+json",
            body=json.dumps({"detail": "In English.", **problem}),
        )  # fmt: skip

    page.route("**/api/session", refuse)
    sign_in_by_hand(page, "holder")
    expect(page.locator("#session-dialog .said")).to_contain_text(said)
    # A PIN that nobody has called wrong is not typed again.
    kept = PIN if int(str(problem["status"])) >= 500 else ""
    expect(page.locator('#session-dialog input[name="pin"]')).to_have_value(kept)


def test_a_link_that_could_not_be_tried_is_good_still(site: Site, visit: Visit) -> None:
    secret = site.services.links.create("holder")
    page = visit("/boards", None)
    refusals: list[str] = []

    def refuse_first(route: Route) -> None:
        if route.request.method == "POST" and not refusals:
            refusals.append(route.request.url)
            route.fulfill(
                status=503, content_type="application/problem+json",
                body='{"code": "store_unavailable", "detail": "Away."}',
            )  # fmt: skip
        else:
            route.continue_()

    page.route("**/api/session", refuse_first)
    page.goto(f"/sign-in#{secret}")
    expect(page.locator("#said")).to_contain_text("The server's store cannot be reached.")
    page.reload()
    expect(page).to_have_url(f"{site.url}/boards")
    expect(page.locator("#who strong")).to_have_text("Holder")


@pytest.mark.parametrize("off_ms", [HOURS_MS, -HOURS_MS])
def test_a_corrected_clock_signs_nobody_out_and_changes_no_duration(
    site: Site, visit: Visit, off_ms: int
) -> None:
    board = site.board("T-1")
    page = own_visit(site, visit, f"/boards/{board}", script=WRONG_CLOCK % off_ms)
    expect_live(page)
    touch(page, "T-1", "take")
    expect_state(page, "T-1", "occupied", "Holder")
    seconds = re.compile(r"^\d{1,2} s$")
    expect(page.locator(".row time")).to_have_text(seconds)
    with page.expect_response("**/api/session"):  # the page asks if somebody is signed in still
        page.evaluate("() => { window.offMs = 0; }")
    expect(page.locator(".row time")).to_have_text(seconds)
    expect(page.locator("#who strong")).to_have_text("Holder")
    expect(page.locator("#idle-notice")).to_be_hidden()
    site.do("pause", board, "T-1", who="holder")
    expect_state(page, "T-1", "paused")
    expect(page.locator(".row time")).to_have_text(seconds)
    assert page.request.get("/api/session").status == 200


def test_a_device_that_slept_past_its_session_shows_nothing_more(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    page = own_visit(site, visit, f"/boards/{board}", script=WRONG_CLOCK % 0)
    expect_live(page)
    page.context.clear_cookies()  # as a session that has ended
    page.evaluate("() => { window.offMs = 3600 * 1000; }")
    expect(page.locator("#who")).to_have_text("Sign in")
    expect(page.locator(".row")).to_have_count(0)


@pytest.mark.parametrize(
    "script",
    [
        "if (location.pathname !== 'blank') localStorage.setItem("
        "'occupancy-leader-' + location.pathname.split('/')[2],"
        " JSON.stringify({id: 'gone', until: Date.now() + 1e11}));",
        "Object.defineProperty(window, 'localStorage',"
        " {get() { throw new DOMException('No', 'SecurityError'); }});"
        "Object.defineProperty(window, 'sessionStorage',"
        " {get() { throw new DOMException('No', 'SecurityError'); }});",
    ],
    ids=["a lease of a wrong clock", "storage that is forbidden"],
)
def test_on_plain_http_the_page_is_live_whatever_is_stored(
    site: Site, visit: Visit, script: str
) -> None:
    board = site.board("T-1")
    url = f"http://{HOST_NAME}:{site.deployment.port}"
    page = visit(f"/boards/{board}", None, url=url, script=script)
    sign_in_by_hand(page, "holder")
    expect_live(page)
    site.do("take", board, "T-1")
    expect_state(page, "T-1", "occupied", "Colleague")


LEAVE = "() => dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"
RETURN = "() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"


@pytest.mark.parametrize("path", ["/boards/{board}", "/boards/{board}/items/T-1", "/boards"])
def test_the_back_button_shows_nothing_of_a_session_that_has_ended(
    site: Site, visit: Visit, path: str
) -> None:
    board = site.board("T-1", title="Secret")
    page = own_visit(site, visit, path.replace("{board}", board))
    expect(page.locator("#main")).to_contain_text("T-1" if "{board}" in path else "Secret")
    page.evaluate(LEAVE)  # what the browser keeps has nothing in sight
    expect(page.locator("#main")).not_to_be_visible()
    expect(page.locator("#who")).not_to_be_visible()
    page.context.clear_cookies()
    page.evaluate(RETURN)
    expect(page.locator("#who")).to_have_text("Sign in")
    expect(page.locator("#session-dialog")).to_be_visible()
    expect(page.locator("#main")).not_to_contain_text("T-1")
    expect(page.locator("#main")).not_to_contain_text("Secret")
    sign_in_by_hand(page, "colleague")
    expect(page.locator("#main")).to_contain_text("T-1" if "{board}" in path else "Secret")
    expect(page.locator("#main")).to_be_visible()


def test_the_back_button_brings_a_page_up_to_date_during_a_session(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    page = own_visit(site, visit, f"/boards/{board}")
    expect_live(page)
    page.evaluate(LEAVE)
    site.do("take", board, "T-1")
    page.evaluate(RETURN)
    expect_state(page, "T-1", "occupied", "Colleague")
    expect(page.locator("#main")).to_be_visible()
    expect_live(page)


def test_a_wallboard_restored_without_a_session_shows_no_names(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1")
    page = own_visit(site, visit, f"/boards/{board}/wall")
    expect(page.locator("#holders")).to_contain_text("Colleague")
    page.evaluate(LEAVE)
    page.context.clear_cookies()
    page.evaluate(RETURN)
    expect(page.locator("#told-title")).to_have_text("This screen is not signed in.")
    wait_for(
        page, "() => document.body?.innerText.includes('Colleague') === false", what="no names"
    )

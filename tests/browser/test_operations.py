"""Operations: one touch, and nothing is shown as done before the server's response."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenBoard, Visit
from tests.browser.site import Site, button, card, expect_state, touch

DEAF = "window.EventSource = class { addEventListener() {} close() {} };"


def hold(page: Page, path: str) -> list[Route]:
    """Requests to ``path`` are sent only when their routes are continued."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(path, keep)
    return held


def meanwhile(page: Page, path: str, happen: Callable[[], None]) -> None:
    """While a request to ``path`` is on its way, something happens."""

    def let_happen(route: Route) -> None:
        happen()
        route.continue_()

    page.route(path, let_happen)


def give_reason(page: Page, reason: str) -> None:
    """Answer the dialog that an operation has opened."""
    page.locator('#ask-dialog input[name="reason"]').fill(reason)
    page.locator("#ask-dialog button.primary").click()


def test_two_browsers_see_each_others_operations(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2")
    mine, theirs = open_board(board, "holder"), open_board(board, "colleague")
    touch(mine, "T-1", "take")
    expect_state(theirs, "T-1", "occupied", "Holder")
    expect_state(mine, "T-1", "occupied", "Holder")
    touch(theirs, "T-2", "take")
    expect_state(mine, "T-2", "occupied", "Colleague")
    expect(button(mine, "T-2", "complete")).to_have_count(0)
    touch(mine, "T-1", "complete")
    expect_state(theirs, "T-1", "completed")
    assert site.types(board, "T-1") == ["taken", "completed"]


def test_a_touch_shows_sending_and_not_the_new_state_until_the_answer(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1")
    page = open_board(board)
    held = hold(page, "**/take")
    with page.expect_request("**/take"):
        touch(page, "T-1", "take")
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "true")
    expect(card(page, "T-1").locator(".sending")).to_have_text("sending …")
    expect_state(page, "T-1", "available")
    expect(button(page, "T-1", "take")).to_have_count(0)
    held[0].continue_()
    expect_state(page, "T-1", "occupied", "Holder")
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize("gap_ms", [60, 200])
def test_a_double_tap_counts_once_and_hits_no_other_button(
    site: Site, open_board: OpenBoard, gap_ms: int
) -> None:
    board = site.board("T-1")
    page = open_board(board)
    place = button(page, "T-1", "take").bounding_box()
    assert place is not None
    # On the right edge, where "pause" and "more" stand once the item is taken.
    at = (place["x"] + place["width"] - 20, place["y"] + place["height"] / 2)
    session = page.context.new_cdp_session(page)
    began_s = time.time()
    for number in range(2):  # ``gap_ms`` apart by their timestamps on a busy machine too
        if number:
            page.evaluate("ms => new Promise((resolve) => { setTimeout(resolve, ms); })", gap_ms)
        for kind in ("mousePressed", "mouseReleased"):
            session.send("Input.dispatchMouseEvent", {
                "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1,
                "timestamp": began_s + number * gap_ms / 1000,
            })  # fmt: skip
    session.detach()
    expect_state(page, "T-1", "occupied", "Holder")
    expect(page.locator("dialog[open], details[open]")).to_have_count(0)
    assert site.types(board, "T-1") == ["taken"]


def test_an_answer_that_is_lost_is_asked_for_again_and_counts_once(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1")
    page = open_board(board)
    keys: list[str] = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()  # the server has done it
            route.abort()
        else:
            route.continue_()

    page.route("**/take", lose_the_first)
    with page.expect_response("**/take") as answered:
        touch(page, "T-1", "take")
    assert answered.value.headers["idempotency-replayed"] == "true"
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "false")
    expect_state(page, "T-1", "occupied", "Holder")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert site.types(board, "T-1") == ["taken"]


def test_a_refusal_names_the_holder_next_to_the_card_which_corrects_itself(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1", "T-2")
    page = visit("/boards")
    page.add_init_script(DEAF)  # the page gets no events, so its cards become outdated
    page.goto(f"/boards/{board}")
    expect_state(page, "T-1", "available")
    site.do("take", board, "T-1", who="colleague")
    touch(page, "T-1", "take")
    expect(card(page, "T-1").locator(".refusal")).to_have_text(
        re.compile(r"^Colleague has it, since \d{1,2}:\d{2}\.$")
    )
    expect_state(page, "T-1", "occupied", "Colleague")
    expect(button(page, "T-1", "take")).to_have_count(0)
    expect(page.locator("#notices p")).to_contain_text("T-1: Colleague has it, since")


def test_a_refusal_goes_when_the_item_changes(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1")
    page = open_board(board)
    meanwhile(page, "**/take", lambda: site.do("take", board, "T-1", who="colleague"))
    touch(page, "T-1", "take")
    expect(card(page, "T-1").locator(".refusal")).to_contain_text("Colleague has it")
    site.do("pause", board, "T-1", who="colleague")
    expect_state(page, "T-1", "paused")
    expect(card(page, "T-1").locator(".refusal")).to_have_count(0)


def test_pause_asks_for_a_reason_and_offers_it_the_next_time(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(board)
    touch(page, "T-1", "take")
    touch(page, "T-1", "pause")
    give_reason(page, "No material")
    expect_state(page, "T-1", "paused")
    expect(card(page, "T-1").locator(".reason")).to_have_text("No material")
    touch(page, "T-2", "take")
    touch(page, "T-2", "pause")
    page.locator("#ask-dialog").get_by_role("button", name="No material").click()
    expect_state(page, "T-2", "paused")
    expect(card(page, "T-2").locator(".reason")).to_have_text("No material")


def test_a_cancelled_pause_keeps_the_hold(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1")
    page = open_board(board)
    touch(page, "T-1", "take")
    touch(page, "T-1", "pause")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect_state(page, "T-1", "occupied", "Holder")
    assert site.types(board, "T-1") == ["taken"]


def test_a_supervisor_can_use_the_supervisors_operations(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", steps=("ARM", "SOLD"))
    page = open_board(board, "supervisor")
    site.do("take", board, "T-1", who="colleague")
    expect_state(page, "T-1", "occupied", "Colleague")
    touch(page, "T-1", "force-release")
    give_reason(page, "Shift over")
    expect_state(page, "T-1", "paused")
    touch(page, "T-1", "block")
    give_reason(page, "Crack found")
    expect_state(page, "T-1", "blocked")
    expect(card(page, "T-1").locator(".reason")).to_have_text("Crack found")
    touch(page, "T-1", "unblock")
    expect_state(page, "T-1", "paused")
    touch(page, "T-1", "reassign")
    page.locator('#ask-dialog input[name="to"]').fill("holder")
    page.locator("#ask-dialog button.primary").click()
    expect_state(page, "T-1", "occupied", "Holder")
    for step in ("ARM", "SOLD"):
        if step == "SOLD":
            site.do("take", board, "T-1", who="holder")
        site.do("complete", board, "T-1", who="holder")
    expect_state(page, "T-1", "completed")
    touch(page, "T-1", "reopen")
    page.locator('#ask-dialog select[name="step"]').select_option("ARM")
    page.locator("#ask-dialog button.primary").click()
    expect_state(page, "T-1", "available")
    expect(card(page, "T-1").locator(".step")).to_have_text("ARM")


def test_a_batch_does_the_possible_and_reports_the_refusals(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2", "T-3")
    page = open_board(board)
    for tag in ("T-1", "T-2", "T-3"):
        card(page, tag).locator(".choose").check()
    meanwhile(page, "**/batch", lambda: site.do("take", board, "T-3", who="colleague"))
    page.locator("#batch .take").click()
    expect_state(page, "T-1", "occupied", "Holder")
    expect_state(page, "T-2", "occupied", "Holder")
    expect_state(page, "T-3", "occupied", "Colleague")
    expect(card(page, "T-3").locator(".refusal")).to_contain_text("Colleague has it")
    expect(page.locator("#batch strong")).to_have_text("1 chosen")  # what was refused
    expect(page.locator("#notices p")).to_contain_text("Done for 2 of 3. T-3: Colleague has it")


def test_an_observer_sees_everything_and_can_press_nothing(
    site: Site, open_board: OpenBoard
) -> None:
    states = ["available", "occupied", "paused", "blocked", "completed"]
    board = site.board(*states)
    for tag in ("occupied", "paused", "completed"):
        site.do("take", board, tag)
    site.do("pause", board, "paused")
    site.do("complete", board, "completed")
    site.do("block", board, "blocked", who="supervisor", reason="Crack found")
    page = open_board(board, "watcher")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    for state in states:
        expect_state(page, state, state, "Colleague" if state == "occupied" else "")
    # What an observer is shown of the operations: those of workers, which take no touch.
    offered = page.locator(".row .acts button")
    assert sorted(offered.evaluate_all("all => all.map((each) => each.dataset.name)")) == [
        "take", "take",
    ]  # fmt: skip
    for each in offered.all():
        expect(each).to_be_disabled()
        each.dispatch_event("click")
    page.locator(".choose").first.dispatch_event("click")
    for each in page.locator("#batch button[class*=take]").all():
        expect(each).to_be_disabled()
        each.dispatch_event("click")
    for key in ("t", "p", "c"):
        page.keyboard.press(key)
    expect(page.locator(".row .menu, dialog[open]")).to_have_count(0)
    expect(page.locator("#mine")).to_be_hidden()
    expect(page.locator(".row .sending, .row .refusal")).to_have_count(0)
    assert "POST" not in sent
    assert [site.types(board, tag) for tag in states] == [
        [], ["taken"], ["taken", "paused"], ["blocked"], ["taken", "completed"],
    ]  # fmt: skip

"""Answers that come when somebody else has signed in, or something else was asked for meanwhile."""

from __future__ import annotations

import pytest
from playwright.sync_api import APIResponse, Route, expect

from tests.browser.conftest import OpenBoard, Visit
from tests.browser.site import Site, button, card, expect_live, expect_state, touch
from tests.browser.switching import settle, signed_in, switch
from tests.browser.test_operations import hold


def test_an_operation_is_not_tried_again_for_the_next_who_signs_in(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    page = signed_in(site, visit, f"/boards/{board}")
    expect_live(page)
    lost: list[Route] = []
    switched = False

    def lose(route: Route) -> None:
        lost.append(route)
        if switched:
            route.continue_()
        else:
            route.abort()

    page.route("**/take", lose)
    with page.expect_request("**/take"):
        touch(page, "T-1", "take")
    switch(page, "colleague")
    switched = True
    expect_live(page)
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "false", timeout=20_000)
    assert site.types(board, "T-1") == []
    expect_state(page, "T-1", "available")


@pytest.mark.parametrize("is_refused", [False, True])
def test_the_result_of_an_operation_is_not_told_to_the_next_who_signs_in(
    site: Site, visit: Visit, is_refused: bool
) -> None:
    board = site.board("T-1")
    page = signed_in(site, visit, f"/boards/{board}")
    expect_live(page)
    held: list[tuple[Route, APIResponse | None]] = []
    page.route("**/take", lambda route: held.append((route, None if is_refused else route.fetch())))
    with page.expect_request("**/take"):
        touch(page, "T-1", "take")
    switch(page, "colleague")
    expect_live(page)
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "true")
    route, answer = held[0]
    if answer is None:
        route.fulfill(status=409, json={"code": "limit_reached", "detail": "You hold 1 of 1."})
    else:
        route.fulfill(response=answer)
        expect_state(page, "T-1", "occupied", "Holder")
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".note, .refusal")).to_have_count(0)


def test_a_refusal_is_not_shown_to_the_next_who_signs_in(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    page = signed_in(site, visit, f"/boards/{board}")
    expect_live(page)
    page.route("**/take", lambda route: route.fulfill(
        status=409, json={"code": "limit_reached", "detail": "You hold 1 of 1."}
    ))  # fmt: skip
    touch(page, "T-1", "take")
    expect(card(page, "T-1").locator(".refusal")).to_be_visible()
    switch(page, "colleague")
    expect_live(page)
    expect(card(page, "T-1")).to_be_visible()
    expect(page.locator(".note, .refusal")).to_have_count(0)


def test_a_second_touch_of_a_batch_that_is_on_its_way_says_nothing(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(board)
    for tag in ("T-1", "T-2"):
        card(page, tag).locator(".choose").check()
    held = hold(page, "**/batch")
    take = page.locator("#batch button.take")
    with page.expect_request("**/batch"):
        take.click()
    expect(card(page, "T-1")).to_have_attribute("aria-busy", "true")
    take.press("Enter")  # no double tap, which counts once anyway
    settle(page)
    expect(page.locator(".note")).to_have_count(0)
    expect(card(page, "T-1").locator(".choose")).to_be_checked()
    assert len(held) == 1
    held[0].continue_()
    expect(page.locator(".note.done")).to_contain_text("2")
    expect(button(page, "T-1", "complete")).to_be_visible()


def test_the_settings_of_a_board_are_not_shown_after_the_sign_out(site: Site, visit: Visit) -> None:
    board = site.board("T-1", title="Secret shop")
    page = signed_in(site, visit, "/boards")
    held: list[tuple[Route, APIResponse]] = []
    page.route(f"**/api/boards/{board}", lambda route: held.append((route, route.fetch())))
    page.goto(f"/boards/{board}")
    expect_live(page)
    page.locator("#who button").click()
    page.get_by_role("button", name="Sign out Holder").click()
    expect(page.locator("#who")).to_have_text("Sign in")
    for route, answer in held:
        with page.expect_response(f"**/api/boards/{board}"):
            route.fulfill(response=answer)
    settle(page)
    expect(page.locator("#title")).not_to_contain_text("Secret")

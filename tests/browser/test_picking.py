"""Picking people and reasons by touch, and what a refusal leaves in the dialog."""

from __future__ import annotations

import json
import secrets

from playwright.sync_api import Route, expect

from occupancy.core.entities import Role
from occupancy.core.requests.boards import BoardSettingsBody
from tests.browser.axe import violations
from tests.browser.conftest import OpenBoard
from tests.browser.site import Site, card, expect_state, touch

PAYLOAD = '"><img src=x onerror="window.hacked=1">'
PHONE = {"width": 390, "height": 844}


def with_reasons(site: Site, board: str, *reasons: str) -> None:
    site.services.store.boards.configure(board, BoardSettingsBody(reasons=list(reasons)))


def test_an_item_is_given_by_touching_a_person_who_works_on_the_board(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    site.do("take", board, "T-1")
    page = open_board(board, "supervisor", viewport=PHONE)
    touch(page, "T-2", "reassign")
    near = page.get_by_role("group", name="On this board")
    expect(near.locator(".name")).to_have_count(1)
    assert violations(page) == []
    near.locator('[data-id="colleague"]').click()
    expect(near.locator('[data-id="colleague"]')).to_have_attribute("aria-pressed", "true")
    page.locator("#ask-dialog button.primary").click()
    expect_state(page, "T-2", "occupied", "Colleague")


def test_all_active_workers_are_found_by_a_part_of_the_name(
    site: Site, open_board: OpenBoard
) -> None:
    worker = f"w{secrets.token_hex(3)}"
    site.services.workers.add(worker, name=f"Íñigo {PAYLOAD} {worker}", role=Role.WORKER)
    board = site.board("T-1")
    page = open_board(board, "supervisor")
    touch(page, "T-1", "reassign")
    page.locator('#ask-dialog input[name="to"]').fill(f"inigo {worker}")
    found = page.locator(f'#ask-dialog [data-id="{worker}"]')
    expect(page.locator("#ask-dialog .people .name")).to_have_count(1)
    page.locator("#ask-dialog button.primary").click()
    expect(page.locator("#ask-dialog .said")).to_have_text("Tap the person you mean.")
    found.click()
    page.locator("#ask-dialog button.primary").click()
    expect_state(page, "T-1", "occupied", f"Íñigo {PAYLOAD} {worker}")
    assert page.evaluate("() => window.hacked") is None


def test_who_is_not_there_or_not_given_is_said_in_the_dialog_and_the_reason_stays(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1")
    page = open_board(board, "supervisor")
    touch(page, "T-1", "reassign")
    page.locator('#ask-dialog input[name="reason"]').fill("She knows it")
    page.locator("#ask-dialog button.primary").click()
    expect(page.locator("#ask-dialog .said")).to_have_text("Choose who is to have it.")
    # By the keyboard: a second click at once, at the same place, would be half of a double click.
    page.locator('#ask-dialog input[name="to"]').fill("nobody-there")
    page.keyboard.press("Enter")
    expect(page.locator("#ask-dialog .said")).to_contain_text("Nobody with that name or id")
    expect(page.locator('#ask-dialog input[name="reason"]')).to_have_value("She knows it")
    assert site.types(board, "T-1") == []


def test_a_press_counts_although_the_people_are_found_while_it_lasts(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1")
    page = open_board(board, "supervisor")
    touch(page, "T-1", "reassign")
    expect(page.locator('#ask-dialog [data-id="holder"]')).to_be_visible()
    expect(page.locator("#ask-dialog .said")).to_be_empty()
    give = page.locator("#ask-dialog button.primary")
    place = give.bounding_box()
    assert place is not None
    page.mouse.move(place["x"] + 20, place["y"] + place["height"] - 4)
    with page.expect_response(lambda answer: "q=nobody" in answer.url) as found:
        page.mouse.down()
        page.locator('#ask-dialog input[name="to"]').fill("nobody-there")
    assert found.value.ok
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert give.bounding_box() == place
    page.mouse.up()
    expect(page.locator("#ask-dialog .said")).to_contain_text("Nobody with that name or id")


def test_the_boards_reasons_come_first_then_those_that_its_items_have(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2", "T-3")
    with_reasons(site, board, "Crack", PAYLOAD)
    site.do("block", board, "T-2", reason="No drawing")
    site.do("take", board, "T-3")
    site.do("pause", board, "T-3", reason="Lunch")  # no reason to block anything
    page = open_board(board, "supervisor", viewport=PHONE)
    touch(page, "T-1", "block")
    names = page.locator("#ask-dialog .reasons .name")
    expect(names).to_have_text(["Crack", PAYLOAD, "No drawing"])
    assert violations(page) == []
    names.nth(1).click()
    expect_state(page, "T-1", "blocked")
    expect(card(page, "T-1").locator(".reason")).to_have_text(PAYLOAD)
    assert page.evaluate("() => window.hacked") is None


def test_a_missing_reason_is_said_in_the_dialog(site: Site, open_board: OpenBoard) -> None:
    page = open_board(site.board("T-1"), "supervisor")
    touch(page, "T-1", "block")
    page.locator("#ask-dialog button.primary").click()
    expect(page.locator("#ask-dialog .said")).to_contain_text("Say why")
    expect(page.locator('#ask-dialog input[name="reason"]')).to_be_focused()


def test_a_refusal_leaves_what_was_given_for_the_next_try(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1")
    page = open_board(board, "supervisor")

    def refuse(route: Route) -> None:
        route.fulfill(
            status=409, content_type="application/problem+json",
            body=json.dumps({"code": "wrong_state", "detail": "No.", "status": 409}),
        )  # fmt: skip

    page.route("**/reassign", refuse)
    touch(page, "T-1", "reassign")
    page.locator('#ask-dialog [data-id="holder"]').click()
    page.locator('#ask-dialog input[name="reason"]').fill("He knows it")
    page.locator("#ask-dialog button.primary").click()
    expect(card(page, "T-1").locator(".refusal")).to_have_count(1)
    page.unroute("**/reassign")
    touch(page, "T-1", "reassign")
    expect(page.locator('#ask-dialog input[name="reason"]')).to_have_value("He knows it")
    expect(page.locator('#ask-dialog input[name="to"]')).to_have_value("Holder")
    page.locator("#ask-dialog button.primary").click()
    expect_state(page, "T-1", "occupied", "Holder")
    touch(page, "T-1", "reassign")  # it has succeeded: the next one begins empty
    expect(page.locator('#ask-dialog input[name="reason"]')).to_have_value("")


def test_a_batch_offers_the_reasons_too_and_keeps_one_that_was_refused(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    with_reasons(site, board, "Crack")
    page = open_board(board, "supervisor")
    for tag in ("T-1", "T-2"):
        card(page, tag).locator(".choose").check()
    page.route("**/batch", lambda route: route.fulfill(
        status=403, content_type="application/problem+json",
        body=json.dumps({"code": "forbidden", "detail": "No.", "status": 403}),
    ))  # fmt: skip
    page.locator("#batch .block").click()
    page.locator('#ask-dialog input[name="reason"]').fill("Wrong drawing")
    page.locator("#ask-dialog button.primary").click()
    expect(page.locator(".row .refusal")).to_have_count(2)
    page.unroute("**/batch")
    page.locator("#batch .block").click()
    expect(page.locator('#ask-dialog input[name="reason"]')).to_have_value("Wrong drawing")
    page.locator("#ask-dialog .reasons").get_by_role("button", name="Crack").click()
    for tag in ("T-1", "T-2"):
        expect_state(page, tag, "blocked")

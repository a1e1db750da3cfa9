"""Every page: accessible in both themes, in two languages, and stored texts stay text."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from occupancy.access.pins import hash_pin
from occupancy.boards.commands import Command
from occupancy.core.entities import COMMAND_LINE, Person, Role
from occupancy.core.transitions import TRANSITIONS
from tests.browser.axe import violations
from tests.browser.conftest import OpenBoard, Visit
from tests.browser.keys import scan
from tests.browser.site import (
    PIN,
    Site,
    button,
    card,
    expect_live,
    expect_state,
    expect_still,
    touch,
)

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{holder}'


@pytest.fixture(scope="module")
def shop(site: Site) -> str:
    """A board with an item in each state."""
    board = site.board("T-1", "T-2", "T-3", "T-4", "T-5", steps=("ARM", "SOLD"))
    site.put(board, {"T-1": "A part"}, area="B2", material="A106 Gr. B")
    site.do("take", board, "T-1", who="supervisor")
    site.do("take", board, "T-2")
    site.do("pause", board, "T-2", reason="No material")
    site.do("block", board, "T-3", who="supervisor", reason="Crack found")
    for _ in range(2):
        site.do("take", board, "T-4")
        site.do("complete", board, "T-4")
    return board


def test_the_board_is_accessible(shop: str, open_board: OpenBoard) -> None:
    page = open_board(shop, "supervisor")
    expect_state(page, "T-3", "blocked")
    assert violations(page) == []


def test_the_board_is_accessible_with_menus_batch_and_notices(
    site: Site, shop: str, open_board: OpenBoard
) -> None:
    page = open_board(shop, "supervisor")
    card(page, "T-5").locator(".choose").check()
    page.route("**/block", lambda route: route.fulfill(status=409, body=json.dumps(
        {"code": "wrong_state", "detail": "No.", "status": 409}
    )))  # fmt: skip
    touch(page, "T-5", "block")
    page.locator('#ask-dialog input[name="reason"]').fill("Why not")
    assert violations(page) == []
    page.locator("#ask-dialog button.primary").click()
    expect(card(page, "T-5").locator(".refusal")).to_have_count(1)
    card(page, "T-1").locator("summary").click()
    expect(button(page, "T-1", "release")).to_be_visible()
    page.context.set_offline(True)
    expect_live(page, "offline")
    assert violations(page) == []


def test_my_work_and_scan_notices_are_accessible(site: Site, open_board: OpenBoard) -> None:
    tags = [f"MK-1335-{number}" for number in range(7)]
    board = site.board(*tags)
    for tag in tags:
        site.do("take", board, tag, who="holder")
    page = open_board(board, viewport={"width": 390, "height": 844})
    assert violations(page) == []
    expect_still(page)
    page.locator("#my-more").click()
    expect(page.locator("#my-work .pause").last).to_be_visible()
    scan(page, "nowhere")
    expect(page.locator(".note.scanned")).to_have_count(1)
    assert violations(page) == []
    page.locator("#my-work .pause").last.click()
    scan(page, tags[0])
    expect(page.locator("dialog .note.scanned")).to_have_count(1)
    assert violations(page) == []


@pytest.mark.parametrize(
    ("path", "ready"),
    [
        ("/boards", "#boards li"),
        ("/boards/{board}/items/T-2", "#history li"),
        ("/docs", "main"),
    ],
)
def test_a_page_is_accessible(shop: str, visit: Visit, path: str, ready: str) -> None:
    page = visit(path.format(board=shop), "supervisor")
    expect(page.locator(ready).first).to_be_visible()
    assert violations(page) == []


def test_signing_in_is_accessible(site: Site, visit: Visit) -> None:
    page = visit("/boards", "holder")
    page.locator("#who button").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.evaluate('() => localStorage.setItem(\'occupancy-recent\', \'[{"id":"1","name":"N"}]\')')
    page.locator("#who button").click()
    expect(page.locator("#session-dialog .name")).to_have_count(1)
    assert violations(page) == []
    site.services.workers.add("chief", name="Chief", role=Role.ADMIN, pin_hash=hash_pin(PIN))
    link = visit(f"/sign-in#{site.services.links.create('chief')}", None)
    expect(link.locator("#set-pin")).to_be_visible()
    assert violations(link) == []


def test_a_phone_needs_no_scrolling_sideways_and_targets_are_large(
    shop: str, open_board: OpenBoard
) -> None:
    page = open_board(shop, "supervisor", viewport={"width": 320, "height": 640})
    expect_state(page, "T-1", "occupied", "Supervisor")
    for path in (f"/boards/{shop}", f"/boards/{shop}/items/T-1", "/boards"):
        page.goto(path)
        expect(page.locator("#who strong")).to_be_visible()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 320, path
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, summary, select, input, a')]
              .filter((each) => each.checkVisibility() && !each.closest('.skip'))
              .map((each) => each.closest('label.pick') ?? each)
              .filter((each) => each.getBoundingClientRect().height < 43.5)
              .map((each) => each.outerHTML.slice(0, 80))"""
        )
        assert small == [], path


def test_stored_texts_stay_text(site: Site, visit: Visit) -> None:
    site.services.workers.add("author", name=PAYLOAD, role=Role.SUPERVISOR)
    board = site.board("T-1", "T-2", title=PAYLOAD, steps=("ARM", "SOLD"))
    site.put(board, {"T-1": PAYLOAD, "T-2": PAYLOAD}, **{"area": PAYLOAD})
    person = site.services.workers.get("author").person
    secret = site.services.links.create("author")
    page = visit(f"/sign-in#{secret}", None)
    expect(page.locator("#boards")).to_contain_text(PAYLOAD)
    page.goto(f"/boards/{board}")
    expect_live(page)
    expect(page.locator("#title")).to_have_text(PAYLOAD)
    touch(page, "T-1", "take")
    expect_state(page, "T-1", "occupied", person.name)
    expect(page.locator("#notices")).to_contain_text("T-1")
    touch(page, "T-1", "pause")
    page.locator('#ask-dialog input[name="reason"]').fill(PAYLOAD)
    page.locator("#ask-dialog button.primary").click()
    expect(card(page, "T-1").locator(".reason")).to_have_text(PAYLOAD)
    touch(page, "T-1", "take")
    touch(page, "T-1", "pause")
    expect(page.locator("#ask-dialog .name")).to_have_text(PAYLOAD)
    check_harmless(page)
    page.goto(f"/boards/{board}?q={PAYLOAD}&state={PAYLOAD}&step={PAYLOAD}")
    expect_live(page)
    check_harmless(page)
    page.goto(f"/boards/{board}/items/T-1")
    expect(page.locator("#history .reason").first).to_have_text(PAYLOAD)
    expect(page.locator("#attributes dd")).to_have_text(PAYLOAD)
    check_harmless(page)
    page.goto(f"/sign-in#{PAYLOAD}")
    expect(page).to_have_url(f"{site.url}/boards")
    check_harmless(page)


def check_harmless(page: Page) -> None:
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("img, iframe, object, body script").count() == 0


def test_a_browser_in_spanish_gets_spanish_and_the_switch_is_remembered(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1")
    page = open_board(board, locale="es-MX")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.locator("#live")).to_have_text("en vivo")
    expect(button(page, "T-1", "take")).to_have_text("TOMAR")
    touch(page, "T-1", "take")
    expect(button(page, "T-1", "pause")).to_have_text("PAUSAR")
    expect(button(page, "T-1", "complete")).to_have_text("COMPLETAR")
    expect(page.locator("#shown")).to_have_text("1 pieza")
    page.locator("#languages").select_option("en")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(button(page, "T-1", "complete")).to_have_text("COMPLETE")
    page.goto("/boards")
    expect(page.locator("h1")).to_have_text("Boards")


@pytest.mark.parametrize(
    ("path", "said"),
    [("/boards/none-such", "There is no board none-such."), ("{board}/items/T-9", "no item T-9")],
)
def test_a_missing_item_or_board_is_reported(
    site: Site, visit: Visit, path: str, said: str
) -> None:
    page = visit(path.replace("{board}", f"/boards/{site.board()}"))
    expect(page.locator("#banner")).to_contain_text(said)


def test_a_change_by_the_command_line_is_told_in_the_pages_language(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1", "T-2")
    for tag, actor in (("T-1", COMMAND_LINE), ("T-2", Person(COMMAND_LINE.id, "Clive"))):
        site.services.store.commands.execute(
            Command(board, TRANSITIONS["block"], [tag], actor=actor, reason="Grieta")
        )
    page = visit(f"/boards/{board}/items/T-1", "holder", locale="es-ES")
    expect(page.locator("#history li").first).to_contain_text("La línea de comandos lo bloqueó")
    page.goto(f"/boards/{board}/items/T-2")
    expect(page.locator("#history li").first).to_contain_text("Clive lo bloqueó")

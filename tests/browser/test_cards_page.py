"""The page of badge cards and PIN slips: what is made, printed, uncertain, and gone afterwards."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site
from tests.browser.test_label_page import NO_DIALOG

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@pytest.fixture
def people(site: Site, request: pytest.FixtureRequest) -> list[str]:
    """Three workers of this test alone."""
    word = f"c{abs(hash(request.node.nodeid)) % 10**8}"
    ids = [f"{word}-{number}" for number in range(3)]
    for each in ids:
        site.services.workers.add(
            each, name=f"Ana {each} {PAYLOAD}", role=Role.WORKER, pin_hash=hash_pin("2580")
        )
    return ids


@pytest.fixture
def open_cards(visit: Visit) -> Callable[..., Page]:
    def open_page(**options: Any) -> Page:
        page = visit("/people/cards", "admin", script=NO_DIALOG, **options)
        expect(page.locator("#people li").first).to_be_visible()
        return page

    return open_page


def choose(page: Page, kind: str, people: list[str]) -> None:
    page.locator(f'input[name="kind"][value="{kind}"]').check()
    page.locator("#search").fill(people[0].rpartition("-")[0])
    expect(page.locator("#people li")).to_have_count(len(people))
    page.locator("#choose-all").click()


def make(page: Page, kind: str, people: list[str]) -> None:
    choose(page, kind, people)
    page.locator("#make").click()
    if kind == "pin":
        expect(page.locator("#ask-dialog")).to_contain_text("sessions end at once")
        page.locator("#ask-dialog button.primary").click()


def codes_of(page: Page) -> list[str]:
    """What a scanner reads from the papers as they are printed."""
    page.evaluate(
        "() => Promise.all([...document.querySelectorAll('.papers-page img')]"
        ".map((each) => each.decode()))"
    )
    page.emulate_media(media="print")
    found = []
    for each in page.locator(".papers-page").all():
        picture = Image.open(io.BytesIO(each.screenshot()))
        found += [code.text for code in zxingcpp.read_barcodes(picture)]
    page.emulate_media(media="screen")
    return found


def test_a_card_has_a_new_badge_that_signs_its_person_in(
    site: Site, people: list[str], open_cards: Callable[..., Page]
) -> None:
    page = open_cards(device_scale_factor=2)
    page.locator("#plant").fill(f"Planta Norte {PAYLOAD}")
    make(page, "badge", people)
    expect(page.locator(".badge-card")).to_have_count(3)
    codes = codes_of(page)
    assert all(re.fullmatch("OCC[A-Z]{20}", each) for each in codes)
    found = [site.services.badges.find(each) for each in codes]
    assert sorted(each.badge.worker for each in found if each is not None) == people
    expect(page.locator(".badge-card").first).to_contain_text("Planta Norte")
    assert page.evaluate("() => window.hacked") is None
    page.locator("#lacking").select_option("badge")
    expect(page.locator("#people li")).to_have_count(0)


def test_a_slip_has_a_new_pin_and_the_sessions_end(
    site: Site, people: list[str], open_cards: Callable[..., Page]
) -> None:
    page = open_cards()
    before = page.context.browser.new_context(base_url=site.url)  # type: ignore[union-attr] # not persistent
    site.sign_in(before, people[0])
    assert before.request.get("/api/session").ok
    make(page, "pin", people)
    expect(page.locator(".slip")).to_have_count(3)
    assert before.request.get("/api/session").status == 401
    pins = page.locator(".slip .pin").all_inner_texts()
    for worker, pin in zip(people, pins, strict=True):
        answer = before.request.post("/api/session", data={"worker": worker, "pin": pin})
        assert answer.ok, answer.text()
    before.close()


def test_a_slip_with_a_link_ends_nothing_and_signs_in_once(
    site: Site, people: list[str], open_cards: Callable[..., Page]
) -> None:
    page = open_cards(device_scale_factor=2)
    before = page.context.browser.new_context(base_url=site.url)  # type: ignore[union-attr] # not persistent
    site.sign_in(before, people[0])
    make(page, "link", people)
    expect(page.locator(".slip")).to_have_count(3)
    assert before.request.get("/api/session").ok
    codes = codes_of(page)
    assert len(codes) == 3
    token = codes[0].partition("#")[2]
    answer = before.request.post("/api/session", data={"token": token})
    assert answer.json()["worker"]["id"] in people
    before.close()


def test_a_lost_answer_is_uncertain_for_that_person_and_the_same_code_is_sent_again(
    site: Site, people: list[str], open_cards: Callable[..., Page]
) -> None:
    page = open_cards()
    page.clock.install()
    path = f"**/api/workers/{people[1]}/badges"

    def lose(route: Any) -> None:
        route.fetch()  # the server does it, and nobody hears of it
        route.abort()

    page.route(path, lose)
    make(page, "badge", people)
    for _ in range(8):
        page.clock.run_for(5000)
    expect(page.locator("#outcomes")).to_contain_text(f"Uncertain for Ana {people[1]}")
    expect(page.locator("#outcomes")).to_contain_text(f"Not sent for Ana {people[2]}")
    expect(page.locator(".badge-card")).to_have_count(1)
    page.unroute(path)
    page.locator("#again").click()
    expect(page.locator(".badge-card")).to_have_count(3)
    expect(page.locator("#again")).to_be_hidden()
    assert [len(site.services.badges.of(each)) for each in people] == [1, 1, 1]


def test_codes_are_gone_after_leaving_and_the_browser_asks_first(
    people: list[str], open_cards: Callable[..., Page]
) -> None:
    page = open_cards()
    make(page, "badge", people)
    expect(page.locator(".badge-card")).to_have_count(3)
    make_again = page.locator("#make")
    choose(page, "badge", people)
    make_again.click()
    expect(page.locator("#making-said")).to_contain_text("Print or discard")
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    expect(page.locator(".badge-card")).to_have_count(3)
    assert asked == ["beforeunload"]
    page.locator("#print").click()
    page.wait_for_function("() => window.printed === 1")
    page.locator("#ask-dialog").get_by_role("button", name="Yes, all").click()
    expect(page.locator("#ask-dialog")).to_be_hidden()
    page.reload()
    expect(page.locator("#people li").first).to_be_visible()
    expect(page.locator(".badge-card")).to_have_count(0)


def test_a_print_that_was_cancelled_does_not_count(
    people: list[str], open_cards: Callable[..., Page]
) -> None:
    page = open_cards()
    make(page, "badge", people)
    expect(page.locator(".badge-card")).to_have_count(3)
    question = page.locator("#ask-dialog")
    for printed in (1, 2):
        page.locator("#print").click()
        page.wait_for_function("printed => window.printed === printed", arg=printed)
        expect(question).to_contain_text("come out of the printer?")
        question.get_by_role("button", name="No, not yet").click()
        choose(page, "badge", people)
        page.locator("#make").click()
        expect(page.locator("#making-said")).to_contain_text("Print or discard")
        expect(page.locator(".badge-card")).to_have_count(3)
    page.locator("#forget").click()
    expect(question).to_contain_text("They have not been printed.")
    question.locator(".danger").click()
    expect(page.locator(".badge-card")).to_have_count(0)


def test_nobody_sets_their_own_pin_here(open_cards: Callable[..., Page]) -> None:
    page = open_cards()
    page.locator("#search").fill("admin")
    expect(page.locator('#people input[value="admin"]')).to_have_count(1)
    page.locator('input[name="kind"][value="pin"]').check()
    expect(page.locator('#people input[value="admin"]')).to_have_count(0)


def test_nothing_is_made_for_nobody(open_cards: Callable[..., Page]) -> None:
    page = open_cards()
    page.locator("#make").click()
    expect(page.locator("#making-said")).to_have_text("Choose at least one person.")


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_it_is_accessible_on_phone_and_desk(
    people: list[str], open_cards: Callable[..., Page], locale: str
) -> None:
    for width in (1440, 390):
        page = open_cards(viewport={"width": width, "height": 844}, locale=locale)
        choose(page, "badge", people)
        page.locator("#make").click()
        expect(page.locator(".badge-card")).to_have_count(3)
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate("() => window.hacked") is None
        assert not re.search(r"cards\.|\{\w+\}", page.locator("#managed").inner_text())


def test_by_keyboard_alone(people: list[str], open_cards: Callable[..., Page]) -> None:
    page = open_cards()
    page.locator("#search").focus()
    page.keyboard.type(people[0], delay=250)
    expect(page.locator("#people li")).to_have_count(1)
    page.locator("#people input").focus()
    page.keyboard.press("Space")
    page.locator("#make").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#made")).to_be_focused()
    expect(page.locator(".badge-card")).to_have_count(1)


def test_supervisors_do_not_see_it(visit: Visit) -> None:
    page = visit("/people/cards", "supervisor")
    expect(page.locator("#said")).to_contain_text("administrator")
    expect(page.locator("#managed")).to_be_hidden()

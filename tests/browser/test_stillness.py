"""The list does not move under the finger, and a double tap has one effect, on one item."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import REMOVE
from tests.browser.conftest import OpenBoard
from tests.browser.keys import send_at_once
from tests.browser.site import (
    Site,
    button,
    card,
    expect_live,
    expect_state,
    expect_still,
    wait_for,
)

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
TAGS = [f"T-{number:02}" for number in range(60)]


def double_tap(page: Page, x: float, y: float, gap_ms: int) -> None:
    """Two real touches at one place, ``gap_ms`` apart by their timestamps on a busy machine too."""
    session = page.context.new_cdp_session(page)
    began_s = time.time()
    for number in range(2):
        if number:
            page.evaluate("ms => new Promise((resolve) => { setTimeout(resolve, ms); })", gap_ms)
        at_s = began_s + number * gap_ms / 1000
        touches = [
            {"type": kind, "touchPoints": points, "timestamp": at_s}
            for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", []))
        ]
        send_at_once(session, "Input.dispatchTouchEvent", touches)  # else it may be a long press
    session.detach()


def scroll_to(page: Page, tag: str) -> None:
    """Scroll as a finger does, until the item is in the middle of the screen."""
    page.evaluate("index => scrollTo(0, index * 172)", TAGS.index(tag))
    expect(button(page, tag, "take")).to_be_in_viewport()
    expect_still(page)


def middle_of(page: Page, tag: str, operation: str) -> tuple[float, float]:
    box = button(page, tag, operation).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def remove(site: Site, board: str, tag: str) -> None:
    supervisor = Person("supervisor", "Supervisor")
    assert (
        site.services.store.commands.execute(Command(board, REMOVE, [tag], actor=supervisor))
        .outcomes[0]
        .is_done
    )


def top_of(page: Page, tag: str) -> float:
    box = card(page, tag).bounding_box()
    assert box is not None
    return box["y"]


@pytest.mark.parametrize("gap_ms", [60, 200, 350])
def test_a_double_tap_on_a_scrolled_phone_takes_one_item_though_others_work_meanwhile(
    site: Site, open_board: OpenBoard, gap_ms: int
) -> None:
    board = site.board(*TAGS)
    page = open_board(board, **PHONE)
    scroll_to(page, "T-30")
    x, y = middle_of(page, "T-30", "take")
    site.do("take", board, "T-02")
    site.do("take", board, "T-31")
    double_tap(page, x, y, gap_ms)
    site.do("take", board, "T-03")
    expect_state(page, "T-30", "occupied", "Holder")
    assert [tag for tag in TAGS if site.types(board, tag)] == ["T-02", "T-03", "T-30", "T-31"]
    assert site.types(board, "T-30") == ["taken"]
    expect(page.locator("dialog[open], details[open]")).to_have_count(0)


def test_rows_keep_their_place_on_a_scrolled_list_until_they_are_asked_to_move(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(*TAGS)
    page = open_board(board, **PHONE)
    scroll_to(page, "T-30")
    before = top_of(page, "T-30"), top_of(page, "T-31")
    site.do("take", board, "T-50")
    site.do("take", board, "T-31")
    remove(site, board, "T-29")
    site.put(board, {"S-00": "A new one"})
    expect_state(page, "T-31", "occupied", "Colleague")  # it shows what it is, where it was
    changes = page.locator("#changes")
    expect(changes).to_have_text("4 changes · refresh")
    expect(changes).to_be_in_viewport()
    assert (top_of(page, "T-30"), top_of(page, "T-31")) == before
    expect(card(page, "T-29")).to_contain_text("removed from the board")
    expect_still(page)
    changes.tap()
    expect(changes).to_be_hidden()
    expect(card(page, "T-29")).to_have_count(0)
    expect(card(page, "T-30")).to_be_in_viewport()
    page.evaluate("() => scrollTo(0, 0)")
    expect(card(page, "T-31")).to_have_attribute("aria-posinset", "1")


def test_the_row_that_was_acted_on_stays(site: Site, open_board: OpenBoard) -> None:
    board = site.board(*TAGS)
    page = open_board(board, **PHONE)
    scroll_to(page, "T-30")
    before = top_of(page, "T-30")
    page.touchscreen.tap(*middle_of(page, "T-30", "take"))
    expect_state(page, "T-30", "occupied", "Holder")
    expect(page.locator("#changes")).to_be_visible()
    assert top_of(page, "T-30") == before


def test_an_unused_list_reorders_itself(site: Site, open_board: OpenBoard) -> None:
    board = site.board(*TAGS)
    page = open_board(board)
    site.do("take", board, "T-50")
    expect(card(page, "T-50")).to_have_attribute("aria-posinset", "1")
    page.clock.install()
    page.reload()
    expect_still(page)
    card(page, "T-02").hover()
    site.do("take", board, "T-40")
    expect(page.locator("#changes")).to_have_text("1 change · refresh")
    page.clock.fast_forward(21_000)
    expect(page.locator("#changes")).to_be_hidden()
    expect(card(page, "T-40")).to_have_attribute("aria-posinset", "1")


def test_a_button_that_has_moved_takes_no_tap_for_a_moment(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(*TAGS)
    page = open_board(board)
    place = middle_of(page, "T-00", "take")
    # The tap falls the moment that another row has come to stand there.
    page.evaluate(
        """([x, y]) => {
          const items = document.getElementById('items');
          const observer = new MutationObserver(() => {
            const there = document.elementFromPoint(x, y)?.closest('.row')?.dataset.key;
            if (there === 'T-00') return;
            observer.disconnect();
            const row = items.querySelector('.row[aria-posinset="2"]');
            window.tapped = row.dataset.key;
            row.querySelector('.take').click();
          });
          observer.observe(items, {subtree: true, attributes: true, childList: true});
        }""",
        place,
    )
    site.do("take", board, "T-50")
    wait_for(page, "() => window.tapped", what="the tap on what has moved")
    expect_state(page, "T-50", "occupied", "Colleague")
    expect_still(page)
    assert [tag for tag in TAGS if site.types(board, tag)] == ["T-50"]


@pytest.mark.parametrize("where", ["complete", "pause"])
def test_a_double_tap_in_my_work_ends_one_item(
    site: Site, open_board: OpenBoard, where: str
) -> None:
    board = site.board(*TAGS)
    for tag in ("T-10", "T-11", "T-12"):
        site.do("take", board, tag, who="holder")
    page = open_board(board, **PHONE)
    expect_still(page)
    first = page.locator("#my-work li").first
    box = first.locator(f".{where}").bounding_box()
    assert box is not None
    double_tap(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, 200)
    if where == "pause":
        page.locator("#ask-dialog button.primary").click()
    expect(page.locator("#my-work li")).to_have_count(2)
    expect_still(page)
    ended = [site.types(board, tag) for tag in ("T-10", "T-11", "T-12")]
    assert sorted(ended, key=len) == [["taken"], ["taken"], ["taken", f"{where}d"]]


@pytest.mark.parametrize(
    ("what", "effect"), [(".choose", ".choose:checked"), ("summary", "details[open]")]
)
def test_the_second_half_of_a_double_tap_takes_nothing_back(
    site: Site, open_board: OpenBoard, what: str, effect: str
) -> None:
    """Elements that have not moved: only the double tap itself is the criterion."""
    board = site.board(*TAGS)
    page = open_board(board, "supervisor", **PHONE)
    expect_still(page)
    box = card(page, "T-01").locator(what).bounding_box()
    assert box is not None
    double_tap(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, 200)
    expect(page.locator(effect)).to_have_count(1)
    assert not any(site.types(board, tag) for tag in TAGS)


def test_content_that_appears_above_a_scrolled_list_does_not_move_it(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(*TAGS)
    page = open_board(board, **PHONE)
    scroll_to(page, "T-30")
    before, scrolled = top_of(page, "T-30"), page.evaluate("() => scrollY")
    page.context.set_offline(True)
    expect_live(page, "offline")
    expect(page.locator("#banner")).to_be_visible()
    height = page.locator("#banner").evaluate("banner => banner.offsetHeight")
    assert height > 20
    wait_for(
        page, "least => scrollY >= least", scrolled + height - 1,
        what="the page to be scrolled by what has appeared",
    )  # fmt: skip
    assert abs(top_of(page, "T-30") - before) < 1
    page.context.set_offline(False)
    expect_live(page)
    expect(page.locator("#banner")).to_be_hidden()
    wait_for(page, "most => scrollY <= most", scrolled + 1, what="the page to be scrolled back")
    assert abs(top_of(page, "T-30") - before) < 1


@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390), (1024, 768)])
def test_a_menu_at_the_bottom_is_wholly_visible(
    site: Site, open_board: OpenBoard, width: int, height: int
) -> None:
    board = site.board(*TAGS)
    device = {**PHONE, "viewport": {"width": width, "height": height}}
    page = open_board(board, "supervisor", **device)
    card(page, "T-00").locator(".choose").tap()  # the bar is there
    expect(page.locator("#batch")).to_be_visible()
    for tag in ("T-30", "T-59"):
        # The row stands right above the bar.
        page.evaluate(
            """index => {
              const items = document.getElementById('items');
              const row = items.offsetHeight / items.querySelector('.row').ariaSetSize;
              const foot = document.getElementById('foot').offsetHeight;
              const {top} = items.getBoundingClientRect();
              scrollBy(0, top + (index + 1) * row + foot - innerHeight);
            }""",
            TAGS.index(tag),
        )
        more = card(page, tag).locator("summary")
        expect(more).to_be_in_viewport(ratio=1)
        expect_still(page)
        page.wait_for_timeout(600)  # else it would be the second half of a double tap
        more.tap()
        expect(card(page, tag).locator("details[open]")).to_have_count(1)
        wait_for(
            page,
            """() => {
              const {top, bottom} = document.querySelector('[open] .menu').getBoundingClientRect();
              const edge = (selector) => document.querySelector(selector).getBoundingClientRect();
              return top >= edge('#my-work-bar').bottom && bottom <= edge('#foot').top;
            }""",
            what="all of the menu to be in sight",
        )


def test_my_work_stays_visible_on_a_phone_in_landscape(site: Site, open_board: OpenBoard) -> None:
    board = site.board(*TAGS)
    site.do("take", board, "T-00", who="holder")
    page = open_board(board, **{**PHONE, "viewport": {"width": 844, "height": 390}})
    page.evaluate("() => scrollTo(0, 2000)")
    expect(page.locator("#my-work .complete")).to_be_in_viewport(ratio=1)

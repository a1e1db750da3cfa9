"""A worker's items and their changes are always visible; an empty list gives the reason."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from occupancy.boards.commands import Command
from occupancy.core.entities import Person
from occupancy.core.transitions import TRANSITIONS
from tests.browser.conftest import OpenBoard, Visit
from tests.browser.site import Site, button, card, expect_live, expect_state, expect_still, touch
from tests.browser.test_operations import hold

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
}
TAGS = [f"T-{number:02}" for number in range(40)]
IS_WHOLE = """time => {
  const {right} = time.parentElement.getBoundingClientRect();
  time.textContent = '38 h 12 min';
  return time.getBoundingClientRect().right <= right;
}"""


def expect_notice(page: Page, text: str) -> None:
    notice = page.locator("#notices .note").filter(has_text=text)
    expect(notice).to_have_count(1)
    expect(notice).to_be_in_viewport()


def test_my_work_is_visible_with_any_filter_and_can_be_ended_there(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(*TAGS)
    page = open_board(board, **PHONE)
    page.locator('#states [data-state="available"]').tap()
    page.evaluate("() => scrollTo(0, 3500)")
    expect(button(page, "T-20", "take")).to_be_in_viewport()
    touch(page, "T-20", "take")
    expect(page.locator("#my-work li")).to_have_count(1)
    for operation in ("pause", "complete"):
        expect(page.locator(f"#my-work .{operation}")).to_be_in_viewport(ratio=1)
    expect_notice(page, "T-20 is yours.")
    page.locator("#search").fill("nothing of the kind")
    expect_still(page)
    page.locator("#my-work .complete").tap()
    expect(page.locator("#my-work li")).to_have_count(0)
    expect_notice(page, "The step of T-20 is complete.")
    assert site.types(board, "T-20") == ["taken", "completed"]
    expect_still(page)
    page.locator("#notices .show").tap()  # the filter hides it: it is taken off
    expect(card(page, "T-20")).to_be_in_viewport()


def test_on_a_phone_everything_i_hold_can_be_opened_and_ended(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(*TAGS)
    held = TAGS[:7]
    for tag in held:
        site.do("take", board, tag, who="holder")
    page = open_board(board, **PHONE)
    entries, more = page.locator("#my-work li"), page.locator("#my-more")
    expect(entries).to_have_count(7)
    expect(more).to_have_text("7")
    expect(entries.first.locator(".complete")).to_be_in_viewport(ratio=1)
    expect(entries.nth(1)).not_to_be_visible()
    assert page.locator("#my-work time").first.evaluate(IS_WHOLE)
    before = card(page, "T-00").bounding_box()
    expect_still(page)
    more.tap()
    for entry in entries.all():
        for operation in ("pause", "complete"):
            expect(entry.locator(f".{operation}")).to_be_in_viewport(ratio=1)
    assert card(page, "T-00").bounding_box() == before  # it opens over the list
    last = page.locator('#my-work [data-key="T-00"]')
    expect_still(page)
    last.locator(".complete").tap()
    expect(entries).to_have_count(6)
    expect(last).to_have_count(0)
    assert site.types(board, "T-00") == ["taken", "completed"]
    page.keyboard.press("Escape")
    expect(entries.nth(1)).not_to_be_visible()
    for tag in held[1:5]:
        site.do("pause", board, tag, who="holder")
    expect(more).to_have_text("2")
    site.do("pause", board, held[5], who="holder")
    expect(more).to_be_hidden()


@pytest.mark.parametrize("who", ["somebody-else", "holder"])
@pytest.mark.parametrize("step", ["ARM", "ENSAMBLAJE FINAL DE ESTRUCTURA"])
def test_a_card_on_a_phone_has_room_for_a_long_name_and_the_duration(
    site: Site, open_board: OpenBoard, step: str, who: str
) -> None:
    name = "María Gutiérrez de la Concepción"
    board = site.board("T-1", steps=(step, "SOLD"))
    answer = site.services.store.commands.execute(
        Command(board, TRANSITIONS["take"], ["T-1"], actor=Person(who, name))
    )
    assert answer.outcomes[0].is_done
    page = open_board(board, **PHONE)
    expect_state(page, "T-1", "occupied", name)
    expect(button(page, "T-1", "complete")).to_have_count(1 if who == "holder" else 0)
    clipped = page.evaluate(
        """() => {
          const how = document.querySelector('.row .how');
          const room = how.getBoundingClientRect();
          const acts = document.querySelector('.row .acts').getBoundingClientRect();
          return [...how.children].filter((each) => {
            if (each.scrollWidth > each.clientWidth + 1) return true;
            const {top, bottom, left, right} = each.getBoundingClientRect();
            return top < room.top - 1 || bottom > Math.min(room.bottom, acts.top) + 1
              || left < room.left - 1 || right > room.right + 1;
          }).map((each) => each.textContent);
        }"""
    )
    assert clipped == []


@pytest.mark.parametrize("width", [390, 1024])
def test_the_end_of_a_long_tag_is_never_cut(site: Site, open_board: OpenBoard, width: int) -> None:
    tags = [f"MK-{'0' * 55}-{number:03}" for number in range(3)]
    page = open_board(site.board(*tags), **{**PHONE, "viewport": {"width": width, "height": 844}})
    for tag in tags:
        link = card(page, tag).locator(".tag")
        expect(link).to_have_text(tag)
        assert link.evaluate(
            """link => {
              const range = document.createRange();
              const end = link.querySelector('.tail')?.firstChild ?? link.firstChild;
              range.setStart(end, end.data.length - 3);
              range.setEnd(end, end.data.length);
              return range.getBoundingClientRect().right <= link.getBoundingClientRect().right + 1;
            }"""
        )


def test_an_item_page_on_a_phone_shows_all_of_its_item(site: Site, visit: Visit) -> None:
    board = site.board("T-1", steps=("ENSAMBLAJE FINAL DE ESTRUCTURA", "SOLD"))
    site.put(board, {"T-1": "x" * 200}, **{"name_" * 12: "value " * 80})
    site.do("block", board, "T-1", who="supervisor", reason="Drawing under review. " * 10)
    page = visit(f"/boards/{board}/items/T-1", "supervisor", **PHONE)
    expect_state(page, "T-1", "blocked")
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.row .how, .row .how > *, .row .title, dd, dt')]
          .filter((each) => {
            const {left, right, bottom} = each.getBoundingClientRect();
            const acts = document.querySelector('.row .acts').getBoundingClientRect();
            const isInRow = each.closest('.row') !== null;
            return left < 0 || right > innerWidth || each.scrollWidth > each.clientWidth + 1
              || each.scrollHeight > each.clientHeight + 1 || (isInRow && bottom > acts.top + 1);
          }).map((each) => each.className || each.tagName)"""
    )
    assert cut == []


def test_mine_means_all_of_mine(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2", "T-3", steps=("ARM", "SOLD"))
    for tag in ("T-1", "T-2"):
        site.do("take", board, tag, who="holder")
    page = open_board(board)
    page.locator('#states [data-state="available"]').click()
    page.locator("#step").select_option("SOLD")
    page.locator("#mine").click()
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator('#states [aria-pressed="true"]')).to_have_count(0)
    page.locator('#states [data-state="available"]').click()
    expect(page.locator("#mine")).to_have_attribute("aria-pressed", "false")


def test_changes_of_my_items_by_others_are_shown_in_a_visible_place(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(*TAGS)
    page = open_board(board, **PHONE)
    page.evaluate("() => scrollTo(0, 3500)")
    site.do("reassign", board, "T-01", who="supervisor", to="holder")
    expect_notice(page, "Supervisor gave T-01 to you.")
    expect(page.locator("#my-work li")).to_have_count(1)
    site.do("force-release", board, "T-01", who="supervisor", reason="Shift over")
    expect_notice(page, "Supervisor took T-01 from its holder: Shift over")
    expect(page.locator("#my-work li")).to_have_count(0)
    site.do("take", board, "T-02")  # nothing to me
    expect(page.locator("#states .count").nth(1)).to_have_text("1")
    expect(page.locator("#notices .note")).to_have_count(1)


def test_a_refusal_is_said_where_it_is_seen_and_leads_to_the_item(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board(*TAGS)
    page = open_board(board, **PHONE)

    def happen(route: Route) -> None:
        site.do("take", board, "T-20")
        route.continue_()

    page.route("**/take", happen)
    page.evaluate("() => scrollTo(0, 3500)")
    expect(button(page, "T-20", "take")).to_be_in_viewport()
    touch(page, "T-20", "take")
    expect_notice(page, "T-20: Colleague has it, since")
    page.evaluate("() => scrollTo(0, 0)")
    expect_still(page)
    page.locator("#notices .show").tap()
    expect(card(page, "T-20")).to_be_in_viewport()
    page.locator("#notices .close").tap()
    expect(page.locator("#notices .note")).to_have_count(0)


def test_changes_of_my_items_during_a_gap_are_shown(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2")
    site.do("take", board, "T-1", who="holder")
    page = open_board(board)
    page.context.set_offline(True)
    expect_live(page, "offline")
    site.do("force-release", board, "T-1", who="supervisor", reason="Shift over")
    page.context.set_offline(False)
    expect_live(page)
    expect_state(page, "T-1", "paused")
    expect(page.locator("#notices .note")).to_contain_text("T-1")


@pytest.mark.parametrize(
    ("tags", "address", "said"),
    [
        ((), "", "There is nothing on this board yet."),
        (("T-1",), "?q=zz&state=paused", "Nothing matches “zz” · paused"),
    ],
)
def test_an_empty_list_says_why(
    site: Site, open_board: OpenBoard, tags: tuple[str, ...], address: str, said: str
) -> None:
    page = open_board(f"{site.board(*tags)}{address}")
    expect(page.locator("#shown")).to_have_text(said)
    if address:
        page.locator("#clear").click()
        expect(page.locator("#shown")).to_have_text("1 piece")


def test_a_board_that_is_still_loading_says_so_and_counts_nothing(site: Site, visit: Visit) -> None:
    board = site.board(*TAGS)
    page = visit("/boards")
    held = hold(page, f"**/boards/{board}/items")
    with page.expect_request(f"**/boards/{board}/items"):
        page.goto(f"/boards/{board}")
    expect(page.locator("#who strong")).to_have_text("Holder")
    expect(page.locator("#shown")).to_have_text("Loading …")
    assert page.locator("#states .count").all_text_contents() == [""] * 6
    held[0].continue_()
    expect(page.locator("#shown")).to_have_text("40 pieces")
    expect(page.locator("#states .count").first).to_have_text("40")


def test_a_signed_out_user_sees_that_instead_of_an_empty_board(site: Site, visit: Visit) -> None:
    page = visit(f"/boards/{site.board(*TAGS)}", None)
    expect(page.locator("#shown")).to_have_text("Nobody is signed in. Sign in to see the board.")
    assert page.locator("#states .count").all_text_contents() == [""] * 6
    page.goto("/boards")
    expect(page.locator("#said")).to_have_text("Nobody is signed in. Sign in to see the boards.")


def test_work_times_are_the_servers_and_a_partial_table_says_so(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2")
    for _ in range(60):
        site.do("take", board, "T-1")
        site.do("pause", board, "T-1")
    page = visit(f"/boards/{board}/items/T-1")
    expect(page.locator("#part")).to_contain_text("the newest 100 events")
    page.locator("#older").click()
    expect(page.locator("#part")).to_be_hidden()
    site.do("take", board, "T-2")
    site.do("reassign", board, "T-2", who="supervisor", to="holder")
    site.do("release", board, "T-2", who="holder")
    page.goto(f"/boards/{board}/items/T-2")
    expect(page.locator("#history li")).to_have_count(4)
    expect(page.locator("#worked")).to_have_text("Worked, as the server counts it: 0 s")
    expect(page.locator("#work")).to_have_text("Nobody has worked on it yet.")
    expect(page.locator("#part")).to_be_hidden()

"""The list of a board's items for supervisors: to find, add, edit, remove and export them."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Locator, Page, expect

from occupancy.core.entities import Item, Person
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


def listed(visit: Visit, board: str, query: str = "", **options: Any) -> Page:
    page = visit(f"/boards/{board}/items{query}", "supervisor", **options)
    expect(page.locator("#managed")).to_be_visible()
    return page


def row(page: Page, tag: str) -> Locator:
    return page.locator(f'tr[data-tag="{tag}"]')


def rows(page: Page) -> Locator:
    return page.locator("#rows tbody tr")


def dialog(page: Page) -> Locator:
    return page.locator("#ask-dialog")


def stored(site: Site, board: str, tag: str) -> Item:
    return msgspec.json.decode(site.services.store.queries.item(board, tag), type=Item)


def test_a_large_board_is_searched_and_paged_at_once(site: Site, visit: Visit) -> None:
    board = site.board(*(f"T-{number:04}" for number in range(1500)))
    site.put(board, {"S-1": "Señal de paso"})
    page = listed(visit, board)
    expect(rows(page)).to_have_count(100)
    expect(page.locator("#page-of")).to_have_text("1 to 100 of 1,501")
    page.locator("#next").click()
    expect(page.locator("#page-of")).to_have_text("101 to 200 of 1,501")
    page.locator("#search").fill("senal")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#pages")).to_be_hidden()
    assert "q=senal" in page.url
    page.reload()
    expect(rows(page)).to_have_count(1)
    page.locator("#clear").click()
    expect(rows(page)).to_have_count(100)
    page.locator("#search").fill("nothing like it")
    expect(page.locator("#none")).to_have_text("Nothing matches the filter.")


def test_states_and_steps_filter_and_what_is_shown_is_exported(site: Site, visit: Visit) -> None:
    board = site.board("A-1", "A-2", "B-1", steps=("ARM", "SOLD"))
    site.do("take", board, "A-1")
    site.do("take", board, "A-2")
    site.do("complete", board, "A-2")
    page = listed(visit, board, locale="es-ES")
    page.locator("#state").select_option("occupied")
    expect(rows(page)).to_have_count(1)
    expect(row(page, "A-1")).to_contain_text("Colleague")
    page.locator("#state").select_option("")
    page.locator("#step").select_option("SOLD")
    expect(rows(page)).to_have_count(1)
    page.locator("#export summary").click()
    expect(page.locator("#export-shown-title")).to_have_text("El elemento que se muestra")
    with page.expect_download() as download:
        page.locator('[data-what="shown"][data-format="csv"]').click()
    assert download.value.path().read_text("utf-8-sig") == "tag;title\nA-2,Part A-2\n".replace(
        ",", ";"
    )
    with page.expect_download() as download:
        page.locator('[data-what="all"][data-format="xlsx"]').click()
    assert download.value.suggested_filename == f"{board}.xlsx"
    assert download.value.path().read_bytes().startswith(b"PK")


def test_an_item_is_added_with_attributes_and_never_over_another(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    site.put(board, {"T-2": "Two"}, zona="B2", kg="3")
    page = listed(visit, board)
    page.locator("#add").click()
    tag, title = dialog(page).locator("[name=tag]"), dialog(page).locator("[name=title]")
    tag.fill("not a code")
    title.fill("New one")
    dialog(page).get_by_role("button", name="Add an attribute").click()
    assert dialog(page).locator("#attribute-names option").evaluate_all(
        "all => all.map((each) => each.value).sort()"
    ) == ["kg", "zona"]
    dialog(page).locator("[name=attribute-name]").fill("zona")
    dialog(page).locator("[name=attribute-value]").fill(PAYLOAD)
    dialog(page).locator("button.primary").click()
    expect(dialog(page).locator(".said")).to_contain_text("not possible")
    expect(tag).to_be_focused()
    tag.fill("T-1")
    dialog(page).locator("button.primary").click()
    expect(dialog(page).locator(".said")).to_contain_text("There is an item T-1 already")
    expect(title).to_have_value("New one")
    assert stored(site, board, "T-1").title == "Part T-1"
    tag.fill("T-3")
    dialog(page).locator("button.primary").click()
    expect(dialog(page)).to_be_hidden()
    expect(row(page, "T-3")).to_contain_text(PAYLOAD)
    added = stored(site, board, "T-3")
    assert (added.title, added.attributes) == ("New one", {"zona": PAYLOAD})
    assert page.evaluate("() => window.hacked") is None


def test_an_edit_keeps_numbers_and_does_not_overwrite_a_later_one(site: Site, visit: Visit) -> None:
    board = site.board()
    text = {"title": '"One"', "attributes": '{"kg": 2.5, "ok": true, "zona": "B2"}'}
    list(site.services.store.commands.put_many(board, [("T-1", text)], actor=Person("a", "A")))
    page = listed(visit, board)
    row(page, "T-1").get_by_role("button", name="Edit T-1").click()
    values = dialog(page).locator("[name=attribute-value]")
    expect(values).to_have_count(3)
    values.nth(2).fill("B3")
    site.put(board, {"T-1": "Meanwhile"}, zona="C1")
    dialog(page).locator("button.primary").click()
    expect(dialog(page).locator(".said")).to_contain_text("“Meanwhile”")
    assert stored(site, board, "T-1").title == "Meanwhile"
    dialog(page).locator("button.primary").click()
    expect(dialog(page)).to_be_hidden()
    edited = stored(site, board, "T-1")
    assert (edited.title, edited.attributes) == ("One", {"kg": 2.5, "ok": True, "zona": "B3"})
    expect(row(page, "T-1").get_by_role("button", name="Edit T-1")).to_be_focused()


def test_some_or_all_that_is_shown_is_removed_but_not_what_somebody_has(
    site: Site, visit: Visit
) -> None:
    board = site.board("A-1", "A-2", "A-3", "B-1")
    site.do("take", board, "A-2")
    page = listed(visit, board)
    page.locator("#search").fill("a-")
    page.locator("#choose-all").check()
    expect(page.locator("#chosen")).to_have_text("3 chosen")
    page.locator("#remove-chosen").click()
    expect(dialog(page)).to_contain_text("Remove 3 pieces")
    dialog(page).locator("button.primary").click()
    expect(page.locator("#result-title")).to_have_text("2 items removed")
    expect(page.locator("#refusals")).to_contain_text("A-2: Colleague has it, since")
    expect(page.locator("#result")).to_be_focused()
    expect(rows(page)).to_have_count(1)
    page.locator("#clear").click()
    expect(rows(page)).to_have_count(2)


def test_what_changed_since_it_was_seen_is_not_removed(site: Site, visit: Visit) -> None:
    board = site.board("A-1")
    page = listed(visit, board)
    row(page, "A-1").get_by_role("button", name="Remove A-1").click()
    site.put(board, {"A-1": "Meanwhile"})
    dialog(page).locator("button.primary").click()
    expect(page.locator("#refusals")).to_contain_text("It has changed meanwhile")
    expect(row(page, "A-1")).to_contain_text("Meanwhile")


def test_what_somebody_took_since_it_was_seen_stays_and_its_holder_is_named(
    site: Site, visit: Visit
) -> None:
    board = site.board("A-1")
    page = listed(visit, board)
    expect(page.locator("#title")).to_have_text("Items · Shop")
    row(page, "A-1").get_by_role("button", name="Remove A-1").click()
    site.do("take", board, "A-1")
    dialog(page).locator("button.primary").click()
    expect(page.locator("#result-title")).to_have_text("Nothing was removed")
    expect(page.locator("#refusals")).to_contain_text("A-1: Colleague has it, since")


def test_chosen_items_go_to_the_labels_in_the_address_or_in_the_tab(
    site: Site, visit: Visit
) -> None:
    board = site.board(*(f"MK-1335-CW-{number:05}" for number in range(250)))
    page = listed(visit, board)
    page.locator("#rows tbody input").nth(1).check()
    expect(page.locator("#to-labels")).to_have_attribute(
        "href", f"/boards/{board}/labels?tags=MK-1335-CW-00001"
    )
    page.locator("#choose-all").check()
    expect(page.locator("#chosen")).to_have_text("250 chosen")
    page.locator("#to-labels").click()
    expect(page).to_have_url(re.compile(rf"/boards/{board}/labels$"))
    kept = json.loads(page.evaluate("() => sessionStorage.getItem('occupancy-labels')"))
    assert (kept["board"], len(kept["tags"])) == (board, 250)


def test_what_is_no_longer_shown_is_no_longer_chosen(site: Site, visit: Visit) -> None:
    board = site.board("A-1", "B-1")
    page = listed(visit, board)
    page.locator("#choose-all").check()
    page.locator("#search").fill("b-")
    expect(page.locator("#chosen")).to_have_text("1 chosen")
    expect(page.locator("#choose-all")).to_be_checked()


def test_an_item_is_added_by_keyboard_alone(site: Site, visit: Visit) -> None:
    board = site.board()
    page = listed(visit, board)
    expect(page.locator("#none")).to_contain_text("import a file")
    expect(page.locator("#choose-all")).to_be_hidden()
    page.locator("#add").focus()
    page.keyboard.press("Enter")
    expect(dialog(page).locator("[name=tag]")).to_be_focused()
    page.keyboard.insert_text("K-1")
    page.keyboard.press("Enter")
    expect(row(page, "K-1").locator("th a")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog(page)).to_contain_text("Remove K-1")
    page.keyboard.press("Enter")
    expect(page.locator("#none")).to_be_visible()


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_items_are_accessible_on_phone_and_desk(
    site: Site, visit: Visit, width: int, locale: str
) -> None:
    board = site.board("T-1", "T-2", title=PAYLOAD)
    site.put(board, {"T-3": PAYLOAD}, **{"a": PAYLOAD, PAYLOAD[:60]: "x"})
    site.do("take", board, "T-2")
    page = listed(visit, board, locale=locale, viewport={"width": width, "height": 844})

    def check() -> None:
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        missing = r"\b(?:import|items)\.[a-z]|undefined|\{\w+\}"
        assert not re.search(missing, page.inner_text("body"))

    page.locator("#choose-all").check()
    page.locator("#export summary").click()
    check()
    page.locator("#export summary").click()
    row(page, "T-3").locator("button").first.click()
    expect(dialog(page)).to_be_visible()
    check()
    page.keyboard.press("Escape")
    page.locator("#remove-chosen").click()
    dialog(page).locator("button.primary").click()
    expect(page.locator("#result")).to_be_visible()
    check()
    assert page.evaluate("() => window.hacked") is None


def test_workers_are_told_that_it_is_for_supervisors(site: Site, visit: Visit) -> None:
    page = visit(f"/boards/{site.board('T-1')}/items", "holder")
    expect(page.locator("#said")).to_contain_text("supervisor")
    expect(page.locator("#managed")).to_be_hidden()

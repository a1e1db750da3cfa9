"""The page of labels: the choice, the preview, and what the printer gets."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from occupancy.labels.stocks import STOCKS
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
TAGS = [f"MK-1335-CW-25238-{number:03d}" for number in range(30)]
# The dialog of a real browser is no part of the page.
NO_DIALOG = """window.printed = 0; window.print = () => {
  window.printed += 1;
  dispatchEvent(new Event('afterprint'));
};"""


@pytest.fixture(scope="module")
def board(site: Site) -> str:
    board = site.board(title=f"Soldadura {PAYLOAD}")
    site.put(board, {tag: f"Carrete {tag[-3:]} {PAYLOAD}" for tag in TAGS})
    return board


@pytest.fixture
def open_labels(visit: Visit) -> Callable[..., Page]:
    def open_page(board: str, query: str = "", script: str = "", **options: Any) -> Page:
        return visit(
            f"/boards/{board}/labels{query}", "supervisor", script=NO_DIALOG + script, **options
        )

    return open_page


def handed_over(given: str) -> str:
    """A script that stores, once, what the page of the items would; blank pages have no storage."""
    return f"""if (location.origin !== 'null' && !sessionStorage.getItem('seen')) {{
      sessionStorage.setItem('occupancy-labels', {json.dumps(given)});
      sessionStorage.setItem('seen', '1');
    }}"""


def made(page: Page, labels: str) -> None:
    """Wait until the page says how many labels there are, and shows the first page."""
    expect(page.locator("#count")).to_contain_text(labels)
    expect(page.locator(".sheet").first).to_be_visible()


def print_all(page: Page) -> None:
    page.locator("#print").click()
    page.wait_for_function("() => window.printed === 1")


def codes_of(page: Page) -> list[str]:
    """What a scanner reads from the pages as they are printed, in any order."""
    found = []
    page.emulate_media(media="print")
    for each in page.locator(".sheet").all():
        picture = Image.open(io.BytesIO(each.screenshot()))
        found += [code.text for code in zxingcpp.read_barcodes(picture)]
    page.emulate_media(media="screen")
    return sorted(found)


def test_all_items_of_a_board_are_printed_in_one_job(
    board: str, site: Site, open_labels: Callable[..., Page]
) -> None:
    page = open_labels(board, device_scale_factor=2)
    made(page, "30 labels · 2 sheets")
    expect(page.locator(".sheet")).to_have_count(1)
    print_all(page)
    expect(page.locator(".sheet")).to_have_count(2)
    assert codes_of(page) == [f"{site.url}/boards/{board}/items/{tag}" for tag in TAGS]
    expect(page.locator("#leads")).to_contain_text(f"{site.url}/boards/{board}")


@pytest.mark.parametrize("name", STOCKS)
def test_a_page_has_the_size_of_the_stock_and_none_is_empty(
    board: str, open_labels: Callable[..., Page], name: str
) -> None:
    stock = STOCKS[name]
    tags = TAGS[: max(stock.labels, 2)]
    page = open_labels(board, "?tags=" + ",".join(tags))
    expect(page.locator("#chosen")).to_be_visible()
    page.locator("#stock").select_option(name)
    made(page, f"{len(tags)} labels")
    if stock.labels > 1:
        page.locator("#first").fill("2")  # so the last one is on another page
        made(page, "2 sheets")
    print_all(page)
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert len(boxes) == 2
    for box in boxes:
        sides_mm = [float(side) / 72 * 25.4 for side in box]
        assert sides_mm == pytest.approx(list(stock.page_mm), abs=0.4)


def test_a_search_chooses_and_used_labels_stay_free(
    board: str, open_labels: Callable[..., Page]
) -> None:
    page = open_labels(board)
    made(page, "30 labels")
    page.locator("#search").fill("carrete 007")
    made(page, "1 label · 1 sheet")
    page.locator("#search").fill("carrete 00")
    made(page, "10 labels")
    page.locator("#first").fill("20")
    made(page, "10 labels · 2 sheets")
    page.locator("#first").fill("25")
    expect(page.locator("#first-said")).to_contain_text("from 1 to 24")
    expect(page.locator("#print")).to_be_disabled()
    page.locator("#stock").select_option("roll-62")
    made(page, "10 labels")
    expect(page.locator("#first")).to_be_hidden()
    page.locator("#search").fill("nothing like this")
    expect(page.locator("#count")).to_have_text("No item matches.")
    expect(page.locator("#print")).to_be_disabled()


def test_the_choice_of_the_items_page_is_kept_until_all_are_wanted(
    board: str, open_labels: Callable[..., Page]
) -> None:
    given = json.dumps({"board": board, "tags": [*TAGS[3:5], "GONE-1", "a b", TAGS[3]]})
    page = open_labels(board, script=handed_over(given))
    expect(page.locator("#chosen-count")).to_have_text("3 items were chosen.")
    expect(page.locator("#search")).to_be_hidden()
    print_all(page)
    expect(page.locator("#print-said")).to_contain_text("GONE-1")
    page.locator("#take-all").click()
    made(page, "30 labels")
    expect(page.locator("#search")).to_be_focused()
    page.reload()
    made(page, "30 labels")


def test_another_boards_choice_is_not_taken(board: str, open_labels: Callable[..., Page]) -> None:
    given = json.dumps({"board": "another", "tags": TAGS[:1]})
    page = open_labels(board, script=handed_over(given))
    made(page, "30 labels")
    expect(page.locator("#chosen")).to_be_hidden()


def test_a_server_that_is_busy_is_asked_again_and_one_that_is_away_is_named(
    board: str, open_labels: Callable[..., Page]
) -> None:
    page = open_labels(board)
    made(page, "30 labels")
    refusals = [1]

    def busy_once(route: Any) -> None:
        if refusals:
            refusals.pop()
            route.fulfill(
                status=429, content_type="application/problem+json",
                body='{"code":"rate_limited","retry_after":0,"detail":"x"}',
            )  # fmt: skip
        else:
            route.continue_()

    page.route("**/labels?*", busy_once)
    print_all(page)
    assert refusals == []
    page.unroute("**/labels?*")
    page.route("**/labels?*", lambda route: route.fulfill(
        status=503, content_type="application/problem+json",
        body='{"code":"store_unavailable","retry_after":1,"detail":"x"}',
    ))  # fmt: skip
    page.locator("#stock").select_option("roll-62")
    expect(page.locator("#print-said")).not_to_be_empty()
    page.locator("#print").click()
    expect(page.locator("#print")).to_be_enabled()
    expect(page.locator("#print-said")).not_to_be_empty()
    assert page.evaluate("() => window.printed") == 1


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
def test_it_is_accessible_on_phone_and_desk_and_titles_stay_text(
    board: str, open_labels: Callable[..., Page], locale: str
) -> None:
    for width in (1440, 390):
        page = open_labels(board, viewport={"width": width, "height": 844}, locale=locale)
        made(page, "30")
        assert violations(page) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate("() => window.hacked") is None
        assert not re.search(r"labels\.|\{\w+\}", page.locator("#managed").inner_text())


def test_by_keyboard_alone(board: str, open_labels: Callable[..., Page]) -> None:
    page = open_labels(board)
    made(page, "30 labels")
    page.locator("#search").focus()
    page.keyboard.type("007", delay=250)
    made(page, "1 label")
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.locator("#print")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_function("() => window.printed === 1")


def test_workers_do_not_see_it(board: str, visit: Visit) -> None:
    page = visit(f"/boards/{board}/labels", "holder")
    expect(page.locator("#said")).to_contain_text("supervisor")
    expect(page.locator("#managed")).to_be_hidden()

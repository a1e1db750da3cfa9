"""Live updates: any number of tabs over one stream miss nothing, whichever tab closes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.chromium import HOST_NAME
from tests.browser.conftest import OpenBoard, Visit
from tests.browser.site import (
    Site,
    card,
    expect_live,
    expect_state,
    sign_in_by_hand,
    touch,
    wait_for,
)
from tests.support.waiting import wait_until

FLOOR = 7 * 10**9  # of versions, after the seventh failover

# Records every EventSource that a page opens.
SPY = """
window.sources = [];
window.EventSource = class extends EventSource {
  constructor(...given) { super(...given); window.sources.push(this); }
};
"""
LEADS = "() => window.sources.some((source) => source.readyState !== 2)"


def leaders(pages: list[Page]) -> list[Page]:
    """The pages that hold a stream."""
    return [page for page in pages if page.evaluate(LEADS)]


def open_tab(context: BrowserContext, path: str) -> Page:
    page = context.new_page()
    page.goto(path)
    expect_live(page)
    return page


def expect_history(page: Page, types: list[str]) -> None:
    """Wait until the item's page tells these events, newest first, each once."""
    words = {"taken": "took", "paused": "paused", "completed": "completed", "released": "released"}
    told = [words[each] for each in reversed(types)]
    wait_for(
        page,
        """told => {
          const lines = [...document.querySelectorAll('#history p:not(.when)')];
          const shown = lines.map((each) => each.innerText);
          return shown.length === told.length + 1  // and the first: that it was added
            && told.every((word, index) => shown[index].includes(` ${word} `));
        }""",
        told,
        what=f"the history {told}",
    )


def test_ten_tabs_hold_one_stream_and_hear_the_same(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2")
    first = open_board(board, script=SPY)
    # Nine at once: the browser has six connections to a host and no more.
    others = [first.context.new_page() for _ in range(9)]
    for number, page in enumerate(others):
        page.goto(f"/boards/{board}" + ("/items/T-1" if number % 4 == 0 else ""))
    tabs = [first, *others]
    for page in tabs:
        expect_live(page)
    wait_until(lambda: site.open_streams() == 1, what="one stream")
    assert leaders(tabs) == [first]
    site.do("take", board, "T-1")
    for page in tabs:
        expect_state(page, "T-1", "occupied", "Colleague")

    first.close()  # its stream ends too; no stream has the next events
    for operation in ("pause", "take", "complete"):
        site.do(operation, board, "T-1")
    site.do("take", board, "T-2")
    for number, page in enumerate(others):
        expect_state(page, "T-1", "completed")
        if number % 4 == 0:
            expect_history(page, ["taken", "paused", "taken", "completed"])
        else:
            expect_state(page, "T-2", "occupied", "Colleague")
    wait_until(lambda: len(leaders(others)) == 1, what="a new leader")
    wait_until(lambda: site.open_streams() == 1, what="one stream again")


def test_on_plain_http_tabs_share_a_stream_too_and_operations_work(
    site: Site, visit: Visit
) -> None:
    board = site.board("T-1")
    url = f"http://{HOST_NAME}:{site.deployment.port}"
    first = visit(f"/boards/{board}", None, url=url, script=SPY)
    sign_in_by_hand(first, "holder")
    expect_live(first)
    assert first.evaluate("() => [isSecureContext, 'locks' in navigator]") == [False, False]
    tabs = [first, *(open_tab(first.context, f"/boards/{board}") for _ in range(2))]
    wait_until(lambda: site.open_streams() == 1, what="one stream")
    assert leaders(tabs) == [first]
    touch(tabs[1], "T-1", "take")
    for page in tabs:
        expect_state(page, "T-1", "occupied", "Holder")
    first.close()
    site.do("pause", board, "T-1", who="holder")
    # A tab that ends without a word keeps its lease for some seconds.
    wait_until(lambda: len(leaders(tabs[1:])) == 1, timeout_s=20, what="a new leader")
    for page in tabs[1:]:
        expect_state(page, "T-1", "paused")


@pytest.mark.parametrize("status", [429, 404])
def test_a_status_that_ends_an_event_source_for_good_is_recovered_from(
    site: Site, visit: Visit, status: int
) -> None:
    board = site.board("T-1")
    page = visit("/boards", script=SPY)
    refused: list[str] = []

    def refuse_first(route: Route) -> None:
        if route.request.method == "GET" and not refused:
            refused.append(route.request.url)
            route.fulfill(status=status, content_type="application/problem+json", body="{}")
        else:
            route.continue_()

    page.route("**/events?*", refuse_first)
    page.goto(f"/boards/{board}")
    expect_live(page, "offline")
    site.do("take", board, "T-1")
    expect_live(page)
    expect_state(page, "T-1", "occupied", "Colleague")
    assert len(refused) == 1
    assert page.evaluate("() => window.sources.length") == 2


def test_offline_is_shown_and_missed_events_appear_afterwards(
    site: Site, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(board)
    page.context.set_offline(True)
    expect_live(page, "offline")
    expect(page.locator("#banner")).to_contain_text("What you see is from ")
    expect(card(page, "T-1").locator(".take")).to_be_disabled()
    expect(card(page, "T-1").locator(".take")).to_have_attribute(
        "title", re.compile("^Not possible without a connection")
    )
    site.do("take", board, "T-1")
    site.do("pause", board, "T-1")
    page.context.set_offline(False)
    expect_live(page)
    expect_state(page, "T-1", "paused")
    expect(page.locator("#banner")).to_be_hidden()
    touch(page, "T-1", "take")
    expect_state(page, "T-1", "occupied", "Holder")


def promote(site: Site, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mark the board as on a server that was promoted. Its items stay as they are."""
    client = site.services.store.client
    with monkeypatch.context() as patch:
        patch.setattr(client, "has_failover", True)
        patch.setattr(client.connection_pool, "incarnation", FLOOR // 10**9)
        site.services.store.log.promote([board])


def test_the_page_of_an_item_that_nobody_changes_is_live_after_a_promotion(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its ETag is its version, which the promotion leaves as it is: what the browser has of the
    # item in its cache is from before the promotion, and would be loaded again and again.
    board = site.board("T-1")
    page = visit(f"/boards/{board}/items/T-1")
    expect_live(page)
    with page.expect_response(lambda each: each.url.endswith("/items/T-1")) as asked:
        promote(site, board, monkeypatch)
    assert asked.value.json()["version_floor"] == FLOOR
    expect_live(page)


def test_an_item_page_loads_a_history_from_before_the_promotion_again(
    site: Site, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = site.board("T-1")
    page = visit(f"/boards/{board}/items/T-1")
    expect_live(page)
    asked = 0

    def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        response = route.fetch()
        found = response.json()
        assert found["version_floor"] == FLOOR
        if asked == 1:  # of a process that does not know of the promotion yet
            taken = {**found["history"][0], "seq": 2, "type": "item.taken"}
            found |= {"history": [taken, *found["history"]], "version_floor": 0}
        route.fulfill(response=response, json=found)

    page.route("**/items/T-1/history", answer)
    promote(site, board, monkeypatch)
    wait_for(
        page,
        "() => document.querySelectorAll('#history li').length === 2",
        what="the history from before the promotion",
    )
    expect(page.locator("#history li")).to_have_count(1)
    expect_live(page)
    assert asked == 2


def test_my_work_shows_what_the_snapshot_says_also_by_a_version_that_it_has_shown(
    site: Site, open_board: OpenBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = open_board(board)
    time = page.locator(".mine-entry time")
    expect(time).to_have_count(1)

    def answer(route: Route) -> None:  # of a server that has counted the version again
        response = route.fetch()
        found = response.json()
        found["items"][0]["since"] = "2020-01-02T03:04:05.678Z"
        route.fulfill(response=response, json=found)

    page.route(f"**/boards/{board}/items", answer)
    promote(site, board, monkeypatch)
    expect(time).to_have_attribute("datetime", "2020-01-02T03:04:05.678Z")

"""Without the server: pages open from the device, with the last board, and the end of work waits.

These tests allow the service worker, which the others block, and each has a browser of its own:
what a worker keeps must not reach another test.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.axe import violations
from tests.browser.contexts import Contexts
from tests.browser.site import (
    TAKES_TAPS,
    Site,
    button,
    card,
    expect_live,
    expect_state,
    note_mistakes,
    running,
    sign_in_by_hand,
    touch,
    wait_for,
)
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def site(
    contexts: Contexts, tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Site]:
    """A deployment of this module's own, because its tests stop it."""
    deployment = Deployment(
        tmp_path_factory.mktemp("offline"), module_server.url, WEB_CONCURRENCY="1"
    )
    with running(deployment) as made:
        yield made
        contexts.close()


class Device:
    """A browser with a service worker, as a worker's phone has it."""

    def __init__(self, site: Site, context: BrowserContext) -> None:
        self.site = site
        self.context = context

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(path)
        return page

    def open_ready(self, board: str) -> Page:
        """The board, live, once the device keeps its shell and its items."""
        page = self.open(f"/boards/{board}")
        expect_live(page)
        wait_for_shell(page, f"/boards/{board}")
        wait_for_kept(page, board)
        return page

    def go_offline(self, page: Page) -> None:
        self.context.set_offline(True)
        expect_live(page, "offline")


def wait_for_truth(page: Page, question: str, argument: Any = None, *, what: str) -> None:
    """Wait until an asynchronous function of the page answers true."""
    wait_until(lambda: page.evaluate(question, argument), what=what, timeout_s=30)


def wait_for_shell(page: Page, path: str) -> None:
    wait_for_truth(
        page,
        """async (path) => navigator.serviceWorker.controller !== null
          && await caches.match(path, {ignoreVary: true}) !== undefined""",
        path,
        what=f"the shell of {path} to be kept",
    )


KEPT = """(board) => new Promise((resolve) => {
  const opening = indexedDB.open('occupancy');
  opening.onsuccess = () => {
    const asked = opening.result.transaction(['items']).objectStore('items').get(board);
    asked.onsuccess = () => { opening.result.close(); resolve(asked.result !== undefined); };
  };
})"""


def wait_for_kept(page: Page, board: str) -> None:
    wait_for_truth(page, KEPT, board, what=f"{board} to be kept")


@pytest.fixture
def device(chromium: Browser, site: Site) -> Iterator[Device]:
    mistakes: list[str] = []
    context = chromium.new_context(
        base_url=site.url, locale="en-GB", service_workers="allow",
        viewport={"width": 390, "height": 844},
    )  # fmt: skip
    context.set_default_timeout(30_000)
    context.on("page", lambda page: note_mistakes(page, mistakes))
    site.sign_in(context, "holder")
    yield Device(site, context)
    context.close()
    assert mistakes == []


def waiting(page: Page) -> Any:
    return page.locator("section.waiting")


def touch_row(page: Page, operation: str) -> None:
    """Touch a button of the only item of a page, once taps count."""
    wait_for(page, TAKES_TAPS, page.locator(".row").element_handle(), what="it to stand still")
    page.locator(f'.row [data-name="{operation}"]').click()


def test_a_board_opens_without_the_network_with_its_age_and_no_button_works(
    site: Site, device: Device
) -> None:
    board = site.board("T-1", "T-2")
    site.do("take", board, "T-2")
    page = device.open_ready(board)
    device.context.set_offline(True)
    page.reload()
    expect_state(page, "T-2", "occupied", "Colleague")
    expect_live(page, "offline")
    expect(page.locator("#unknown")).to_be_hidden()  # one notice is enough
    expect(page.locator("#banner")).to_contain_text(
        re.compile(r"This is the board as Holder last saw it: \d\d:\d\d:\d\d \(\d+ \w+\.? ago\)\.")
    )
    expect(button(page, "T-1", "take")).to_be_disabled()
    button(page, "T-1", "take").click(force=True)
    expect(page.locator(".note.refused")).to_contain_text("Not possible without a connection")
    assert violations(page) == []
    device.context.set_offline(False)
    expect_live(page)
    expect(page.locator("#banner")).to_be_hidden()
    assert site.types(board, "T-1") == []


def test_a_board_opens_while_the_server_is_stopped_and_goes_on_when_it_is_back(
    site: Site, device: Device
) -> None:
    board = site.board("T-1")
    page = device.open_ready(board)
    site.deployment.stop(signal.SIGQUIT)
    try:
        page.reload()
        expect_state(page, "T-1", "available")
        expect_live(page, "offline")
    finally:
        site.deployment.start()
    site.do("take", board, "T-1")
    # A page that was loaded meanwhile asks for its session again after 1, 2, 4 and 8 s.
    expect(page.locator("#live")).to_have_attribute("data-status", "live", timeout=40_000)
    expect_state(page, "T-1", "occupied", "Colleague")


def test_the_list_of_boards_leads_to_the_kept_ones(site: Site, device: Device) -> None:
    board = site.board("T-1", title="North hall")
    page = device.open_ready(board)
    device.context.set_offline(True)
    page.goto("/boards")
    link = page.get_by_role("link", name="North hall")
    expect(link).to_be_visible()
    assert violations(page) == []
    link.click()
    expect_state(page, "T-1", "available")


def test_a_pause_without_the_network_waits_and_is_sent_once_also_after_a_reload(
    site: Site, device: Device
) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = device.open_ready(board)
    expect_state(page, "T-1", "occupied", "Holder")
    device.go_offline(page)
    touch(page, "T-1", "pause")
    page.locator("#ask-dialog button.pause").click()
    expect(card(page, "T-1").locator(".waits")).to_contain_text("PAUSE waits for the network since")
    expect(waiting(page)).to_contain_text("T-1")
    expect_state(page, "T-1", "occupied", "Holder")  # nothing is shown as done
    assert violations(page) == []
    page.reload()
    expect(card(page, "T-1").locator(".waits")).to_be_visible()
    other = device.open(f"/boards/{board}")
    expect(card(other, "T-1").locator(".waits")).to_be_visible()
    device.context.set_offline(False)
    for each in (page, other):
        expect_live(each)
        expect_state(each, "T-1", "paused")
        expect(waiting(each)).to_be_hidden()
    assert site.types(board, "T-1") == ["taken", "paused"]


@pytest.mark.parametrize("of_item", [False, True])
def test_a_completion_in_the_first_moments_of_a_lost_server_waits_and_is_sent_once(
    site: Site, device: Device, of_item: bool
) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = device.open(f"/boards/{board}" + ("/items/T-1" if of_item else ""))
    expect_live(page)
    expect_state(page, "T-1", "occupied", "Holder")
    site.deployment.stop(signal.SIGQUIT)
    try:
        touch_row(page, "complete")
        expect(page.locator(".row .waits")).to_contain_text("COMPLETE waits for the network")
        assert page.locator("#live").get_attribute("data-status") != "offline"  # not known yet
        expect(page.locator(".note.refused")).to_have_count(0)
        expect_live(page, "offline")
    finally:
        site.deployment.start()
    expect_state(page, "T-1", "completed")
    expect(waiting(page)).to_be_hidden()
    assert site.types(board, "T-1") == ["taken", "completed"]


def test_an_answer_that_was_lost_is_asked_for_with_its_key(site: Site, device: Device) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = device.open_ready(board)
    keys: list[str | None] = []

    def lose_the_answer(route: Route) -> None:
        keys.append(route.request.headers.get("idempotency-key"))
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/complete", lose_the_answer)
    with page.expect_response("**/complete"):  # to the second request: the first has none
        touch(page, "T-1", "complete")
    expect_state(page, "T-1", "completed")
    expect(waiting(page)).to_be_hidden()
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert site.types(board, "T-1") == ["taken", "completed"]


def test_the_page_of_an_item_lets_its_own_pause_wait_and_nothing_else(
    site: Site, device: Device
) -> None:
    board = site.board("T-1", "T-2")
    site.do("take", board, "T-1", who="holder")
    page = device.open(f"/boards/{board}/items/T-2")
    expect_live(page)
    device.go_offline(page)
    expect(page.locator('.row [data-name="take"]')).to_be_disabled()
    device.context.set_offline(False)
    page.goto(f"/boards/{board}/items/T-1")
    expect_live(page)
    device.go_offline(page)
    touch_row(page, "pause")
    page.locator("#ask-dialog button.pause").click()
    expect(page.locator(".row .waits")).to_contain_text("PAUSE waits for the network")
    device.context.set_offline(False)
    expect_state(page, "T-1", "paused")
    assert site.types(board, "T-1") == ["taken", "paused"]


def test_a_waiting_operation_can_be_cancelled(site: Site, device: Device) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = device.open_ready(board)
    device.go_offline(page)
    touch(page, "T-1", "complete")
    waiting(page).get_by_role("button", name="Cancel: COMPLETE T-1").click()
    expect(waiting(page)).to_contain_text("it was never sent")
    expect(card(page, "T-1").locator(".waits")).to_have_count(0)
    device.context.set_offline(False)
    expect_live(page)
    assert site.types(board, "T-1") == ["taken"]


def test_a_waiting_operation_on_what_was_given_to_somebody_else_is_refused_and_changes_nothing(
    site: Site, device: Device
) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = device.open_ready(board)
    device.go_offline(page)
    touch(page, "T-1", "complete")
    expect(card(page, "T-1").locator(".waits")).to_be_visible()
    site.do("reassign", board, "T-1", who="supervisor", to="colleague")
    device.context.set_offline(False)
    refused = waiting(page).locator(".refused")
    expect(refused).to_contain_text("was not carried out")
    expect(refused).to_contain_text("Colleague has it")
    expect_state(page, "T-1", "occupied", "Colleague")
    page.reload()
    expect(refused).to_be_visible()  # until somebody has read it
    assert violations(page) == []
    refused.get_by_role("button", name="Close").click()
    expect(refused).to_have_count(0)
    assert site.types(board, "T-1") == ["taken", "reassigned"]


def test_the_epoch_keeps_a_waiting_operation_from_a_later_hold_of_the_same_worker(
    site: Site, device: Device
) -> None:
    board = site.board("T-1")
    site.do("take", board, "T-1", who="holder")
    page = device.open_ready(board)
    device.go_offline(page)
    touch(page, "T-1", "complete")
    expect(card(page, "T-1").locator(".waits")).to_be_visible()
    site.do("reassign", board, "T-1", who="supervisor", to="colleague")
    site.do("reassign", board, "T-1", who="supervisor", to="holder")
    device.context.set_offline(False)
    expect(waiting(page).locator(".refused")).to_contain_text("It has changed hands since then.")
    expect_state(page, "T-1", "occupied", "Holder")
    assert site.types(board, "T-1") == ["taken", "reassigned", "reassigned"]


def test_what_waits_is_sent_as_its_owner_only(site: Site, device: Device) -> None:
    board = site.board("SECRET-1")
    site.do("take", board, "SECRET-1", who="holder")
    page = device.open_ready(board)
    device.go_offline(page)
    touch(page, "SECRET-1", "complete")
    expect(card(page, "SECRET-1").locator(".waits")).to_be_visible()
    device.context.clear_cookies()
    page.goto("/boards")  # so that nothing is sent before the session is another one
    device.context.set_offline(False)
    sign_in_by_hand(page, "colleague")
    expect(page.locator(".who")).to_contain_text("Colleague")
    expect(waiting(page)).to_contain_text("1 operation of Holder waits on this device.")
    expect(waiting(page)).not_to_contain_text("SECRET-1")
    assert site.types(board, "SECRET-1") == ["taken"]
    page.goto(f"/boards/{board}")
    expect_live(page)
    waiting(page).get_by_role("button", name="Sign in").click()
    sign_in_by_hand(page, "holder")
    expect_state(page, "SECRET-1", "completed")
    assert site.types(board, "SECRET-1") == ["taken", "completed"]


def test_signing_out_removes_the_kept_board(site: Site, device: Device) -> None:
    board = site.board("T-1")
    page = device.open_ready(board)
    page.locator(".who").click()
    page.get_by_role("button", name="Sign out").click()
    wait_for_truth(
        page, f"async (board) => !(await ({KEPT})(board))", board, what="it to be removed"
    )
    device.context.set_offline(True)
    page.reload()
    expect(page.locator("#unknown")).to_be_visible()
    expect(card(page, "T-1")).to_have_count(0)


def test_a_kept_board_is_hidden_when_the_session_would_have_ended(
    site: Site, device: Device
) -> None:
    board = site.board("T-1")
    page = device.open_ready(board)
    device.context.set_offline(True)
    page.clock.install()
    page.reload()
    expect_state(page, "T-1", "available")
    page.clock.fast_forward("31:00")
    expect(card(page, "T-1")).to_have_count(0)
    page.reload()
    expect(page.locator("#unknown")).to_be_visible()
    expect(card(page, "T-1")).to_have_count(0)


def test_the_worker_keeps_only_files_of_its_version_and_shells(site: Site, device: Device) -> None:
    board = site.board("T-1")
    page = device.open_ready(board)
    kept = page.evaluate("""async () => {
      const found = [];
      for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const {url} of await cache.keys()) found.push(new URL(url).pathname);
      }
      return found;
    }""")
    version = page.evaluate("() => document.querySelector('script').src.split('/')[4]")
    others = {path for path in kept if not path.startswith(f"/static/{version}/")}
    assert others == {"/boards", f"/boards/{board}"}
    assert f"/static/{version}/js/board.js" in kept


def test_a_worker_of_another_version_replaces_what_was_kept(
    site: Site, device: Device, tmp_path: Path
) -> None:
    board = site.board("T-1")
    page = device.open_ready(board)
    page.evaluate(
        """async (path) => {
      const old = await caches.open('occupancy-shell-000000000000');
      await old.put(path, new Response('an old shell'));
      const registration = await navigator.serviceWorker.getRegistration();
      await registration.unregister();
    }""",
        f"/boards/{board}",
    )
    page.reload()
    wait_for_truth(
        page,
        "async () => (await caches.keys()).join().match(/^occupancy-shell-(?!0{12})[0-9a-f]{12}$/)",
        what="the old files to be removed",
    )
    wait_for_shell(page, f"/boards/{board}")
    device.context.set_offline(True)
    page.reload()
    expect_state(page, "T-1", "available")


def test_an_operator_switches_the_worker_off(site: Site, device: Device) -> None:
    board = site.board("T-1")
    page = device.open_ready(board)
    site.deployment.stop(signal.SIGQUIT)
    site.deployment.environ["OCCUPANCY_SERVICE_WORKER"] = "0"
    site.deployment.start()
    try:
        page.reload()
        expect_live(page)
        wait_for_truth(
            page,
            """async () => (await caches.keys()).length === 0
              && (await navigator.serviceWorker.getRegistrations()).length === 0""",
            what="the worker and its files to be removed",
        )
    finally:
        site.deployment.stop(signal.SIGQUIT)
        del site.deployment.environ["OCCUPANCY_SERVICE_WORKER"]
        site.deployment.start()

"""Faults: Redis away, gunicorn reloaded, killed or away, a network that drops everything.

Each time the page says so, says of when is what it shows, and is up to date again by itself.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenBoard, Visit
from tests.browser.contexts import Contexts
from tests.browser.site import Site, button, card, expect_live, expect_state, running, touch
from tests.browser.wire import Wire
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def site(
    contexts: Contexts, tmp_path_factory: pytest.TempPathFactory, module_server: RealServer
) -> Iterator[Site]:
    """A deployment of this module's own, with two processes, for destructive tests."""
    deployment = Deployment(
        tmp_path_factory.mktemp("fragile"), module_server.url,
        WEB_CONCURRENCY="2", OCCUPANCY_REDIS_TIMEOUT_S="1", OCCUPANCY_POOL_WAIT_S="1",
    )  # fmt: skip
    with running(deployment) as made:
        yield made
        contexts.close()


def expect_old(page: Page) -> None:
    """Wait until the page shows the time of its data."""
    expect(page.locator("#banner")).to_contain_text(
        re.compile(r"^What you see is from \d\d:\d\d\.")
    )


def test_an_outage_of_redis_is_shown_and_a_touch_meanwhile_takes_effect_once_afterwards(
    site: Site, module_server: RealServer, open_board: OpenBoard
) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(board)
    module_server.stop()
    try:
        expect_live(page, "degraded")
        expect_old(page)
        touch(page, "T-1", "take")
        expect(card(page, "T-1").locator(".sending")).to_have_count(1)
    finally:
        module_server.start()
    expect_state(page, "T-1", "occupied", "Holder")
    assert site.types(board, "T-1") == ["taken"]
    site.do("take", board, "T-2")
    expect_state(page, "T-2", "occupied", "Colleague")
    expect_live(page)
    expect(page.locator("#banner")).to_be_hidden()


def test_a_reload_of_gunicorn_costs_the_page_nothing(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1", "T-2")
    page = open_board(board)
    before = site.deployment.worker_pids()
    site.deployment.signal(signal.SIGHUP)
    site.do("take", board, "T-1")
    wait_until(
        lambda: site.deployment.worker_pids() and not site.deployment.worker_pids() & before,
        timeout_s=20,
        what="new workers",
    )
    site.do("take", board, "T-2")
    expect_state(page, "T-1", "occupied", "Colleague")
    expect_state(page, "T-2", "occupied", "Colleague")
    expect_live(page)


def test_killed_workers_are_recovered_from(site: Site, open_board: OpenBoard) -> None:
    board = site.board("T-1")
    page = open_board(board)
    for pid in site.deployment.worker_pids():
        os.kill(pid, signal.SIGKILL)
    expect_live(page, "connecting")
    site.do("take", board, "T-1")
    expect_live(page)
    expect_state(page, "T-1", "occupied", "Colleague")


def test_a_server_that_stays_away_is_shown_and_buttons_say_so_too(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    page = visit("/boards")
    page.clock.install()
    page.goto(f"/boards/{board}")
    expect_live(page)
    site.deployment.stop(signal.SIGQUIT)
    page.clock.fast_forward(7_500)
    expect_live(page, "offline")
    expect_old(page)
    expect(button(page, "T-1", "take")).to_be_disabled()
    site.deployment.start()
    expect_live(page)
    touch(page, "T-1", "take")
    expect_state(page, "T-1", "occupied", "Holder")


def test_a_network_that_swallows_everything_is_noticed(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    wire = Wire(site.deployment.port)
    try:
        page = visit("/boards", url=f"http://127.0.0.1:{wire.port}")
        page.clock.install()
        page.goto(f"/boards/{board}")
        expect_live(page)
        wire.cut()
        site.do("take", board, "T-1")
        page.clock.fast_forward(35_000)  # no event, and no end of the connection either
        expect_live(page, "offline")
        expect_old(page)
        expect_state(page, "T-1", "available")
        wire.mend()
        page.clock.fast_forward(35_000)
        expect_live(page)
        expect_state(page, "T-1", "occupied", "Colleague")
    finally:
        wire.close()

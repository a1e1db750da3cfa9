"""The status page of a deployment behind Sentinels: its servers, the Sentinels, a promotion.

The first primary is dead, another one was promoted, and a Sentinel is dead too.
"""

from __future__ import annotations

import functools
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from occupancy.core.entities import Role
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.contexts import Contexts
from tests.browser.site import Site, running, wait_for
from tests.support.clusters import RealSentinels
from tests.support.deployment import Deployment
from tests.support.waiting import wait_until

SIZES: tuple[ViewportSize, ...] = ({"width": 390, "height": 844}, {"width": 1440, "height": 900})
IN_WORDS: dict[str, dict[str, Any]] = {
    "en-GB": {
        "roles": ["primary", "replica", "sentinel"],
        "healthy": "answers", "away": "does not answer",
        "promotion": "promotion of {} (failover {}), ",
        "reset": "1 stream reset",
    },
    "es-ES": {
        "roles": ["primario", "réplica", "sentinel"],
        "healthy": "contesta", "away": "no contesta",
        "promotion": "{} pasó a primario (conmutación {}); ",
        "reset": "se recargó 1 página",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSentinels]:
    """A primary, two replicas and three Sentinels."""
    made = RealSentinels("valkey", tmp_path_factory.mktemp("sentinels"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def site(
    contexts: Contexts, tmp_path_factory: pytest.TempPathFactory, sentinels: RealSentinels
) -> Iterator[Site]:
    """A deployment whose primary has died while somebody watched a board."""
    deployment = Deployment(
        tmp_path_factory.mktemp("behind"), sentinels.url,
        WEB_CONCURRENCY="1", OCCUPANCY_REDIS_TIMEOUT_S="1", OCCUPANCY_CONFIRM_S="0.8",
    )  # fmt: skip
    with running(deployment) as made:
        try:
            deployment.sign_in("wall", Role.OBSERVER)
            stream = deployment.stream(made.board("T-1"))
            stream.wait_for("ready")
            old = sentinels.primary()
            old.stop(signal.SIGKILL)
            stream.wait_for("reset", timeout_s=30)
            # If the one that led the failover died before it told the others, they would repeat it.
            wait_until(
                lambda: all(sentinels.primary_by(each) is not old for each in range(3)),
                timeout_s=30, what="every Sentinel to name the new primary",
            )  # fmt: skip
            sentinels.end_sentinel(2)
            wait_until(
                lambda: deployment.status_of("/readyz") == 200, timeout_s=30, what="readiness"
            )
            wait_until(
                functools.partial(is_told, made, sentinels), timeout_s=30, what="the figures"
            )
            yield made
        finally:
            contexts.close()


def stats_of(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.deployment.request("GET", "/api/redis-connection-stats").json()
    return found


def is_told(site: Site, sentinels: RealSentinels) -> bool:
    """Whether the service knows of the promotion and of the two deaths."""
    text = str(stats_of(site))
    return text.count("unreachable") == 2 and "'promotion'" in text


def rows_of(page: Page) -> dict[str, list[str]]:
    """The cells of each row after its address."""
    rows = page.locator("#servers tbody tr").all()
    cells = [row.locator("th, td").all_inner_texts() for row in rows]
    return {address: rest for address, *rest in cells}


@pytest.mark.parametrize("locale", IN_WORDS)
def test_the_status_page_shows_each_server_each_sentinel_and_the_promotion(
    site: Site, sentinels: RealSentinels, visit: Visit, locale: str
) -> None:
    words = IN_WORDS[locale]
    primary_word, replica_word, sentinel_word = words["roles"]
    page = visit("/status", "supervisor", locale=locale)
    expect(page.locator("#servers tbody tr")).to_have_count(6)
    primary = sentinels.primary()
    rows = rows_of(page)
    for each in sentinels.servers:
        role, state, *figures = rows[f"127.0.0.1:{each.port}"]
        assert role == (primary_word if each is primary else replica_word)
        assert state == (words["healthy"] if each.is_running else words["away"])
        assert (figures[2] != "") == (each is primary)  # the number of its boards
    for number, port in enumerate(sentinels.ports):
        role, state, *_ = rows[f"127.0.0.1:{port}"]
        assert role == sentinel_word
        assert state == words["away" if number == 2 else "healthy"]
    away = page.locator("#servers tbody tr.away th")
    expect(away).to_have_count(2)
    expect(page.locator("#promotions-title")).to_be_visible()
    promotions = stats_of(site)["promotions"]
    assert promotions[0]["server"] == f"127.0.0.1:{primary.port}"
    assert promotions[-1]["streams"] == 1
    shown = [
        re.compile(re.escape(": " + words["promotion"].format(each["server"], each["incarnation"])))
        for each in promotions
    ]
    expect(page.locator("#promotions li")).to_have_text(shown)
    expect(page.locator("#promotions li").last).to_contain_text(words["reset"])


@pytest.mark.parametrize("locale", IN_WORDS)
def test_the_tables_of_servers_are_accessible_and_fit_on_a_phone_and_a_screen(
    site: Site, visit: Visit, locale: str
) -> None:
    page = visit("/status", "supervisor", locale=locale)
    expect(page.locator("#promotions li").first).to_be_visible()
    for size in SIZES:
        page.set_viewport_size(size)
        wait_for(
            page,
            """() => {
              const fits = (each) => each.getBoundingClientRect().right <= innerWidth + 1;
              const parts = document.querySelectorAll(
                '#verdict li, .facts .panel, .scrolls, #promotions li, h2');
              return document.documentElement.scrollWidth <= innerWidth
                && [...parts].every((each) => fits(each) && each.scrollWidth <= (
                  each.matches('.scrolls') ? Infinity : each.clientWidth + 1));
            }""",
            what=f"the page to fit into {size['width']} px",
        )
        assert violations(page) == []

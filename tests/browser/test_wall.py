"""The wallboard and the status page."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from occupancy.core.entities import Role
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site, wait_for
from tests.support.waiting import wait_until

SCREEN = {"width": 1920, "height": 1080}


def open_wall(site: Site, visit: Visit, board: str) -> Page:
    """A wallboard that has signed in by its link."""
    secret, _ = site.services.tokens.create("watcher", role=Role.OBSERVER, board=board)
    page = visit(f"/sign-in#{secret}", None, viewport=SCREEN)
    expect(page).to_have_url(f"{site.url}/boards/{board}/wall")
    expect(page.locator("#wall")).to_be_visible()
    return page


def expect_holders(page: Page, names: list[str]) -> None:
    wait_for(
        page,
        """names => {
          const shown = [...document.querySelectorAll('#holders .name')];
          return shown.map((each) => each.textContent).join() === names.join();
        }""",
        names,
        what=f"the holders {names}",
    )


def test_the_wallboard_shows_the_holders_and_follows(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2", "T-3", title="Hall one")
    site.do("take", board, "T-1", who="holder")
    page = open_wall(site, visit, board)
    expect(page.locator("h1")).to_have_text("Hall one")
    expect_holders(page, ["Holder"])
    site.do("take", board, "T-2")
    expect_holders(page, ["Colleague", "Holder"])
    site.do("pause", board, "T-2", reason="No material")
    expect_holders(page, ["Holder"])
    expect(page.locator("#still .name")).to_have_text("No material")
    expect(page.locator("#counts .paused strong")).to_have_text("1")
    touchable = "button, input, select, main a, dialog"
    assert page.locator(touchable).filter(visible=True).count() == 0


def test_a_wallboard_does_not_grow_with_events(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2")
    page = open_wall(site, visit, board)

    def happen(times: int) -> int:
        for _ in range(times):
            site.do("take", board, "T-1")
            site.do("pause", board, "T-1", reason="Why not")
        site.do("take", board, "T-2")
        expect_holders(page, ["Colleague"])
        site.do("pause", board, "T-2")
        expect_holders(page, [])
        return int(page.evaluate("() => document.querySelectorAll('*').length"))

    assert happen(100) == happen(2)


def test_a_wall_says_when_it_is_old_and_goes_on(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    page = open_wall(site, visit, board)
    expect_holders(page, [])
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("Not up to date")
    site.do("take", board, "T-1")
    page.context.set_offline(False)
    expect_holders(page, ["Colleague"])
    expect(page.locator("#banner")).to_be_hidden()


def test_a_wallboard_whose_link_is_revoked_gives_advice(site: Site, visit: Visit) -> None:
    board = site.board("T-1")
    page = open_wall(site, visit, board)
    site.do("take", board, "T-1")
    expect_holders(page, ["Colleague"])
    for listed in site.services.tokens.all():
        if listed.token.board == board:
            site.services.tokens.revoke(listed.token.id)
    expect(page.locator("#told")).to_be_visible(timeout=15_000)
    expect(page.locator("#wall")).to_be_hidden()  # its content is not public
    expect(page.locator("#told")).to_contain_text("This screen is not signed in.")
    assert violations(page) == []


def test_the_wall_is_accessible(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2", "T-3", "T-4")
    site.do("take", board, "T-1")
    site.do("take", board, "T-2", who="holder")
    site.do("pause", board, "T-2", who="holder", reason="No material")
    site.do("block", board, "T-3", who="supervisor", reason="Crack found")
    page = open_wall(site, visit, board)
    expect_holders(page, ["Colleague"])
    assert violations(page) == []


def test_supervisors_see_the_pools_and_others_do_not(site: Site, visit: Visit) -> None:
    page = visit("/status", "supervisor")
    expect(page.locator("#used")).to_have_text(str(used_connections(site)))
    expect(page.locator("#processes section")).to_have_count(1)
    wait_until(lambda: page.locator("#verdict li.fine").count(), what="that all is well")
    assert violations(page) == []
    other = visit("/status", "holder")
    expect(other.locator("#denied")).to_be_visible()
    expect(other.locator("#status")).to_be_hidden()


def test_withheld_facts_are_unknown_on_the_status_page(site: Site, visit: Visit) -> None:
    def keep_back(route: Route) -> None:
        answer = route.fetch().json()
        if "server" in answer and "budget" in answer:
            answer["server"] = dict.fromkeys(answer["server"])
        else:
            answer |= dict.fromkeys(set(answer) - {"status", "latency_ms"})
        route.fulfill(json=answer)

    page = visit("/boards", "supervisor")
    page.route("**/api/redis-*", keep_back)
    page.goto("/status")
    expect(page.locator("#used")).to_have_text("unknown")
    expect(page.locator("#redis dd")).to_have_text(["unknown"] * 4)
    expect(page.locator("#allotted")).to_contain_text("The server does not say")
    expect(page.locator("#processes section")).to_have_count(1)
    wait_until(lambda: page.locator("#verdict li.fine").count(), what="that all is well")
    assert violations(page) == []


def used_connections(site: Site) -> int:
    server = site.deployment.request("GET", "/api/redis-connection-stats").json()["server"]
    return int(server["ops"] + server["pubsub"] + server["cli"])


def test_every_stop_is_listed_with_a_reason_or_without_and_all_panels_fit(
    site: Site, visit: Visit
) -> None:
    step = "METROLOGIA-FINAL"
    board = site.board("T-1", "T-2", "T-3", steps=(step, "SOLD"))
    site.do("take", board, "T-1")
    site.do("take", board, "T-2")
    site.do("pause", board, "T-2")
    site.do("block", board, "T-3", who="supervisor", reason="Crack found")
    page = open_wall(site, visit, board)
    expect(page.locator("#still .name")).to_have_text(["Crack found", "no reason given"])
    for width, height in ((1024, 768), (1280, 720), (1440, 900), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        wait_for(
            page,
            """() => {
              const every = (selector, holds) => {
                const found = [...document.querySelectorAll(selector)];
                return found.length > 0 && found.every(holds);
              };
              const box = (element) => element.getBoundingClientRect();
              const isInSight = (each) => box(each).height > 40
                && box(each).bottom <= innerHeight + 1 && box(each).right <= innerWidth + 1;
              const isWhole = (each) => each.scrollWidth <= each.clientWidth + 1
                && box(each).right <= box(each.parentElement).right + 1;
              return every('.wall-grid section', isInSight) && every('.wall-grid .plot', isInSight)
                && every('.entry .step', isWhole) && every('.entry .long', isWhole)
                && every('.counts .word', isWhole);
            }""",
            what=f"all of the wall at {width} × {height}",
        )

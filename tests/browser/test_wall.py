"""The wallboard and the status page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page, Route, expect

from occupancy.core.entities import Role
from occupancy.core.requests.boards import StepBody
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import Site, wait_for
from tests.support.waiting import wait_until

SCREEN = {"width": 1920, "height": 1080}


def open_wall(site: Site, visit: Visit, board: str, **options: Any) -> Page:
    """A wallboard that has signed in by its link."""
    secret, _ = site.services.tokens.create("watcher", role=Role.OBSERVER, board=board)
    page = visit(f"/sign-in#{secret}", None, viewport=SCREEN, **options)
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


def stops(page: Page) -> list[tuple[str, str, list[str]]]:
    """The reasons that are shown: text, figures, and the tags that are in sight."""
    return [
        (name, figures, tags)
        for name, figures, tags in page.evaluate(
            """() => [...document.querySelectorAll('#still .entry')].map((entry) => [
              entry.querySelector('.name').textContent, entry.querySelector('.long').textContent,
              [...entry.querySelectorAll('.tag')].filter((tag) => {
                const {bottom, right} = tag.getBoundingClientRect();
                const box = entry.getBoundingClientRect();
                return bottom <= box.bottom + 1 && right <= box.right + 1;
              }).map((tag) => tag.textContent),
            ])"""
        )
    ]


def reasons(page: Page) -> list[str]:
    return [name for name, _, _ in stops(page)]


def test_stops_with_one_reason_are_one_line_which_comes_and_goes(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2", "T-3", "T-4")
    page = open_wall(site, visit, board, locale="es-ES")
    expect(page.locator("#no-still")).to_have_text("No hay nada parado.")
    for tag, reason in (("T-1", "Sin material"), ("T-2", "sin material"), ("T-3", "Comida")):
        site.do("take", board, tag)
        site.do("pause", board, tag, reason=reason)
    site.do("block", board, "T-4", who="supervisor", reason="Grieta")
    wait_until(
        lambda: reasons(page) == ["Grieta", "Sin material", "Comida"], what="the three reasons"
    )
    _, figures, tags = stops(page)[1]
    assert re.fullmatch(r"2 · desde hace \d+ (s|min \d\d s)", figures), figures
    assert tags == ["T-1", "T-2"]
    site.do("take", board, "T-1")
    wait_until(lambda: stops(page)[1][2] == ["T-2"], what="that T-1 has left")
    assert stops(page)[1][1].startswith("1 · desde hace ")
    site.do("take", board, "T-2")
    site.do("unblock", board, "T-4", who="supervisor")
    wait_until(lambda: reasons(page) == ["Comida"], what="that two reasons have gone")
    site.do("take", board, "T-3")
    expect(page.locator("#no-still")).to_be_visible()
    assert reasons(page) == []


def test_a_reason_is_shown_as_it_was_typed_and_many_tags_as_many_as_fit(
    site: Site, visit: Visit
) -> None:
    payload = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{time}'
    tags = [f"MK-1335-CW-25238-{number:03}" for number in range(50)]
    board = site.board(*tags, steps=("ARM", "SOLD"))
    for tag in tags:
        site.do("block", board, tag, who="supervisor", reason=payload)
    page = open_wall(site, visit, board)
    wait_until(lambda: reasons(page) == [payload], what="the reason")
    ((_, figures, shown),) = stops(page)
    assert figures.startswith("50 · for ")
    assert 2 <= len(shown) < 50
    assert shown == tags[: len(shown)]
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("#wall img, #wall script").count() == 0
    assert page.locator("#wall .tag").count() <= 40
    assert violations(page) == []


def at_steps(page: Page) -> list[str]:
    return [each.replace("\n", " ") for each in page.locator("#steps .at").all_inner_texts()]


def test_the_strip_counts_what_stands_at_each_step_and_follows(site: Site, visit: Visit) -> None:
    board = site.board("T-1", "T-2", "T-3", steps=("ARM", StepBody("SOLD", "<b>Soldadura</b>")))
    page = open_wall(site, visit, board, locale="es-MX")
    wait_until(lambda: at_steps(page) == ["3 ARM", "0 <b>Soldadura</b>"], what="the strip")
    assert violations(page) == []
    for operation in ("take", "complete", "take"):
        site.do(operation, board, "T-1")
    wait_until(lambda: at_steps(page) == ["2 ARM", "1 <b>Soldadura</b>"], what="that T-1 moved on")
    site.do("complete", board, "T-1")  # the last step: it stands nowhere any more
    wait_until(lambda: at_steps(page) == ["2 ARM", "0 <b>Soldadura</b>"], what="that T-1 is done")


def test_many_steps_are_shown_page_by_page_and_one_not_at_all(site: Site, visit: Visit) -> None:
    steps = [f"STEP-{number}" for number in range(32)]
    page = open_wall(site, visit, site.board("T-1", steps=steps))
    page.keyboard.press(" ")  # it turns no page by itself any more
    expect(page.locator("#steps-page")).to_have_text(re.compile("1 of [34]"))
    first = at_steps(page)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#steps-page")).to_have_text(re.compile("2 of [34]"))
    assert not set(first) & set(at_steps(page))
    page = open_wall(site, visit, site.board("T-1"))
    expect(page.locator("#at-steps")).to_be_hidden()


def test_the_chart_begins_with_the_board_and_is_never_shorter_than_two_hours(
    site: Site, visit: Visit
) -> None:
    began = datetime.now(UTC) - timedelta(hours=5)

    def longer(route: Route) -> None:
        answer = route.fetch().json()
        first = {**answer["points"][0], "at": began.isoformat().replace("+00:00", "Z")}
        route.fulfill(json={**answer, "points": [first, *answer["points"]]})

    board = site.board("T-1")
    page = open_wall(site, visit, board, timezone_id="Etc/UTC", locale="es-ES")
    expect(page.locator("#day-title")).to_have_text("Últimas 2 h")
    page.route("**/api/boards/*/timeline*", longer)
    page.reload()
    hour = f"{began.hour}:{began.minute:02}"
    expect(page.locator("#day-title")).to_have_text(
        f"Desde {'la' if began.hour == 1 else 'las'} {hour}"
    )
    left = page.evaluate(
        """() => {
          const drawn = document.querySelector('#in-hand .grid').getBBox();
          const ticks = [...document.querySelectorAll('#in-hand .labels text')]
            .filter((each) => each.getAttribute('text-anchor') === 'middle');
          return [ticks.length, Number(ticks[0].getAttribute('x')) - drawn.x, drawn.width];
        }"""
    )
    assert left[0] in (5, 6)  # a mark each hour
    assert left[1] <= left[2] / 5 + 1


def test_supervisors_see_the_pools_and_others_do_not(site: Site, visit: Visit) -> None:
    page = visit("/status", "supervisor")
    wait_until(
        lambda: page.locator("#used").text_content() == str(used_connections(site)),
        what="the number of connections",
    )
    expect(page.locator("#processes section")).to_have_count(1)
    expect_all_is_well(page)
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
    expect_all_is_well(page)
    assert violations(page) == []


def expect_all_is_well(page: Page) -> None:
    """Wait as long as a late delivery of another test would be told: for a minute."""
    expect(page.locator("#verdict li.fine").first).to_be_visible(timeout=75_000)


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
    for width, height in (
        (1024, 600), (1024, 768), (1280, 720), (1440, 900), (1920, 1080), (3840, 2160),
        (1080, 1920),
    ):  # fmt: skip
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
              const isInsideItsList = (each) => each.scrollWidth <= each.clientWidth + 1
                && box(each).bottom <= box(each.parentElement).bottom + 1;
              const isWhole = (each) => each.scrollWidth <= each.clientWidth + 1
                && box(each).right <= box(each.parentElement).right + 1;
              return every('.wall-grid section', isInSight) && every('.wall-grid .plot', isInSight)
                && every('.entry .step', isWhole) && every('.entry .long', isWhole)
                && every('.counts .word', isWhole) && every('.at', isInsideItsList)
                && document.documentElement.scrollHeight <= innerHeight;
            }""",
            what=f"all of the wall at {width} × {height}",
        )

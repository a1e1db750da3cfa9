"""The first start: from the printed link to the first item taken, and the sample beside it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from occupancy.sample.content import BOARD, ITEM_COUNT
from occupancy.services import Services
from tests.browser.axe import violations
from tests.browser.conftest import Visit
from tests.browser.site import PIN, expect_live, expect_state, sign_in_by_hand, touch
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

PAYLOAD = '"><img src=x onerror="window.hacked=1">{by}'
NEW_PIN = "1379"

Start = Callable[[], Deployment]


@pytest.fixture
def start(tmp_path: Path, server_of: Callable[[str], RealServer]) -> Iterator[Start]:
    """Starts a deployment where nothing is there yet."""
    running: list[Deployment] = []

    def start() -> Deployment:
        deployment = Deployment(
            tmp_path / f"state-{len(running)}", server_of("valkey").url,
            WEB_CONCURRENCY="1", OCCUPANCY_PREFIX=f"t-{secrets.token_hex(6)}",
        )  # fmt: skip
        running.append(deployment)
        return deployment.start()

    yield start
    for each in running:
        each.stop()


class Plant:
    """A deployment with an administrator who has a PIN, and nothing else."""

    def __init__(self, deployment: Deployment, visit: Visit) -> None:
        self.deployment, self._visit = deployment, visit
        self.services: Services = deployment.services()
        self.services.workers.add(
            "boss", name="Boss", role=Role.ADMIN, pin_hash=hash_pin(PIN)
        )  # fmt: skip

    def open(self, path: str = "/setup", **options: Any) -> Page:
        url = self.deployment.url
        page = self._visit("/sign-in", None, url=url, **options)
        answer = page.request.post(
            f"{url}/api/session", data={"worker": "boss", "pin": PIN}
        )  # fmt: skip
        assert answer.ok, answer.text()
        page.goto(path)
        return page


@pytest.fixture
def plant(start: Start, visit: Visit) -> Plant:
    return Plant(start(), visit)


def printed_link(deployment: Deployment) -> str:
    found: re.Match[str] = wait_until(
        lambda: re.search(r"http://\S+/sign-in#\S+", deployment.log), what="the link"
    )
    return found[0]


def fill_in(page: Page, step: str, button: str, **values: str) -> None:
    """Fill in the form of a step, by the names of its fields, and send it."""
    form = page.locator(f"#step-{step} form")
    for name, value in values.items():
        form.locator(f"[name={name}]").fill(value)
    form.get_by_role("button", name=button).click()


def expect_done(page: Page, *steps: str) -> None:
    """The steps that are done, and no others."""
    marked = page.locator(".setup-step.done details")
    expect(marked).to_have_count(len(steps))
    ids = marked.evaluate_all("all => all.map((each) => each.id)")
    assert ids == [f"step-{each}" for each in steps]


def test_from_the_printed_link_to_the_first_item_taken(start: Start, visit: Visit) -> None:
    deployment = start()
    page = visit(printed_link(deployment), None, url=deployment.url)
    expect(page).to_have_url(f"{deployment.url}/setup")
    pin = page.get_by_label("New PIN")
    expect(pin).to_be_focused()
    page.reload()  # it is asked for until it is set
    pin.fill("1234")
    pin.press("Enter")
    expect(page.locator(".stack > .said")).to_contain_text("too easy")
    pin.fill(NEW_PIN)
    pin.press("Enter")
    page.get_by_role("button", name="Start with my plant").click()

    page.get_by_label("Name of the board").fill("Taller Ñandú")
    page.get_by_label("Steps, one a line or separated by commas").fill("Corte\nSoldadura")
    page.get_by_role("button", name="Create the board").click()
    expect(page.locator("#step-items summary")).to_be_focused()
    fill_in(page, "items", "Add the item", tag="OT-1", title="Pump")
    expect(page.locator("#step-items summary")).to_contain_text("1 piece")
    page.locator("#step-items").get_by_role("button", name="Next step").click()

    fill_in(page, "people", "Add the person", name="Ana Ruíz")
    expect(page.locator("#step-people li")).to_have_text("Ana Ruíz signs in as ana.ruiz · worker")
    page.locator("#step-people").get_by_role("button", name="Next step").click()
    expect(page.locator("#step-print a").last).to_have_attribute(
        "href", "/boards/taller-nandu/labels"
    )
    page.locator("#step-print").get_by_role("button", name="Skip for now").click()

    page.locator("#step-wall").get_by_role("button", name="New wall link").click()
    page.locator("#ask-dialog button.primary").click()
    expect(page.locator("#step-wall .qr")).to_be_visible()
    address = page.locator("#step-wall .secret").input_value()
    wall = visit(address, None, url=deployment.url)
    expect(wall).to_have_url(f"{deployment.url}/boards/taller-nandu/wall")
    expect(wall.locator("#title")).to_have_text("Taller Ñandú")
    page.locator("#step-wall").get_by_role("button", name="Next step").click()

    page.get_by_role("link", name="Go to the board").click()
    expect_live(page)
    touch(page, "OT-1", "take")
    expect_state(page, "OT-1", "occupied", "Administrator")
    page.goto("/setup")
    expect_done(page, "board", "items", "people", "wall", "take")

    page.locator("#who button").click()
    page.get_by_role("button", name=re.compile("^Sign out")).click()
    page.locator("#who button").click()
    sign_in_by_hand(page, "admin", NEW_PIN)
    expect(page.locator("#who strong")).to_have_text("Administrator")
    for each in (page, wall):
        each.context.close()  # otherwise the server waits for its idle connections


def test_each_page_of_a_step_leads_back_and_is_prepared_for_it(plant: Plant) -> None:
    page = plant.open("/setup#plant", timezone_id="America/Santiago")
    fill_in(page, "board", "Create the board", title="Hall", steps="Cut, Weld")
    expect(page.locator("#step-items")).to_have_attribute("open", "")
    hall = plant.services.store.boards.get("hall")
    assert list(hall.steps) == ["Cut", "Weld"]
    assert hall.settings.time_zone == "America/Santiago"
    expect(page.get_by_role("link", name="See the items")).to_be_hidden()
    page.get_by_role("link", name="Paste a list or import a file").click()
    page.get_by_role("link", name="Go on with the set-up").click()
    page.locator("#step-people summary").click()
    fill_in(page, "people", "Add the person", name="Ana")
    page.locator("#step-people").get_by_role("button", name="Next step").click()
    expect(page.locator("#step-print .notice")).to_contain_text("on this machine only")
    page.get_by_role("link", name="Print PIN slips").click()
    expect(page.locator("#people input:checked")).to_have_count(1)  # not the one with a PIN
    page.get_by_role("button", name="Set new PINs (1)").click()
    expect(page.locator(".slip")).to_contain_text("Ana")  # nothing that ends for Ana is asked about
    page.on("dialog", lambda dialog: dialog.accept())  # the slips are not printed here
    page.get_by_role("link", name="Go on with the set-up").click()
    expect_done(page, "board", "people", "print")
    page.locator("#step-wall summary").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="See it here").click()
    expect(opened.value).to_have_url(re.compile("/boards/hall/wall$"))
    expect(page.locator("#who strong")).to_have_text("Boss")
    page.context.close()


def test_a_lost_answer_to_the_first_pin_leads_on_with_the_new_pin(
    start: Start, visit: Visit
) -> None:
    deployment = start()
    page = visit(printed_link(deployment), None, url=deployment.url)

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        page.context.clear_cookies()  # so the new session is lost with it
        route.abort()

    page.route("**/api/session/pin", lose_the_answer)
    page.get_by_label("New PIN").fill(NEW_PIN)
    page.get_by_role("button", name="Set the PIN").click()
    expect(page.locator("#session-dialog")).to_be_visible()  # its session ended with the change
    sign_in_by_hand(page, "admin", NEW_PIN)
    expect(page.get_by_role("button", name="Start with my plant")).to_be_visible()
    page.context.close()


def test_the_sample_is_tried_and_removed_and_does_not_come_back(plant: Plant) -> None:
    page = plant.open()
    page.get_by_role("button", name="Try the sample").click()
    expect(page.get_by_role("heading", name="The sample is there")).to_be_visible()
    expect_done(page)  # what is the sample's is no step of one's own
    page.get_by_role("link", name="Open its board").click()
    expect_live(page)
    assert plant.services.store.boards.get(BOARD).counts["available"] > 0
    plant.services.workers.edit("94", name="Own now")
    page.goto("/setup")
    page.get_by_role("button", name="Remove the sample").click()
    page.locator("#ask-dialog button.primary").click()
    remains = page.locator(".remains")
    expect(remains).to_contain_text("The sample is removed.")
    expect(remains.locator("li")).to_have_text(["Own now: has another name or role"])
    assert [each.id for each in plant.services.workers.all()] == ["94", "boss"]
    page.reload()
    expect(page.get_by_role("heading", name="Your plant, step by step")).to_be_visible()
    expect(page.get_by_role("button", name="Remove the sample")).to_be_hidden()
    expect_done(page, "people")
    events = page.request.get("/api/audit").json()["entries"]
    sample = [(each["event"], each["by"]) for each in events if each["event"].startswith("sample")]
    assert sample == [("sample_unloaded", "boss"), ("sample_loaded", "boss")]
    assert (
        next(each for each in events if each["event"] == "sample_loaded")["details"]["items"]
        == ITEM_COUNT
    )
    page.context.close()


def test_what_is_done_is_seen_from_what_is_there_and_any_step_can_be_skipped(plant: Plant) -> None:
    page = plant.open("/setup#plant")
    expect(page.locator("#step-board")).to_have_attribute("open", "")
    for step, following in (("board", "items"), ("items", "people")):
        page.locator(f"#step-{step}").get_by_role("button", name="Skip for now").click()
        expect(page.locator(f"#step-{following}")).to_have_attribute("open", "")
    page.locator("#step-items summary").click()
    expect(page.locator("#step-items")).to_contain_text("This needs a board")
    expect(page.locator("#step-people")).not_to_have_attribute("open", "")
    plant.services.store.boards.create("hall", title="Hall")
    plant.services.workers.add("eva", name="Eva", role=Role.WORKER, pin_hash=hash_pin(PIN))
    page.goto("/setup")
    expect_done(page, "board", "people", "print")
    expect(page.locator("#step-items")).to_have_attribute("open", "")
    page.context.close()


def test_nothing_that_was_typed_is_lost_by_a_refusal_or_a_failure(plant: Plant) -> None:
    page = plant.open("/setup#plant")
    title, steps = (
        page.get_by_label("Name of the board"),
        page.get_by_label("Steps, one a line or separated by commas"),
    )
    title.fill("Hall")
    steps.fill("Cut\nCut")
    page.get_by_role("button", name="Create the board").click()
    assert steps.evaluate("each => each.validationMessage") == "Two steps have the same name."
    steps.fill("Cut\nWeld")
    page.route("**/api/boards", lambda route: route.abort())
    page.get_by_role("button", name="Create the board").click()
    expect(page.locator("#step-board .said")).to_contain_text("did not answer")
    expect(title).to_have_value("Hall")
    expect(steps).to_have_value("Cut\nWeld")
    page.unroute("**/api/boards")

    def lose_the_answer(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/api/boards", lose_the_answer)
    page.get_by_role("button", name="Create the board").click()
    expect(page.locator("#step-board .said")).to_contain_text("did not answer")
    page.unroute("**/api/boards")
    page.get_by_role("button", name="Create the board").click()
    expect(page.locator("#step-board summary")).to_contain_text("Hall")
    assert [each.board for each in plant.services.store.boards.visible()] == ["hall"]
    page.context.close()


@pytest.mark.parametrize("locale", ["en-GB", "es-MX"])
def test_the_page_is_accessible_and_shows_texts_as_text(plant: Plant, locale: str) -> None:
    for width in (1440, 390):
        page = plant.open(locale=locale, viewport={"width": width, "height": 844})
        expect(page.locator(".choices" if width == 1440 else ".steps").first).to_be_visible()
        assert violations(page) == []
        plant.services.workers.add(f"w-{width}", name=PAYLOAD, role=Role.WORKER)
        if width == 1440:
            plant.services.store.boards.create("x", title=PAYLOAD, steps=["Cut"])
        page.request.post(
            "/api/sample",
            headers={"X-CSRF-Token": page.request.get("/api/session").json()["csrf_token"]},
        )
        page.reload()
        for step in ("board", "items", "people", "print", "wall", "take"):
            page.locator(f"#step-{step}").evaluate("each => { each.open = true; }")
            expect(page.locator(f"#step-{step} .step-body")).to_be_visible()
            assert violations(page) == [], step
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.locator("bdi", has_text=PAYLOAD).count() > 0
        assert page.evaluate("() => window.hacked") is None
        page.context.close()


def test_only_an_administrator_sets_a_plant_up(visit: Visit) -> None:
    page = visit("/setup", "supervisor")
    expect(page.locator("#said")).to_contain_text("administrator")
    expect(page.locator("#managed")).to_be_hidden()


def test_an_administrator_who_forgot_the_pin_sets_another_and_is_not_led_to_the_set_up(
    plant: Plant, visit: Visit
) -> None:
    link = f"{plant.deployment.url}/sign-in#{plant.services.links.create('boss')}"
    page = visit(link, None, url=plant.deployment.url)
    page.locator("#set-pin").get_by_label("New PIN").fill(NEW_PIN)
    page.locator("#set-pin button").click()
    expect(page).to_have_url(f"{plant.deployment.url}/boards")
    page.context.close()

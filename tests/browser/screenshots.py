"""Screenshots of every page for review: python -m tests.browser.screenshots DIRECTORY

Loads the sample into a server of its own, plays a morning at the shop on it, and writes a picture
of every page for phone, tablet and wall, light and dark, in English and Spanish.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, Route, expect

from occupancy.access.pins import hash_pin
from occupancy.core.entities import Role
from occupancy.sample.content import BOARD
from occupancy.sample.loading import load
from occupancy.services import Services
from tests.browser.chromium import chromium, path_of_chromium
from tests.browser.site import PIN, expect_live, expect_still
from tests.support.deployment import Deployment
from tests.support.servers import RealServer, binary_of

TAG = "MK-1335-CW-25238-011"
HELD = "MK-1335-CW-25238-013"
DEVICES = {"phone": (390, 844), "tablet": (1024, 768), "desk": (1440, 900), "wall": (1920, 1080)}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LANGUAGES = {"en": "en-GB", "es": "es-ES"}


def age(route: Route) -> None:
    """The sample has just been loaded: let its items and events look as if it were midday."""
    response = route.fetch()
    data = response.json()
    for item in [*data.get("items", []), *([data["item"]] if "item" in data else [])]:
        item["since"] = earlier(item["since"], sum(item["tag"].encode()) % 97 + 4)
    for number, event in enumerate(data.get("history", [])):
        event["at"] = earlier(
            event["at"], 41 * number + sum(event["item"]["tag"].encode()) % 97 + 4
        )
    route.fulfill(response=response, json=data)


def a_day(route: Route) -> None:
    """The timeline of a shift that has gone on for some hours."""
    response = route.fetch()
    data = response.json()
    counts, now = data["points"][-1]["counts"], datetime.datetime.now(datetime.UTC)
    points = []
    for quarter in range(44, -1, -1):
        worked = max(0, 36 - quarter)  # the shift began nine hours ago
        wave = math.sin(worked / 5) + math.sin(worked / 2.3) / 2
        share = 1.0 if quarter == 0 else min(1.0, worked / 6) * (1 + wave / 6)
        points.append({
            "at": (now - datetime.timedelta(minutes=15 * quarter)).isoformat(),
            "counts": {
                **counts,
                "occupied": round(counts["occupied"] * share),
                "paused": round(counts["paused"] * min(1.0, worked / 20)),
                "blocked": round(counts["blocked"] * (worked > 11) * (worked > 25 or 0.4)),
            },
            "completions": round(worked * 0.9 + wave),
        })  # fmt: skip
    route.fulfill(response=response, json={**data, "points": points})


def earlier(moment: str, minutes: int) -> str:
    then = datetime.datetime.fromisoformat(moment) - datetime.timedelta(minutes=minutes)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def live(page: Page) -> None:
    expect_live(page)
    expect(page.locator(".row").first).to_be_visible()
    expect_still(page)


def refusal(page: Page) -> None:
    """Somebody was quicker; and the menu of what supervisors can do is open."""
    live(page)
    page.route(
        "**/take",
        lambda route: route.fulfill(
            status=409,
            json={
                "code": "held", "status": 409, "detail": "", "since": "2026-11-22T09:14:05Z",
                "holder": {"id": "94", "name": "Iván Soto"},
            },
        ),
    )  # fmt: skip
    page.locator(".row.available .take").first.click()
    page.locator(".row .refusal").wait_for()
    page.locator(".row.available summary").nth(1).click()


def batch(page: Page) -> None:
    live(page)
    for place in range(3):
        page.locator(".row.available .choose").nth(place).check()


def pausing(page: Page) -> None:
    live(page)
    page.locator("#states [data-state=occupied]").click()
    expect_still(page)
    page.locator(".row .pause").first.click()
    page.locator("#ask-dialog").wait_for()


def searching(page: Page) -> None:
    live(page)
    page.locator("#search").fill("25239 vapor")


def completed(page: Page) -> None:
    """The notice of a completion, with its button to undo it."""
    live(page)
    page.locator("#states [data-state=occupied]").click()
    expect_still(page)
    page.locator(".row .complete").first.click()
    page.locator("#notices .take-back").wait_for()
    expect_still(page)


def offline(page: Page) -> None:
    live(page)
    page.context.set_offline(True)
    expect_live(page, "offline")


def switching(page: Page) -> None:
    live(page)
    page.evaluate(
        """names => localStorage.setItem('occupancy-recent', JSON.stringify(names))""",
        [{"id": "93", "name": "Marta Ruiz"}, {"id": "94", "name": "Iván Soto"},
         {"id": "95", "name": "Lucía Vega"}],
    )  # fmt: skip
    page.locator("#who button").click()
    page.locator("#session-dialog .name").first.wait_for()


def history(page: Page) -> None:
    expect_live(page)
    page.locator("#history li").first.wait_for()


def boards(page: Page) -> None:
    page.locator("#boards li").first.wait_for()


def docs(page: Page) -> None:
    page.locator("main").wait_for()


def wall(page: Page) -> None:
    expect(page.locator("#holders .entry").first).to_be_visible()
    expect(page.locator("#today")).not_to_have_text("")
    page.wait_for_timeout(500)  # the picture of the day is drawn a moment later


def status(page: Page) -> None:
    expect(page.locator("#processes section").first).to_be_visible()
    page.wait_for_timeout(5000)  # a few points of the plots


def audit(page: Page) -> None:
    """A day of sign-ins, refusals and changes."""
    page.locator("#entries tbody tr").nth(8).wait_for()


def managed(page: Page) -> None:
    """A page on which the plant is set up, once it is loaded."""
    page.locator("#managed").wait_for()
    page.wait_for_load_state("networkidle")


def importing(page: Page) -> None:
    """A file with an item of each result."""
    plan = (
        "Spool;Description;area\n"
        "MK-1335-CW-25242-011;Spool 011, línea 25242;A1\n"
        "MK-1335-CW-25242-012;Spool 012, línea 25242;B2\n"
        "MK-1335-CW-25238-012;Spool 012, línea 25238;C1\n"
        "MK 1335 014;Spool 014, línea 25238;C1\n"
    )
    managed(page)
    page.locator("input[type=file]").set_input_files(
        {"name": "plan.csv", "mimeType": "text/csv", "buffer": plan.encode()}
    )
    page.locator("#lines tbody tr").nth(3).wait_for()
    page.evaluate("() => document.activeElement.blur()")


def set_pin(page: Page) -> None:
    page.locator("#set-pin").wait_for()


# Name, path, who (None: nobody), and what is done before the picture is taken.
Shot = tuple[str, str, str | None, Callable[[Page], None]]
SHOTS: list[Shot] = [
    ("board", f"/boards/{BOARD}", "93", live),
    ("board-supervisor", f"/boards/{BOARD}?state=available", "12", refusal),
    ("board-search", f"/boards/{BOARD}", "93", searching),
    ("board-batch", f"/boards/{BOARD}?state=available", "93", batch),
    ("board-pause", f"/boards/{BOARD}", "93", pausing),
    ("board-undo", f"/boards/{BOARD}", "93", completed),
    ("board-offline", f"/boards/{BOARD}", "93", offline),
    ("board-switch", f"/boards/{BOARD}", "93", switching),
    ("board-table", f"/boards/{BOARD}?layout=table&sort=since", "12", live),
    ("board-columns", f"/boards/{BOARD}?layout=columns", "12", live),
    ("item", f"/boards/{BOARD}/items/{HELD}", "12", history),
    ("boards", "/boards", "93", boards),
    ("sign-in", f"/boards/{BOARD}", None, lambda page: page.locator("#session-dialog").wait_for()),
    ("set-pin", "/sign-in#{link}", None, set_pin),
    ("wall", "/sign-in#{token}", None, wall),
    ("status", "/status", "12", status),
    ("audit", "/audit", "1", audit),
    ("setup", "/setup", "1", managed),
    ("settings", f"/boards/{BOARD}/settings", "1", managed),
    ("items", f"/boards/{BOARD}/items", "12", managed),
    ("import", f"/boards/{BOARD}/import", "12", managed),
    ("import-file", f"/boards/{BOARD}/import", "12", importing),
    ("labels", f"/boards/{BOARD}/labels", "12", managed),
    ("people", "/people", "1", managed),
    ("cards", "/people/cards", "1", managed),
    ("programs", "/programs", "1", managed),
    ("account", "/account", "93", managed),
    ("day", "/day", "93", managed),
    ("docs", "/docs", None, docs),
]


def take(browser: Browser, site: Deployment, directory: Path, only: str) -> int:
    """Write every picture whose name has ``only`` in it; how many."""
    services = site.services()
    token, _ = services.tokens.create("7", role=Role.OBSERVER, board=BOARD)
    count = 0
    for (name, path, worker, prepare), (device, size), theme, (
        language,
        locale,
    ) in itertools.product(SHOTS, DEVICES.items(), THEMES, LANGUAGES.items()):
        title = f"{name}-{device}-{theme}-{language}"
        if only not in title:
            continue
        context = browser.new_context(
            base_url=site.url, locale=locale, color_scheme=theme, timezone_id=midday(),
            viewport={"width": size[0], "height": size[1]},
            device_scale_factor=2 if device == "phone" else 1,
            is_mobile=device == "phone", has_touch=device != "wall",
        )  # fmt: skip
        if worker is not None:
            body = {"worker": worker, "pin": PIN}
            assert context.request.post("/api/session", data=body).ok
        page = context.new_page()
        page.route("**/api/boards/*/items**", age)
        page.route("**/api/boards/*/timeline**", a_day)
        link = services.links.create("1") if "{link}" in path else ""
        page.goto(path.format(link=link, token=token))
        prepare(page)
        page.screenshot(path=directory / f"{title}.png", animations="disabled")
        context.close()
        count += 1
    return count


def midday() -> str:
    """A time zone in which it is about one o'clock: a shop at work, whenever this runs."""
    ahead = 13 - datetime.datetime.now(datetime.UTC).hour
    return f"Etc/GMT{-ahead:+d}"


def prepare(services: Services) -> None:
    """The sample, everybody with the same PIN, and a second board."""
    load(services.store, services.workers, lambda _: None)
    pin_hash = hash_pin(PIN)
    for worker in services.workers.all():
        services.workers.edit(worker.id, pin_hash=pin_hash)
    services.workers.edit("1", role=Role.ADMIN.label)
    audit_trail(services)


def audit_trail(services: Services) -> None:
    """Entries of each length."""
    by: dict[str, object] = {"by": "1", "means": "session"}
    add = services.audit_trail.add
    add("worker_added", **by, worker="94", role="worker", fields="name,role,pin", disabled=False)
    add("worker_edited", **by, worker="95", role="supervisor", fields="name,role", disabled=False)
    add("worker_edited", **by, worker="94", role="worker", fields="disabled", disabled=True)
    add("token_added", **by, worker="7", token="3f9a02c1", role="observer", board=BOARD)
    add("board_added", by="root", means="cli", board=BOARD)
    add("items_imported", by="root", means="cli", board=BOARD, added=118, updated=7)
    add("sign_in_refused", by="pin", worker="93", code="unauthenticated", address="10.0.0.17")
    add("sign_in_refused", by="pin", code="unauthenticated", address="203.0.113.9")
    add("denied", worker="93", code="forbidden", method="POST", address="2001:db8:41::/64",
        path=f"/api/boards/{BOARD}/items/MK-1335-CW-25238-011/force-release", means="session",
        credential="77aa01fe")  # fmt: skip
    add("denied", code="unauthenticated", address="203.0.113.9", more=4210, within_s=60)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", default="", help="pictures whose name has this in it")
    options = parser.parse_args(arguments)
    path, valkey = path_of_chromium(), binary_of("valkey")
    if path is None or valkey is None:
        sys.exit("chromium and a Valkey binary are needed")
    options.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        server = RealServer(valkey, Path(work) / "server")
        server.start()
        site = Deployment(Path(work) / "state", server.url, WEB_CONCURRENCY="1")
        try:
            prepare(site.services())
            site.start()
            with chromium(path) as browser:
                count = take(browser, site, options.directory, options.only)
        finally:
            site.stop()
            server.stop()
    print(f"{count} pictures in {options.directory}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""A site: a deployment with people and boards, and checks of its pages."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from playwright.sync_api import BrowserContext, Locator, Page, TimeoutError, expect

from occupancy.access.pins import hash_pin
from occupancy.boards.commands import Command
from occupancy.core.entities import Person, Role
from occupancy.core.requests.boards import StepBody
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from tests.support.deployment import Deployment
from tests.support.shop import log_of

PIN = "2580"
PEOPLE = {
    "watcher": Role.OBSERVER,
    "holder": Role.WORKER,
    "colleague": Role.WORKER,
    "supervisor": Role.SUPERVISOR,
    "admin": Role.ADMIN,
}
TAKES_TAPS = "(each) => !(each.ignoresTapsUntilMs > performance.now())"  # see tap_filter.js
_SETUP = Person("admin", "Admin")


@contextlib.contextmanager
def running(deployment: Deployment) -> Iterator[Site]:
    """The site of a deployment, with its people, from its start to its stop."""
    site = Site(deployment)
    site.add_people()
    deployment.start()
    yield site
    deployment.stop()


class Site:
    """``url`` is the address for the browsers; all workers have the PIN ``PIN``."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.services: Services = deployment.services()
        self.url = deployment.url
        self._cookies: dict[str, Any] = {}

    def add_people(self) -> None:
        """One worker of each role, and a second one, named like the role of the test."""
        pin_hash = hash_pin(PIN)
        for worker, role in PEOPLE.items():
            self.services.workers.add(worker, name=worker.title(), role=role, pin_hash=pin_hash)

    def board(self, *tags: str, title: str = "Shop", steps: Iterable[str | StepBody] = ()) -> str:
        """A fresh board with items of these tags, each titled ``Part <tag>``."""
        board = f"b-{secrets.token_hex(4)}"
        self.services.store.boards.create(board, title=title, steps=tuple(steps))
        self.put(board, {tag: f"Part {tag}" for tag in tags})
        return board

    def put(self, board: str, titles: dict[str, str], **attributes: str) -> None:
        """Add or rename items."""
        rows = (
            (tag, {"title": json.dumps(title), "attributes": json.dumps(attributes)})
            for tag, title in titles.items()
        )
        for outcome in self.services.store.commands.put_many(board, rows, actor=_SETUP):
            assert outcome.is_done, outcome

    def do(
        self,
        operation: str,
        board: str,
        tag: str,
        *,
        who: str = "colleague",
        reason: str | None = None,
        to: str | None = None,
        step: str | None = None,
    ) -> None:
        """An operation by somebody who uses no browser."""
        answer = self.services.store.commands.execute(Command(
            board, TRANSITIONS[operation], [tag], actor=Person(who, who.title()), reason=reason,
            step=step, to=None if to is None else Person(to, to.title()),
        ))  # fmt: skip
        assert answer.outcomes[0].is_done, answer

    def types(self, board: str, tag: str) -> list[str]:
        """The events of an item, oldest first, without its being added."""
        events = [
            each["type"] for each in log_of(self.services, board) if each["item"]["tag"] == tag
        ]
        return [each.removeprefix("item.") for each in events if each != "item.added"]

    def open_streams(self) -> int:
        """The number of open streams; exact for a site with one process."""
        stats = self.deployment.request("GET", "/api/redis-connection-stats").json()
        return sum(each["streams"]["open"] for each in stats["workers"])

    def sign_in(self, context: BrowserContext, worker: str) -> None:
        """Give a browser a session of its own, as the page's form would."""
        response = context.request.post(
            f"{self.url}/api/session", data={"worker": worker, "pin": PIN}
        )
        assert response.ok, response.text()

    def lend_session(self, context: BrowserContext, worker: str) -> None:
        """Give a browser a session that others have too, and that must not be ended."""
        if worker not in self._cookies:
            self.sign_in(context, worker)
            self._cookies[worker] = context.cookies(self.url)
        context.add_cookies(self._cookies[worker])  # for every port of the host


def card(page: Page, tag: str) -> Locator:
    """The row of an item on the board."""
    return page.locator(f'.row[data-key="{tag}"]')


def button(page: Page, tag: str, operation: str) -> Locator:
    return card(page, tag).locator(f'[data-name="{operation}"]')


def touch(page: Page, tag: str, operation: str) -> None:
    """Touch a button once its card has not moved for long enough for taps to count."""
    row = card(page, tag)
    expect(button(page, tag, operation)).to_have_count(1)
    wait_for(page, TAKES_TAPS, row.element_handle(), what="the card to stand still")
    if operation not in ("take", "pause", "complete"):
        row.locator("summary").click()
    button(page, tag, operation).click()


def expect_still(page: Page) -> None:
    """Wait until a touch of anything on the board counts: nothing has moved for a moment."""
    wait_for(
        page,
        f"() => [...document.querySelectorAll('*')].every({TAKES_TAPS})",
        what="the page to stand still",
    )


def expect_state(page: Page, tag: str, state: str, holder: str = "") -> None:
    """Wait until the card shows the state, and who holds the item."""
    wait_for(
        page,
        """([tag, state, holder]) => {
          const row = document.querySelector(`.row[data-key="${tag}"], .items.one .row`);
          return row?.querySelector(`.state .mark.${state}`)
            && (row.querySelector('.holder')?.textContent ?? '') === holder;
        }""",
        [tag, state, holder],
        what=f"{tag} to be {state} {holder}",
    )


def expect_live(page: Page, status: str = "live") -> None:
    """Wait until the page shows that it follows the board, or another situation."""
    wait_for(
        page,
        "status => document.getElementById('live')?.dataset.status === status",
        status,
        what=f"the page to be {status}",
        timeout_s=20,
    )


def wait_for(
    page: Page, condition: str, argument: Any = None, *, what: str, timeout_s: float = 10
) -> None:
    """Wait until a function of the page answers true; looked at with every frame it draws."""
    try:
        page.wait_for_function(condition, arg=argument, timeout=timeout_s * 1000)
    except TimeoutError as error:
        shown = page.locator("body").aria_snapshot()
        raise AssertionError(f"waited {timeout_s:g} s for {what}; shown is:\n{shown}") from error


def note_mistakes(page: Page, mistakes: list[str]) -> None:
    """Collect the errors of a page: exceptions, and violations of its content security policy."""

    def on_console(message: Any) -> None:
        if "Content Security Policy" in message.text:
            mistakes.append(message.text)

    page.on("pageerror", lambda error: mistakes.append(str(error.stack or error)))
    page.on("console", on_console)


def sign_in_by_hand(page: Page, worker: str, pin: str = PIN) -> None:
    """Fill in the dialog that is open."""
    page.locator('#session-dialog input[name="worker"]').fill(worker)
    page.locator('#session-dialog input[name="pin"]').fill(pin)
    page.locator("#session-dialog button.primary").click()

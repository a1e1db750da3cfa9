"""The page of people, as tests use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import Locator, Page, expect

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

PAYLOAD = '"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{name}'


def opened(visit: Visit, word: str = "", **options: Any) -> Page:
    page = visit("/people", "admin", **options)
    expect(page.locator("#people .row").first).to_be_visible()
    if word:
        page.locator("#search").fill(word)
    return page


def ids(page: Page) -> list[str]:
    found = page.locator("#people .row").all()
    return sorted(each.get_attribute("data-key") or "" for each in found)


def open_person(page: Page, worker_id: str) -> Locator:
    page.locator(f'.row[data-key="{worker_id}"] .open').click()
    dialog = page.locator("#person-dialog")
    expect(dialog).to_be_visible()
    return dialog


def act(page: Page, name: str) -> Locator:
    """Open one of a person's forms."""
    page.locator(f'#person-dialog [data-action="{name}"]').click()
    dialog = page.locator("#ask-dialog")
    expect(dialog).to_be_visible()
    return dialog


def send(dialog: Locator) -> None:
    dialog.locator("form .primary").click()

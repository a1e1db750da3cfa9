"""Somebody else signs in on a page, and answers are held back until then."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Site, sign_in_by_hand


def signed_in(site: Site, visit: Visit, path: str, worker: str = "holder") -> Page:
    """A page with a session of its own, which may be ended."""
    page = visit("/sign-in", None)
    site.sign_in(page.context, worker)
    page.goto(path)
    expect(page.locator("#who strong")).to_have_text(worker.title())
    return page


def switch(page: Page, worker: str) -> None:
    page.locator("#who button").click()
    sign_in_by_hand(page, worker)
    expect(page.locator("#who strong")).to_have_text(worker.title())


def settle(page: Page) -> None:
    """Let the page handle what has come: a later answer follows it."""
    page.evaluate("async () => { await fetch('/livez'); await new Promise(setTimeout); }")

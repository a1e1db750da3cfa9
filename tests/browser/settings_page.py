"""The page with the settings of a board, as tests use it."""

from __future__ import annotations

import re
import secrets
from typing import Any

import msgspec
from playwright.sync_api import Locator, Page, expect

from occupancy.boards.records import Board
from occupancy.core.requests.boards import BoardSettingsBody
from occupancy.core.requests.decoding import decode
from tests.browser.site import Site

STEPS = ["ARM", "SOLD", "MET"]
PAYLOAD = '"><script>window.hacked=1</script>{what}'
SHORT_PAYLOAD = "<img src=x onerror=hacked=1>"  # a word for an item has 30 characters
SIZES = [{"width": 390, "height": 844}, {"width": 1440, "height": 900}]


def new_id() -> str:
    return f"n-{secrets.token_hex(4)}"


def configure(site: Site, board: str, **given: Any) -> Board:
    body = decode(msgspec.json.encode(given), BoardSettingsBody)
    return site.services.store.boards.configure(board, body).board


def stored(site: Site, board: str) -> dict[str, Any]:
    """The board as the API has it."""
    found = site.services.store.boards.get(board).as_dict()
    return dict(msgspec.to_builtins(found))


def settings_of(page: Page, board: str) -> Page:
    page.goto(f"/boards/{board}/settings")
    expect(page.locator("#managed")).to_be_visible()
    return page


def lines(page: Page, label: str) -> Locator:
    """The lines of a list, by the name of one."""
    return page.locator("#settings-form .line").filter(
        has=page.get_by_label(re.compile(rf"^{label} \d+$"))
    )


def save(page: Page) -> None:
    page.locator("#save").click()
    expect(page.locator("#save-said")).to_have_text("Saved.")


def fill_line(page: Page, label: str, place: int, text: str) -> None:
    page.get_by_label(f"{label} {place}", exact=True).fill(text)

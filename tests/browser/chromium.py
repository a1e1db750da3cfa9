"""Chromium: the one that the system has, driven by Playwright, which brings no browser here."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

HOST_NAME = "board.test"  # leads here too, and is no secure context: neither https nor localhost
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--host-resolver-rules=MAP {HOST_NAME} 127.0.0.1",
]


def path_of_chromium() -> str | None:
    """Where the system's Chromium is, if it has one."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextlib.contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A running browser; each of its contexts is a browser of its own to the pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGS)
        try:
            yield browser
        finally:
            browser.close()

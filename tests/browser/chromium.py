"""The system's Chromium, driven by Playwright without a browser of its own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

HOST_NAME = "board.test"  # also loopback, and not a secure context: neither https nor localhost
_NAMES = ("chromium", "chromium-browser", "google-chrome")
# Chromium takes the last list. These are Playwright's, as far as they concern this system, and the
# renderer that it would start for a page that may come next: a third of the work of a page load.
_DISABLED = (
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding",
    "ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints",
    "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch",
    "SpareRendererForSitePerProcess",
)  # fmt: skip
_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--process-per-site",
    f"--disable-features={','.join(_DISABLED)}",
    f"--host-resolver-rules=MAP {HOST_NAME} 127.0.0.1",
]


def path_of_chromium() -> str | None:
    """The path of the system's Chromium, or None."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextlib.contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A running browser; each context is a separate browser to the pages."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGS)
        try:
            yield browser
        finally:
            browser.close()

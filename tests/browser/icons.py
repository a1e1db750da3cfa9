"""Draws the icons of the installed app from icon.svg: python -m tests.browser.icons

Run it after a change of the drawing. The PNG files are committed: nothing draws them at a start.
"""

from __future__ import annotations

import re

from playwright.sync_api import Browser

from tests.browser.chromium import chromium, path_of_chromium
from tests.support.deployment import ROOT

_STATIC = ROOT / "occupancy" / "web" / "ui" / "static"
# Name → side in px, and whether it fills the square. A system that cuts icons to its own shape gets
# the full one: the drawing is in the circle of 80 % that every shape leaves (W3C, maskable icons).
ICONS = {
    "icon-192.png": (192, False),
    "icon-512.png": (512, False),
    "icon-full-180.png": (180, True),
    "icon-full-512.png": (512, True),
}


def drawing(is_full: bool) -> str:
    """The icon's SVG; a full one has its ground up to the edges."""
    svg = (_STATIC / "icon.svg").read_text()
    if not is_full:
        return svg
    full, count = re.subn(
        r'<rect x="2" y="2" width="28" height="28" rx="6"', '<rect width="32" height="32"', svg
    )
    assert count == 1, "the ground of icon.svg has changed"
    return full


def draw(browser: Browser, side: int, svg: str) -> bytes:
    page = browser.new_page(viewport={"width": side, "height": side})
    page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
    picture = page.screenshot(omit_background=True)
    page.close()
    return picture


def main() -> None:
    with chromium(path_of_chromium() or "chromium") as browser:
        for name, (side, is_full) in ICONS.items():
            (_STATIC / name).write_bytes(draw(browser, side, drawing(is_full)))


if __name__ == "__main__":
    main()

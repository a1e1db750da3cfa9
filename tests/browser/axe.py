"""axe, the engine for accessibility audits, run inside a page."""

from __future__ import annotations

from typing import Any, Literal

from playwright.sync_api import Page

from tests.conftest import require
from tests.support.deployment import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
THEMES: tuple[tuple[Literal["light", "dark"], dict[str, Any]], ...] = (
    ("light", {"type": "tag", "values": STANDARD}),
    ("dark", {"type": "rule", "values": ["color-contrast"]}),  # the rest is the same
)


def violations(page: Page) -> list[str]:
    """The violations of WCAG 2.2 AA that axe finds, in both themes."""
    source = require(AXE if AXE.exists() else None, "axe-core (npm ci)").read_text()
    page.evaluate(source)  # by the debugger, because the page's policy refuses foreign scripts
    page.evaluate("() => scrollTo(0, 0)")  # else the header may cover half a button: too small
    found = []
    for theme, rules in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        result = page.evaluate(
            "rules => axe.run({runOnly: rules, resultTypes: ['violations']})", rules
        )
        for each in result["violations"]:
            where = [node["target"] for node in each["nodes"]]
            found.append(f"{theme}: {each['impact']}: {each['id']}: {each['help']}: {where}")
    return found

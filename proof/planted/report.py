"""The table of planted bugs, for docs/reliability.md."""

from __future__ import annotations

from typing import Any


def table(results: dict[str, Any]) -> list[str]:
    """Lines of Markdown: how many were caught, then each bug and the test that has noticed it."""
    rows = results["bugs"]
    caught = sum(bool(each["caught_by"]) for each in rows)
    return [
        f"Caught: {caught} of {len(rows)}.",
        "",
        "| area | bug | caught by |",
        "|---|---|---|",
        *(
            f"| {each['area']} | {_cell(each['what'])} | {_test(each['caught_by'])} |"
            for each in sorted(rows, key=lambda row: (row["area"], row["name"]))
        ),
    ]


def _test(caught_by: str) -> str:
    return f"`{_cell(caught_by)}`" if caught_by else "**nothing**"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

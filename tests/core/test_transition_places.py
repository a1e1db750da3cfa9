"""The places of an operation: its row in the table and its texts, and no other module names it."""

from __future__ import annotations

import re

import pytest

from occupancy.core.transitions import (
    PUT,
    REMOVE,
    RENAME,
    TARGETS,
    TRANSITIONS,
    Transition,
)
from tests.support.deployment import ROOT

PACKAGE = ROOT / "occupancy"
TABLE = "core/transitions.py"
TEXTS = {
    f"web/ui/static/i18n/{path.name}" for path in (PACKAGE / "web/ui/static/i18n").glob("??.json")
}
# An import is complete or not: that is a detail of the audit, and no operation.
OTHER_MEANINGS = {"web/ui/static/js/audit_text.js", "web/ui/static/i18n/en.manage.json"}
EXAMPLES = {  # what the sample's items have behind them, and an example of an event
    "sample/content.py", "sample/removal.py", "web/ui/templates/docs.html",
}  # fmt: skip
COMPARISON = re.compile(
    r"""operation["\]]*\s*(?:[=!~]==?|\b(?:not )?in)\s*[\[({]?["'`]"""
    r"""|["'`]\s*[=!~]==?\s*[\w.]*operation\b"""
    r"""|\bis (?:not )?(?:PUT|REMOVE|RENAME)\b"""
)
SUFFIXES = {".py", ".lua", ".js", ".html", ".css", ".json"}


def named(names: list[str], suffix: str) -> re.Pattern[str]:
    """What names one of ``names`` in a file: a string, a text's key, a class of a stylesheet."""
    any_of = "|".join(map(re.escape, names))
    if suffix == ".css":
        return re.compile(rf"\.(?:{any_of})(?![\w-])")
    quotes = "\"'`" if suffix == ".js" else "\"'"
    return re.compile(rf"([{quotes}])(?:(?:operation|done|event|history)\.)?(?:{any_of})\1")


def places(names: list[str]) -> set[str]:
    """The files of the package that name one of ``names``."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix in SUFFIXES and named(names, path.suffix).search(path.read_text())
    }


@pytest.mark.parametrize("transition", TRANSITIONS.values(), ids=lambda each: each.operation)
def test_an_operation_is_named_in_its_row_and_its_texts_only(transition: Transition) -> None:
    found = places([transition.operation, transition.event])
    allowed = EXAMPLES | (OTHER_MEANINGS if transition.operation == "complete" else set())
    assert found - allowed == {TABLE, *TEXTS}


@pytest.mark.parametrize("transition", [PUT, RENAME, REMOVE], ids=lambda each: each.operation)
def test_the_event_of_an_edit_is_named_in_its_row_and_its_texts_only(
    transition: Transition,
) -> None:
    events = [transition.event, *filter(None, [transition.added_event])]
    assert places(events) - EXAMPLES == {TABLE, *TEXTS}


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".json", ".css"}))
def test_no_module_compares_the_name_of_an_operation(suffix: str) -> None:
    modules = list(PACKAGE.rglob(f"*{suffix}"))
    assert modules
    found = {
        f"{path.relative_to(PACKAGE)}: {line}"
        for path in modules
        for line in path.read_text().splitlines()
        if COMPARISON.search(line)
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        'if row.operation == "take":', 'if "take" != row.operation:',
        'if operation in ("take", "pause"):', 'if operation not in {"take"}:',
        'if body["operation"] == "take":', "if transition is PUT:", "if row is not REMOVE:",
        "if (operation === 'take') {", "if (row.operation !== `take`) {",
        "if request.operation == 'take' then", "if transition.operation ~= 'take' then",
    ],
)  # fmt: skip
def test_a_comparison_is_found_in_every_language(line: str) -> None:
    assert COMPARISON.search(line)


@pytest.mark.parametrize(
    ("line", "suffix"),
    [
        ('if row.operation == "take":', ".py"),
        ("const MAIN = ['take'];", ".js"),
        ("t(`operation.take`)", ".js"),
        ("row.operation == 'take'", ".lua"),
        ("button.act.take { color: red; }", ".css"),
    ],
)
def test_a_name_is_found_in_every_language(line: str, suffix: str) -> None:
    assert named(["take"], suffix).search(line)


def test_each_special_target_is_that_of_some_operation() -> None:
    assert TARGETS.keys() <= {each.target for each in (*TRANSITIONS.values(), PUT, RENAME, REMOVE)}

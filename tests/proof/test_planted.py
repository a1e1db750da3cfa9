"""Planted bugs: each can be planted, and the table hides none."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from proof.planted.bug import ROOT, BadBug, Bug, read
from proof.planted.report import table

BUGS = read()
LEAST = 250
AREAS = {
    "script", "pool", "budget", "hub", "feed", "reader", "log", "fanout", "pacing", "subscriber",
    "writer", "cursors", "promotion", "topology", "snapshot",
    "fast", "access", "session", "browser", "import", "metrics", "reconcile", "timeline", "cli",
    "pages", "boards", "audit",
}  # fmt: skip


@functools.cache
def text_of(path: str) -> str:
    return (ROOT / path).read_text()


def bug(**changes: str) -> Bug:
    fields = {"name": "x-y", "area": "x", "what": "", "file": "", "old": "b", "new": "c", **changes}
    return Bug(**fields, tests=("tests/x",))


def test_there_are_bugs_of_every_area() -> None:
    assert len(BUGS) >= LEAST
    assert {each.area for each in BUGS} >= AREAS


@pytest.mark.parametrize("area", sorted({each.area for each in BUGS}))
def test_each_bug_of_an_area_can_be_planted_and_its_tests_are_there(area: str) -> None:
    for each in [bug for bug in BUGS if bug.area == area]:
        planted = each.applied(text_of(each.file))
        if each.file.endswith(".py"):
            ast.parse(planted, each.file)
        for test in each.tests:
            path, _, name = test.removeprefix("js:").partition("::")
            assert (ROOT / path).exists(), f"{each.name}: {path}"
            if name:
                assert f"def {name.partition('[')[0]}(" in text_of(path), f"{each.name}: {test}"


@pytest.mark.parametrize("text", ["a", "b and b"])
def test_a_bug_whose_place_is_not_clear_is_refused(text: str) -> None:
    with pytest.raises(BadBug, match="occurs"):
        bug().applied(text)


def test_a_bug_that_changes_nothing_is_refused() -> None:
    with pytest.raises(BadBug, match="nothing"):
        bug(new="b").applied("b")


@pytest.mark.parametrize(
    "text",
    [
        '[[bug]]\nname="x-y"\nwhat=""\nfile=""\nold=""\nnew=""\ntests=["t"]\n' * 2,
        '[[bug]]\nname="y"\nwhat=""\nfile=""\nold=""\nnew=""\ntests=["t"]\n',
        '[[bug]]\nname="x-y"\nwhat=""\nfile=""\nold=""\nnew=""\ntests=[]\n',
        '[[bug]]\nname="x-y"\nwhat=""\n',
    ],
)
def test_a_list_of_bugs_with_a_mistake_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(BadBug, match=r"x-y|y: the name"):
        read(tmp_path)


def test_the_table_names_what_nothing_has_noticed() -> None:
    rows = [
        {"area": "pool", "name": "pool-b", "what": "A | B.", "caught_by": "tests/x.py::test"},
        {"area": "pool", "name": "pool-a", "what": "C.", "caught_by": ""},
    ]
    found = table({"bugs": rows})
    assert found[0] == "Caught: 1 of 2."
    assert found[-2:] == ["| pool | C. | **nothing** |", "| pool | A \\| B. | `tests/x.py::test` |"]

"""The transition table on the pages: it is the server's, and the scripts' tests have the same.

``python -m tests.web.ui.test_transitions`` writes the table for the scripts' tests.
"""

from __future__ import annotations

import html
import json
import re

import pytest
from flask.testing import FlaskClient

from occupancy.core.transitions import TRANSITIONS
from occupancy.web.routes.pages import TRANSITIONS_JSON
from tests.support.deployment import ROOT

OF_SCRIPTS = ROOT / "tests" / "js" / "transitions.json"
SCRIPTS = ROOT / "occupancy" / "web" / "ui" / "static" / "js"


def table_of_scripts() -> str:
    """The server's table, a row a line."""
    rows = ",\n".join(f" {json.dumps(row)}" for row in json.loads(TRANSITIONS_JSON))
    return f"[\n{rows}\n]\n"


@pytest.mark.parametrize("path", ["/boards/main", "/boards/main/items/T-1", "/boards/main/wall"])
def test_a_page_has_the_servers_table(shells: FlaskClient, path: str) -> None:
    found = re.search(r'data-transitions="([^"]*)"', shells.get(path).text)
    assert found is not None
    assert html.unescape(found[1]) == TRANSITIONS_JSON


def _has_the_table_module(script: str, seen: set[str]) -> bool:
    """Whether a script, or one that it imports, is the module that reads the table."""
    seen.add(script)
    imported = set(re.findall(r"from '\./(\w+\.js)'", (SCRIPTS / script).read_text()))
    return script == "transitions.js" or any(
        _has_the_table_module(each, seen) for each in imported - seen
    )


@pytest.mark.parametrize(
    "path",
    ["/boards", "/boards/main", "/boards/main/items/T-1", "/boards/main/wall", "/sign-in",
     "/boards/main/settings", "/boards/main/items", "/boards/main/import", "/boards/main/labels",
     "/people", "/people/cards", "/programs", "/account", "/day", "/setup", "/status", "/audit"],
)  # fmt: skip
def test_a_page_has_the_table_if_one_of_its_scripts_reads_it(
    shells: FlaskClient, path: str
) -> None:
    shell = shells.get(path).text
    script = re.search(r'<script type="module" src="[^"]*/(\w+\.js)"', shell)
    assert script is not None
    assert ("data-transitions" in shell) == _has_the_table_module(script[1], set())


def test_the_scripts_are_tested_with_the_servers_table() -> None:
    assert OF_SCRIPTS.read_text() == table_of_scripts(), "write it anew, as this module says"


def test_no_two_operations_have_one_key() -> None:
    keys = [each.key for each in TRANSITIONS.values() if each.key]
    assert len(keys) == len(set(keys))


if __name__ == "__main__":
    OF_SCRIPTS.write_text(table_of_scripts())

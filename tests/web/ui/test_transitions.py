"""The transition table on the pages: it is the server's, and the scripts' tests have the same."""

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


@pytest.mark.parametrize("path", ["/boards/main", "/boards/main/items/T-1", "/boards/main/wall"])
def test_a_page_has_the_servers_table(shells: FlaskClient, path: str) -> None:
    found = re.search(r'data-transitions="([^"]*)"', shells.get(path).text)
    assert found is not None
    assert html.unescape(found[1]) == TRANSITIONS_JSON


def test_the_scripts_are_tested_with_the_servers_table() -> None:
    lines = ",\n".join(f" {json.dumps(row)}" for row in json.loads(TRANSITIONS_JSON))
    assert OF_SCRIPTS.read_text() == f"[\n{lines}\n]\n", "write the table anew: see its docs"


def test_no_two_operations_have_one_key() -> None:
    keys = [each.key for each in TRANSITIONS.values() if each.key]
    assert len(keys) == len(set(keys))

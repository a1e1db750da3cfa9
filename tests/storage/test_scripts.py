"""The scripts as they are joined from their files."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

from occupancy.core.transitions import PUT, REMOVE, RENAME, TRANSITIONS
from occupancy.storage import scripts
from tests.support.deployment import ROOT

LUA = Path(scripts.__file__).parent / "lua"
SCRIPTS_OF_BOARDS = sorted((LUA / "board").rglob("*.lua"))
assert SCRIPTS_OF_BOARDS


def test_every_file_is_a_script_or_a_piece_of_one() -> None:
    files = {str(path.relative_to(LUA).with_suffix("")) for path in LUA.rglob("*.lua")}
    pieces = set(chain.from_iterable(scripts.PIECES.values())) | {
        "publish",
        "publish_in_shard",
        "publishing",
    }
    run = {
        name
        for path in (ROOT / "occupancy").rglob("*.py")
        for name in re.findall(r"Script\(\s*[\w.]+,\s*\"([^\"]+)\"", path.read_text())
    }
    assert pieces | (run - set(scripts.PIECES)) == files


def test_each_file_of_boards_says_what_it_is_under_its_own_name() -> None:
    for path in SCRIPTS_OF_BOARDS:
        name = path.relative_to(LUA / "board").with_suffix("")
        assert path.read_text().startswith(f"-- {name}: "), path


def test_no_script_tells_operations_apart_by_their_names() -> None:
    names = "|".join((*TRANSITIONS, PUT.operation, REMOVE.operation, RENAME.operation))
    for path in SCRIPTS_OF_BOARDS:
        code = re.sub(r"--.*", "", path.read_text())
        assert re.findall(rf"""['"]({names})['"]""", code) == [], path

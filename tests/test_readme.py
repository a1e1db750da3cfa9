"""The README says what the code does: its tables are held to the code's own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from occupancy.core.settings import Settings
from occupancy.core.transitions import TRANSITIONS

README = (Path(__file__).parent.parent / "README.md").read_text()


def settings_table() -> str:
    """The settings as the README shows them."""
    lines = ["| variable | default | allowed | what |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(Settings):
        low, high = field.metadata["low"], field.metadata["high"]
        allowed = "" if low is None else f"{low} to {high}"
        default = "" if field.default in ("", ()) else f"`{field.default}`"
        row = [f"`{field.metadata['env']}`", default, allowed, field.metadata["help"]]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def test_the_settings_table_is_the_one_of_the_code() -> None:
    assert settings_table() in README


def test_every_operation_stands_in_the_table_of_operations() -> None:
    for operation in TRANSITIONS:
        assert f"| `{operation}` |" in README

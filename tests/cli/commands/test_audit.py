"""``flask audit``: what commands leave in the trail, list and export."""

from __future__ import annotations

import json
from pathlib import Path

from occupancy.services import Services
from tests.cli.command_line import Run, answer, error


def test_a_command_is_in_the_trail_as_soon_as_it_ends(run: Run, shop: Services) -> None:
    made = answer(run("tokens", "create", "93", "--json"))
    run("items", "import", "-", "--board", "main", stdin="tag,title\nT-7,Seven\n")
    listed = answer(run("audit", "list", "--json"))["entries"]
    assert [(each["event"], each["means"], each["board"]) for each in listed] == [
        ("items_imported", "cli", "main"), ("token_added", "cli", None),
    ]  # fmt: skip
    assert listed[0]["details"] == {"added": 1, "updated": 0}
    assert made["token"] not in json.dumps(listed)
    assert "token_added" in run("audit", "list", "--worker", "93").stdout
    assert "token_added" not in run("audit", "list", "--worker", "94").stdout


def test_a_list_goes_on_over_pages_up_to_its_limit(run: Run, shop: Services) -> None:
    for number in range(620):
        shop.audit_trail.record_soon("denied", code="csrf", worker=str(number))
        shop.audit_trail.flush()
    assert len(answer(run("audit", "list", "--limit", "610", "--json"))["entries"]) == 610


def test_an_export_is_a_file_and_is_recorded(run: Run, shop: Services, tmp_path: Path) -> None:
    run("tokens", "create", "93")
    file = tmp_path / "audit.csv"
    result = run("audit", "export", str(file))
    assert result.stderr == "Exported 2 entries.\n"
    assert [line.split(",")[1] for line in file.read_text().splitlines()] == [
        "event", "audit_exported", "token_added",
    ]  # fmt: skip
    result = run("audit", "export", "-", "--format", "jsonl", "--event", "audit_exported")
    assert [json.loads(each)["details"] for each in result.stdout.splitlines()] == [
        {"format": "jsonl", "filter_event": "audit_exported"}, {"format": "csv"},
    ]  # fmt: skip


def test_a_wrong_time_is_one_line(run: Run, shop: Services) -> None:
    assert "since must be a time" in error(run("audit", "list", "--since", "yesterday"))

"""Commands about badges and stations."""

from __future__ import annotations

import logging

import pytest

from occupancy.services import Services
from tests.cli.command_line import Run, answer, error
from tests.support.tablets import audit_lines_of

CODE = "0012345678"


def test_a_badge_is_read_from_standard_input_and_not_shown(run: Run, shop: Services) -> None:
    args = ("workers", "badge", "add", "93", "--label", "blue", "--json")
    added = answer(run(*args, stdin=f"{CODE}\n"))
    assert (added["worker"], added["label"], added["ending"]) == ("93", "blue", "78")
    assert answer(run(*args, stdin=f"{CODE}\n")) == added
    found = shop.badges.find(CODE)
    assert found is not None
    assert found.badge.id == added["id"]
    for listing in (["list"], ["list", "93", "--json"]):
        assert CODE not in run("workers", "badge", *listing).output
    assert answer(run("workers", "badge", "list", "94", "--json"))["badges"] == []
    header, line = run("workers", "badge", "list").stdout.splitlines()
    assert header.startswith("id")
    assert added["id"] in line


def test_a_code_is_no_argument(run: Run, shop: Services) -> None:
    error(run("workers", "badge", "add", "93", CODE), 2)


def test_another_workers_badge_and_short_codes_are_refused(run: Run, shop: Services) -> None:
    run("workers", "badge", "add", "93", stdin=f"{CODE}\n")
    refused = error(run("workers", "badge", "add", "94", stdin=f"{CODE}\n"))
    assert refused == "This badge belongs to worker 93. Remove it there first."
    assert "4 to 128" in error(run("workers", "badge", "add", "94", stdin="123\n"))
    assert "4 to 128" in error(run("workers", "badge", "add", "94", stdin=""))


def test_a_badge_is_removed(run: Run, shop: Services) -> None:
    added = answer(run("workers", "badge", "add", "93", "--json", stdin=f"{CODE}\n"))
    assert "is removed" in run("workers", "badge", "remove", "93", added["id"]).stdout
    assert shop.badges.find(CODE) is None
    error(run("workers", "badge", "remove", "93", added["id"]))


def test_a_station_is_added_listed_and_revoked(run: Run, shop: Services) -> None:
    result = run("stations", "add", "Hall 2", "--board", "main")
    url, _, secret = result.stdout.strip().partition("#")
    assert url.endswith("/sign-in")
    assert "60 minutes" in result.stderr
    _, station = shop.stations.pair(secret)
    listed = answer(run("stations", "list", "--json"))["stations"]
    assert [(each["id"], each["board"]) for each in listed] == [(station.id, "main")]
    assert listed[0]["paired"] is not None
    assert station.id in run("stations", "list").stdout
    assert "is revoked" in run("stations", "revoke", station.id).stdout
    assert answer(run("stations", "list", "--json"))["stations"] == []
    assert "There is no station" in error(run("stations", "revoke", station.id))
    assert "nowhere" in error(run("stations", "add", "x", "--board", "nowhere"))


def test_what_commands_change_is_recorded_without_codes(
    run: Run, shop: Services, caplog: pytest.LogCaptureFixture
) -> None:
    badge = answer(run("workers", "badge", "add", "93", "--json", stdin=f"{CODE}\n"))
    run("workers", "badge", "remove", "93", badge["id"])
    station = answer(run("stations", "add", "Hall 2", "--json"))
    run("stations", "revoke", station["station"]["id"])
    with caplog.at_level(logging.INFO, "occupancy.observability.audit_log"):
        shop.periodic_tasks.run()
    lines = audit_lines_of(caplog)
    assert [each["event"] for each in lines] == [
        "badge_added", "badge_removed", "station_added", "station_revoked",
    ]  # fmt: skip
    assert {each["means"] for each in lines} == {"cli"}
    assert CODE not in caplog.text
    assert station["link"].partition("#")[2] not in caplog.text

"""The sample over HTTP: it is loaded and removed in one step each, and what is somebody's stays."""

from __future__ import annotations

from typing import Any

import pytest

from occupancy.core.entities import Role
from occupancy.core.errors import LastAdmin
from occupancy.sample.content import BOARD, ITEM_COUNT, WORKERS
from occupancy.sample.removal import present, unload
from occupancy.services import Services
from tests.support.applications import application
from tests.support.tablets import fields

PEOPLE = sorted(worker for worker, _, _ in WORKERS)


class Office:
    """An administrator with a token, and nobody else."""

    def __init__(self, services: Services) -> None:
        self.services = services
        services.workers.add("boss", name="Boss", role=Role.ADMIN)
        self._client = application(services).test_client()
        self._secret = services.tokens.create("boss")[0]

    def ask(self, method: str, path: str = "/api/sample", *, secret: str | None = None) -> Any:
        header = {"Authorization": f"Bearer {secret or self._secret}"}
        answer = self._client.open(path, method=method, headers=header)
        assert answer.status_code == 200, answer.text
        return fields(answer)

    def entries(self, *kinds: str) -> list[dict[str, Any]]:
        """The entries of the audit whose event begins so, newest first."""
        found: list[dict[str, Any]] = self.ask("GET", "/api/audit")["entries"]
        return [each for each in found if each["event"].startswith(kinds)]


@pytest.fixture
def office(services: Services) -> Office:
    return Office(services)


def test_the_sample_is_loaded_and_removed_in_one_step_each(office: Office) -> None:
    assert office.ask("GET") == {"board": None, "workers": []}
    added = office.ask("POST")["added"]
    assert (added["boards"], added["workers"], added["items"]) == (1, 6, ITEM_COUNT)
    assert office.ask("GET") == {"board": BOARD, "workers": PEOPLE}
    boards = office.ask("GET", "/api/boards")["boards"]
    assert sum(next(each for each in boards if each["board"] == BOARD)["counts"].values()) == 40
    removed = office.ask("DELETE")
    assert removed == {"boards": 1, "workers": 6, "items": ITEM_COUNT, "kept": []}
    assert office.ask("GET") == {"board": None, "workers": []}
    assert [each.id for each in office.services.workers.all()] == ["boss"]


def test_its_people_get_no_pin(office: Office) -> None:
    office.ask("POST")
    assert all(each.pin_hash is None for each in office.services.workers.all())


def test_a_change_is_audited_and_a_repetition_is_not(office: Office) -> None:
    for method in ("POST", "POST", "DELETE", "DELETE"):
        office.ask(method)
    events = [each["event"] for each in office.entries("sample_")]
    assert events == ["sample_unloaded", "sample_loaded"]


def test_what_somebody_has_changed_or_holds_stays_and_the_answer_says_why(office: Office) -> None:
    services = office.services
    services.workers.add("94", name="Real", role=Role.WORKER)
    office.ask("POST")
    services.store.boards.create("hall")
    services.workers.edit("7", disabled=True)
    services.workers.edit("95", pin_hash="one")
    services.workers.edit("95", pin_hash="another")
    services.workers.edit("12", name="Another")
    assert office.ask("GET")["workers"] == ["1", "93"]
    removed = office.ask("DELETE")
    assert (removed["boards"], removed["workers"], removed["items"]) == (1, 2, ITEM_COUNT)
    assert removed["kept"] == [
        {"kind": "worker", "id": "94", "why": "renamed", "name": "Real"},
        {"kind": "worker", "id": "95", "why": "disabled", "name": "Lucía Vega"},
        {"kind": "worker", "id": "12", "why": "renamed", "name": "Another"},
        {"kind": "worker", "id": "7", "why": "disabled", "name": "Ana Torres"},
    ]


def test_the_one_who_removes_it_is_not_removed(office: Office) -> None:
    office.ask("POST")
    secret, _ = office.services.tokens.create("1")
    removed = office.ask("DELETE", secret=secret)
    assert removed["kept"] == [
        {"kind": "worker", "id": "1", "why": "self", "name": "Elena Prieto"}
    ]  # fmt: skip
    assert office.ask("GET", secret=secret) == {"board": None, "workers": []}


def test_its_administrator_stays_while_there_is_no_other(office: Office) -> None:
    office.ask("POST")
    services = office.services
    token, _ = services.tokens.create("1")
    services.workers.edit("boss", disabled=True)
    removed = unload(services, recording=services.audit_trail.recording)
    assert (removed.boards, removed.workers, removed.items) == (1, 5, ITEM_COUNT)
    assert [(each.id, each.why) for each in removed.kept] == [("1", "last_admin")]
    assert "only active administrator" in str(removed.kept[0])
    assert office.ask("GET", secret=token) == {"board": None, "workers": []}  # nothing to remove
    services.workers.edit("boss", disabled=False)
    assert present(services).workers == ["1"]
    assert unload(services, recording=services.audit_trail.recording).workers == 1
    assert [each.id for each in services.workers.all()] == ["boss"]


def test_a_badge_that_ends_with_its_person_is_in_the_audit(office: Office) -> None:
    office.ask("POST")
    badge, _ = office.services.badges.add("93", "0012345678", by="boss")
    office.ask("DELETE")
    (entry,) = office.entries("badge_removed")
    assert (entry["by"], entry["worker"], entry["details"]) == ("boss", "93", {"badge": badge.id})


def test_the_last_administrator_is_not_removed_even_if_the_other_has_just_gone(
    office: Office,
) -> None:
    services = office.services
    services.workers.add("hand", name="Hand", role=Role.WORKER)
    alone = services.workers.stored("boss")
    with pytest.raises(LastAdmin):
        services.workers.remove(alone)
    assert services.workers.get("boss") == alone.worker
    services.workers.add("second", name="Second", role=Role.ADMIN)
    assert services.workers.remove(alone)


def test_tokens_and_stations_of_its_board_end_with_it(office: Office) -> None:
    office.ask("POST")
    office.services.tokens.create("boss", board=BOARD, role=Role.OBSERVER)
    office.services.stations.create("Hall", by="boss", board=BOARD)
    office.ask("DELETE")
    assert [each.token.board for each in office.services.tokens.all()] == [None]
    assert office.services.stations.all() == []


def test_the_audit_names_its_board_and_each_token_and_station_that_ends_with_it(
    valkey_services: Services,
) -> None:
    office = Office(valkey_services)
    office.ask("POST")
    wall = valkey_services.tokens.create("boss", board=BOARD, role=Role.OBSERVER)[1]
    own = valkey_services.tokens.create("93")[1]
    _, station = valkey_services.stations.create("Hall", by="boss", board=BOARD)
    office.ask("DELETE")
    removed, _loaded = office.entries("sample_unloaded", "sample_loaded")
    assert {each["by"] for each in office.entries("board_", "token_", "station_")} == {"boss"}
    assert [
        (each["event"], each.get("board"), each.get("worker"), each.get("details"))
        for each in office.entries("board_", "token_", "station_")
    ] == [
        ("token_revoked", None, "93", {"token": own.id}),
        ("station_revoked", BOARD, None, {"station": station.id, "name": "Hall"}),
        ("token_revoked", BOARD, "boss", {"token": wall.id}),
        ("board_removed", BOARD, None, {"items": 0}),
    ]  # fmt: skip
    assert removed["details"] == {"boards": 1, "workers": 6, "items": ITEM_COUNT}

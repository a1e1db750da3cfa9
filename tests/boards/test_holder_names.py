"""A renamed worker: the items that they hold show the new name everywhere."""

from __future__ import annotations

import json
from typing import Any

import gevent
import pytest
import redis
from flask.testing import FlaskClient

from occupancy.boards import holder_names as renames_module
from occupancy.boards.commands import Command
from occupancy.boards.queries import _LARGE_ITEMS
from occupancy.core.entities import Role
from occupancy.core.errors import StoreUnavailable
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services


@pytest.fixture
def holders(services: Services) -> Services:
    """Ana holds A on main and B on another board; Ben holds C."""
    for worker_id in ("ana", "ben"):
        services.workers.add(worker_id, name=worker_id.title(), role=Role.WORKER)
    services.store.boards.create("north")
    for board, tag, who in (("main", "A", "ana"), ("north", "B", "ana"), ("main", "C", "ben")):
        actor = services.workers.get(who).person
        services.store.commands.execute(Command(board, PUT, [tag], actor=actor, items=[{}]))
        services.store.commands.execute(Command(board, TRANSITIONS["take"], [tag], actor=actor))
    return services


def item(services: Services, board: str, tag: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(services.store.queries.item(board, tag))
    return found


def name(services: Services, board: str, tag: str) -> str:
    return str(item(services, board, tag)["holder"]["name"])


def fail(*_args: Any, **_options: Any) -> Any:
    raise StoreUnavailable("away", retry_after=1)


def marks(services: Services) -> Any:
    return services.store.client.hgetall(services.store.keys.renamed)


def test_a_renamed_worker_is_shown_and_found_by_the_new_name_at_once(holders: Services) -> None:
    before = item(holders, "main", "A")
    head = holders.store.log.head("main")
    holders.workers.edit("ana", name="Ana María")
    assert name(holders, "main", "A") == name(holders, "north", "B") == "Ana María"
    after = item(holders, "main", "A")
    assert after == {
        **before, "holder": {"id": "ana", "name": "Ana María"}, "version": before["version"] + 1,
    }  # fmt: skip
    found = holders.store.queries.snapshot("main", text="maría")
    assert found is not None
    assert [json.loads(each)["tag"] for each in found.items] == ["A"]
    # A stream gets this event and no other.
    (entry,) = holders.store.log.replay("main", head.head_cursor, 10).entries
    event = json.loads(entry.event)
    assert (event["type"], event["item"]) == ("item.updated", after)
    assert (event["actor"]["id"], event["means"]) == ("occupancy", "service")
    assert name(holders, "main", "C") == "Ben"


@pytest.mark.thorough
def test_a_kept_board_follows_a_rename(holders: Services) -> None:
    rows: list[tuple[str, dict[str, str]]] = [
        (f"T-{number:04}", {}) for number in range(_LARGE_ITEMS)
    ]
    list(holders.store.commands.put_many("main", rows, actor=holders.workers.get("ben").person))
    kept = holders.store.snapshot_cache.find("main")
    assert kept is not None
    assert b'"name":"Ana"' in kept.plain()
    holders.workers.edit("ana", name="Anne")
    now = holders.store.snapshot_cache.find("main")
    assert now is not None
    assert b'"name":"Anne"' in now.plain()
    assert b'"name":"Ana"' not in now.plain()


def test_an_edit_that_leaves_the_name_changes_no_item(holders: Services) -> None:
    head = holders.store.log.head("main").head_cursor
    holders.workers.edit("ana", role="supervisor")
    assert holders.store.log.head("main").head_cursor == head
    assert marks(holders) == {}


def test_the_hold_goes_on_after_a_rename(holders: Services) -> None:
    holders.workers.edit("ana", name="Anne")
    person = holders.workers.get("ana").person
    (repeat,) = holders.store.commands.execute(
        Command("main", TRANSITIONS["take"], ["A"], actor=person)
    ).outcomes
    assert (repeat.code, repeat.changed) == ("ok", False)
    (paused,) = holders.store.commands.execute(
        Command("main", TRANSITIONS["pause"], ["A"], actor=person)
    ).outcomes
    assert (paused.code, paused.changed) == ("ok", True)


def test_a_rename_that_broke_off_is_finished_by_the_next_probe(
    holders: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(holders.store.commands, "execute", fail)
        holders.workers.edit("ana", name="Anne")  # the name has changed, and that stands
    assert name(holders, "main", "A") == "Ana"
    holders.holder_names.settle()
    assert name(holders, "main", "A") == "Ana"  # not yet: somebody may be at it
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    holders.holder_names.settle()
    assert name(holders, "main", "A") == name(holders, "north", "B") == "Anne"
    assert marks(holders) == {}


def test_an_operation_under_way_with_the_old_name_is_mended(
    holders: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = holders.workers.get("ana").person
    holders.workers.edit("ana", name="Anne")
    holders.store.commands.execute(Command("main", PUT, ["LATE"], actor=old, items=[{}]))
    holders.store.commands.execute(Command("main", TRANSITIONS["take"], ["LATE"], actor=old))
    assert name(holders, "main", "LATE") == "Ana"
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    holders.holder_names.settle()
    assert name(holders, "main", "LATE") == "Anne"


def test_two_renames_end_with_the_last_name_and_no_mark_of_the_second_is_lost(
    holders: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders.workers.edit("ana", name="Anne")
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    show = holders.holder_names._show

    def renamed_meanwhile(person: Any) -> None:
        show(person)
        monkeypatch.setattr(holders.holder_names, "_show", show)
        holders.workers.edit("ana", name="Hanna")

    monkeypatch.setattr(holders.holder_names, "_show", renamed_meanwhile)
    holders.holder_names.settle()
    assert name(holders, "main", "A") == "Hanna"
    assert list(marks(holders)) == [b"ana"]
    holders.holder_names.settle()
    assert marks(holders) == {}


def test_every_process_at_once_makes_one_event(
    holders: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(holders.store.commands, "execute", fail)
        holders.workers.edit("ana", name="Anne")
    head = holders.store.log.head("main").head_seq
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    gevent.joinall([gevent.spawn(holders.holder_names.settle) for _ in range(5)], raise_error=True)
    assert name(holders, "main", "A") == "Anne"
    assert holders.store.log.head("main").head_seq == head + 1


def test_a_rename_over_http_follows(
    client: FlaskClient, services: Services, people: dict[str, dict[str, str]]
) -> None:
    services.store.commands.execute(
        Command("main", PUT, ["A"], actor=services.workers.get("admin").person, items=[{}])
    )
    assert client.post("/api/boards/main/items/A/take", headers=people["holder"]).status_code == 200
    response = client.put("/api/workers/holder", json={"name": "Rosa"}, headers=people["admin"])
    assert response.status_code == 200
    found = client.get("/api/boards/main/items?q=rosa", headers=people["watcher"])
    assert [each["tag"] for each in json.loads(found.data)["items"]] == ["A"]


def test_a_board_that_cannot_be_read_keeps_a_rename_from_no_other(
    holders: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders.store.boards.create("a-broken")  # before the others
    held = holders.store.keys.board("a-broken").by_holder
    holders.store.client.set(held, "of another type")
    holders.workers.edit("ana", name="Anne")  # it took effect, so it does not fail
    assert name(holders, "main", "A") == name(holders, "north", "B") == "Anne"
    assert set(marks(holders)) == {b"ana"}

    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    old = holders.workers.get("ben").person
    holders.workers.edit("ben", name="Benno")
    holders.store.commands.execute(Command("main", TRANSITIONS["pause"], ["C"], actor=old))
    holders.store.commands.execute(Command("main", TRANSITIONS["take"], ["C"], actor=old))
    assert name(holders, "main", "C") == "Ben"
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        holders.holder_names.settle()
    assert name(holders, "main", "C") == "Benno"
    assert set(marks(holders)) == {b"ana", b"ben"}  # the broken board is tried again
    holders.store.client.delete(held)
    holders.holder_names.settle()
    assert marks(holders) == {}


def test_live_delivery_follows_operations_to_another_server_whatever_else_fails(
    holders: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = holders.store.client
    client.set(holders.store.keys.renamed, "")  # of another type: settling the names fails
    hung_up: list[bool] = []
    monkeypatch.setattr(
        holders.topology.shards()[0].pubsub_pool, "hang_up", lambda: hung_up.append(True)
    )
    holders.topology.shards()[0].ops_pool.hang_up()  # as after a READONLY
    with pytest.raises(redis.ResponseError):
        holders.periodic_tasks.run()
    assert hung_up == [True]

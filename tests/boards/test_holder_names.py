"""A worker with another name: what they hold shows it, wherever it is shown."""

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
def shop(services: Services) -> Services:
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


def marks(services: Services) -> Any:
    return services.store.client.hgetall(services.store.keys.renamed)


def test_a_renamed_worker_is_shown_and_found_by_the_new_name_at_once(shop: Services) -> None:
    before = item(shop, "main", "A")
    head = shop.store.log.head("main")
    shop.workers.edit("ana", name="Ana María")
    assert name(shop, "main", "A") == name(shop, "north", "B") == "Ana María"
    after = item(shop, "main", "A")
    assert after == {
        **before, "holder": {"id": "ana", "name": "Ana María"}, "version": before["version"] + 1,
    }  # fmt: skip
    found = shop.store.queries.snapshot("main", text="maría")
    assert found is not None
    assert [json.loads(each)["tag"] for each in found.items] == ["A"]
    # Who watches hears of it, and of nothing else.
    (entry,) = shop.store.log.replay("main", head.head_cursor, 10).entries
    event = json.loads(entry.event)
    assert (event["type"], event["item"]) == ("item.updated", after)
    assert (event["actor"]["id"], event["means"]) == ("occupancy", "service")
    assert name(shop, "main", "C") == "Ben"


def test_a_kept_board_follows_a_rename(shop: Services) -> None:
    rows: list[tuple[str, dict[str, str]]] = [
        (f"T-{number:04}", {}) for number in range(_LARGE_ITEMS)
    ]
    list(shop.store.commands.put_many("main", rows, actor=shop.workers.get("ben").person))
    kept = shop.store.snapshot_cache.find("main")
    assert kept is not None
    assert b'"name":"Ana"' in kept.plain()
    shop.workers.edit("ana", name="Anne")
    now = shop.store.snapshot_cache.find("main")
    assert now is not None
    assert b'"name":"Anne"' in now.plain()
    assert b'"name":"Ana"' not in now.plain()


def test_an_edit_that_leaves_the_name_changes_no_item(shop: Services) -> None:
    head = shop.store.log.head("main").head_cursor
    shop.workers.edit("ana", role="supervisor")
    assert shop.store.log.head("main").head_cursor == head
    assert marks(shop) == {}


def test_the_hold_goes_on_after_a_rename(shop: Services) -> None:
    shop.workers.edit("ana", name="Anne")
    person = shop.workers.get("ana").person
    (repeat,) = shop.store.commands.execute(
        Command("main", TRANSITIONS["take"], ["A"], actor=person)
    ).outcomes
    assert (repeat.code, repeat.changed) == ("ok", False)
    (paused,) = shop.store.commands.execute(
        Command("main", TRANSITIONS["pause"], ["A"], actor=person)
    ).outcomes
    assert (paused.code, paused.changed) == ("ok", True)


def test_a_rename_that_broke_off_is_finished_by_the_next_probe(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise StoreUnavailable("away", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(shop.store.commands, "execute", fail)
        shop.workers.edit("ana", name="Anne")  # the name has changed, and that stands
    assert name(shop, "main", "A") == "Ana"
    shop.holder_names.settle()
    assert name(shop, "main", "A") == "Ana"  # not yet: somebody may be at it
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    shop.holder_names.settle()
    assert name(shop, "main", "A") == name(shop, "north", "B") == "Anne"
    assert marks(shop) == {}


def test_an_operation_under_way_with_the_old_name_is_mended(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = shop.workers.get("ana").person
    shop.workers.edit("ana", name="Anne")
    shop.store.commands.execute(Command("main", PUT, ["LATE"], actor=old, items=[{}]))
    shop.store.commands.execute(Command("main", TRANSITIONS["take"], ["LATE"], actor=old))
    assert name(shop, "main", "LATE") == "Ana"
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    shop.holder_names.settle()
    assert name(shop, "main", "LATE") == "Anne"


def test_two_renames_end_with_the_last_name_and_no_mark_of_the_second_is_lost(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.workers.edit("ana", name="Anne")
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    show = shop.holder_names._show

    def renamed_meanwhile(person: Any) -> None:
        show(person)
        monkeypatch.setattr(shop.holder_names, "_show", show)
        shop.workers.edit("ana", name="Hanna")

    monkeypatch.setattr(shop.holder_names, "_show", renamed_meanwhile)
    shop.holder_names.settle()
    assert name(shop, "main", "A") == "Hanna"
    assert list(marks(shop)) == [b"ana"]
    shop.holder_names.settle()
    assert marks(shop) == {}


def test_every_process_at_once_makes_one_event(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = shop.store.log.head("main").head_seq
    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    shop.workers.edit("ana", name="Anne")
    gevent.joinall([gevent.spawn(shop.holder_names.settle) for _ in range(5)], raise_error=True)
    assert shop.store.log.head("main").head_seq == head + 1


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
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.store.boards.create("a-broken")  # before the others
    held = shop.store.keys.board("a-broken").by_holder
    shop.store.client.set(held, "of another type")
    shop.workers.edit("ana", name="Anne")  # it took effect, so it does not fail
    assert name(shop, "main", "A") == name(shop, "north", "B") == "Anne"
    assert set(marks(shop)) == {b"ana"}

    monkeypatch.setattr(renames_module, "SETTLED_S", 0)
    old = shop.workers.get("ben").person
    shop.workers.edit("ben", name="Benno")
    shop.store.commands.execute(Command("main", TRANSITIONS["pause"], ["C"], actor=old))
    shop.store.commands.execute(Command("main", TRANSITIONS["take"], ["C"], actor=old))
    assert name(shop, "main", "C") == "Ben"
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        shop.holder_names.settle()
    assert name(shop, "main", "C") == "Benno"
    assert set(marks(shop)) == {b"ana", b"ben"}  # the broken board is tried again
    shop.store.client.delete(held)
    shop.holder_names.settle()
    assert marks(shop) == {}


def test_live_delivery_follows_operations_to_another_server_whatever_else_fails(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = shop.store.client
    client.set(shop.store.keys.renamed, "")  # of another type: settling the names fails
    hung_up: list[bool] = []
    monkeypatch.setattr(shop.pubsub_pool, "hang_up", lambda: hung_up.append(True))
    shop.ops_pool.hang_up()  # as after a READONLY
    with pytest.raises(redis.ResponseError):
        shop.periodic_tasks.run()
    assert hung_up == [True]

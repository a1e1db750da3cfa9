"""An import that is interrupted says how many rows are done, whatever became of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from occupancy.access.workers import Workers
from occupancy.core.entities import Person
from occupancy.core.errors import StoreUnavailable
from occupancy.services import Services
from occupancy.tables.imports.item_import import import_items
from occupancy.tables.imports.item_rows import read_items
from occupancy.tables.imports.worker_import import import_workers, read_workers

ADMIN = Person("admin", "Admin")


def test_rows_that_change_nothing_and_edits_count_as_done(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(text: str) -> None:
        import_items(services.store, "main", read_items(text.encode()), actor=ADMIN)

    load("tag,title\nT-1,One\nT-2,Two\n")
    put_many = services.store.commands.put_many

    def put_some(*args: Any, **options: Any) -> Iterator[Any]:
        for number, outcome in enumerate(put_many(*args, **options)):
            if number == 3:
                raise StoreUnavailable("The server is away.")
            yield outcome

    monkeypatch.setattr(services.store.commands, "put_many", put_some)
    with pytest.raises(StoreUnavailable) as told:
        load("tag,title\nT-1,One\nT-2,Zwei\nT-3,Three\nT-4,Four\n")
    assert "3 of 4 rows are done" in told.value.detail


def test_of_workers_too(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(text: str) -> None:
        import_workers(services.workers, read_workers(text.encode()))

    load("id,name,role\n1,Ana,worker\n2,Iván,worker\n")
    add = Workers.add

    def add_but_one(self: Workers, worker_id: str, **fields: Any) -> Any:
        if worker_id == "4":
            raise StoreUnavailable("The server is away.")
        return add(self, worker_id, **fields)

    monkeypatch.setattr(Workers, "add", add_but_one)
    with pytest.raises(StoreUnavailable) as told:
        load("id,name,role\n1,Ana,worker\n2,Iván,admin\n3,Eva,worker\n4,Luis,worker\n")
    assert "3 of 4 rows are done" in told.value.detail

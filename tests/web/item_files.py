"""A supervisor who sends files of items, for tests of imports and exports."""

from __future__ import annotations

from typing import Any

import msgspec
from werkzeug.test import TestResponse

from occupancy.core.entities import Item
from occupancy.services import Services
from tests.conftest import add_people
from tests.support.applications import application
from tests.support.tablets import fields

FILE = "Código;Descripción;Zona\r\nA-1;Uno;B2\r\nA-2;Dos;B3\r\nA 3;Mal;\r\nA-1;Otra vez;\r\n"
MAPPING = {"code": "Código", "title": "Descripción"}


class Desk:
    """A supervisor with files."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._client = application(services).test_client()
        self._people = add_people(services)

    def send(
        self, method: str, path: str, data: bytes | None = None, *, who: str = "supervisor",
        board: str = "main", **options: Any,
    ) -> TestResponse:  # fmt: skip
        """One request; ``path`` is what comes after the board."""
        return self._client.open(
            f"/api/boards/{board}{path}", method=method, data=data, headers=self._people[who],
            **options,
        )  # fmt: skip

    def uploaded(self, data: bytes | str = FILE, path: str = "/imports") -> dict[str, Any]:
        answer = self.send("POST", path, data.encode() if isinstance(data, str) else data)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = fields(answer)
        return found

    def ran(self, upload: dict[str, Any], mapping: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.send("POST", f"/imports/{upload['id']}/run", json=mapping or MAPPING)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = fields(answer)
        return found

    def items(self) -> dict[str, tuple[str, dict[str, Any]]]:
        snapshot = self.services.store.queries.snapshot("main")
        assert snapshot is not None
        found = [msgspec.json.decode(each, type=Item) for each in snapshot.items]
        return {item.tag: (item.title, item.attributes) for item in found}


def counts(found: dict[str, Any]) -> tuple[int, ...]:
    return tuple(found[name] for name in ("added", "updated", "unchanged", "rejected"))

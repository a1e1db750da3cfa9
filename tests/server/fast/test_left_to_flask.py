"""What the fast path could answer, and leaves to Flask because only Flask answers it right."""

from __future__ import annotations

import pytest

from occupancy.server.fast.operations import FastOperations
from occupancy.server.fast.request import parse
from occupancy.services import Services
from tests.support.raw_http import request
from tests.support.tablets import Shop

TAKE = "POST /api/boards/main/items/T-1/take"
ITEMS = "GET /api/boards/main/items"
FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"


class Door:
    """The fast path's operations, and a token."""

    def __init__(self, services: Services) -> None:
        shop = Shop(services)
        self._fast = FastOperations(services, {}, shop.app.view_functions)
        self._token = services.tokens.create("93")[0]

    def answer(self, line: str, *headers: str, body: bytes | None = None) -> bytes | None:
        shows = f"Authorization: Bearer {self._token}"
        read = parse(request(line, shows, *headers, body=body))
        assert read is not None  # it is plain, and no other check has kept it
        return self._fast.answer(read)


@pytest.fixture
def door(valkey_services: Services) -> Door:
    return Door(valkey_services)


@pytest.mark.parametrize(
    ("line", "headers", "body"),
    [
        (f"{TAKE}?dry_run=1", (), None),
        (f"{TAKE}?x", (JSON,), b"{}"),
        (TAKE, (), b"{}"),
        (TAKE, (FORM,), b"{}"),
        (TAKE, ("Content-Type: text/plain",), b"{}"),
        (TAKE, ("Content-Type: application/json; charset=latin-1",), b"{}"),
        ("POST /api/boards/main/items/T-1/no-such", (), None),
        ("POST /api/boards/main/items", (JSON,), b"{}"),
        ("POST /api/boards/main/batch", (JSON,), b"{}"),
        (ITEMS, (), None),
        (f"{ITEMS}?state=occupied", ('If-None-Match: "1.x"',), None),
        ("GET /api/boards/main/items/T-1/history", ('If-None-Match: "1"',), None),
        ("GET /api/boards", (), None),
    ],
)
def test_it_is_left_to_flask(
    door: Door, line: str, headers: tuple[str, ...], body: bytes | None
) -> None:
    assert door.answer(line, *headers, body=body) is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((), None), ((FORM,), None), ((JSON,), b"{}"),
        (("Content-Type: application/json; charset=utf-8",), b'{"epoch":1}'),
    ],
)  # fmt: skip
def test_an_operation_is_answered(door: Door, headers: tuple[str, ...], body: bytes | None) -> None:
    answer = door.answer(TAKE, *headers, body=body) or b""
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"code":"item_not_found"' in answer

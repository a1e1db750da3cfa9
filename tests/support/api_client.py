"""A client of the API for the tests: operations by actors on items, and the log."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from occupancy.services import Services
from tests.support.shop import log_of

PROBLEM = "application/problem+json"
PROBLEM_FIELDS = {"type", "title", "status", "detail", "code"}

# The body that each operation needs, where it needs one.
NEEDED: dict[str, dict[str, str]] = {
    "force-release": {"reason": "shift over"},
    "reassign": {"to": "colleague"},
    "block": {"reason": "crack found"},
    "send-back": {"step": "ARM", "reason": "weld is porous"},
}


class Api:
    """Requests by an actor of the ``people`` fixture, named by their relation to the item."""

    def __init__(
        self, client: FlaskClient, people: dict[str, dict[str, str]], services: Services
    ) -> None:
        self.client = client
        self.people = people
        self.services = services

    def send(
        self,
        method: str,
        path: str,
        who: str,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> TestResponse:
        """One request; ``path`` is relative to /api/boards."""
        return self.client.open(
            f"/api/boards{path}",
            method=method,
            headers={**self.people[who], **(headers or {})},
            **options,
        )

    def get(self, path: str = "", who: str = "watcher", **headers: str) -> TestResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("GET", path, who, names)

    def put(
        self, tag: str, body: dict[str, Any] | None = None, *, who: str = "supervisor",
        board: str = "main", headers: dict[str, str] | None = None,
    ) -> TestResponse:  # fmt: skip
        return self.send("PUT", f"/{board}/items/{tag}", who, headers, json=body or {})

    def delete(self, tag: str, who: str = "supervisor", board: str = "main") -> TestResponse:
        return self.send("DELETE", f"/{board}/items/{tag}", who)

    def do(
        self, operation: str, tag: str, who: str, body: dict[str, Any] | None = None, *,
        board: str = "main", headers: dict[str, str] | None = None,
    ) -> TestResponse:  # fmt: skip
        """Carry out an operation, by default with the fields that it needs."""
        body = NEEDED.get(operation) if body is None else body
        options = {} if body is None else {"json": body}
        return self.send("POST", f"/{board}/items/{tag}/{operation}", who, headers, **options)

    def done(self, operation: str, tag: str, who: str, *args: Any, **options: Any) -> Any:
        """Carry out an operation that must change the item; return the item."""
        response = self.do(operation, tag, who, *args, **options)
        assert response.status_code == 200, response.text
        assert fields(response)["changed"] is True
        return fields(response)["item"]

    def batch(
        self, operation: str, tags: list[str], who: str, headers: dict[str, str] | None = None,
        board: str = "main", **body: Any,
    ) -> TestResponse:  # fmt: skip
        sent = {"operation": operation, "tags": tags, **body}
        return self.send("POST", f"/{board}/batch", who, headers, json=sent)

    def item(self, tag: str, board: str = "main") -> Any:
        return fields(self.get(f"/{board}/items/{tag}"))["item"]

    def tags(self, query: str = "", board: str = "main") -> list[str]:
        response = self.get(f"/{board}/items{query}")
        assert response.status_code == 200, response.text
        return [item["tag"] for item in fields(response)["items"]]

    def log(self, board: str = "main") -> list[dict[str, Any]]:
        """Every event of a board, oldest first."""
        return log_of(self.services, board)

    def prepare(self, tag: str, state: str, board: str = "main") -> None:
        """Add an item and bring it to ``state``, by holder and supervisor."""
        assert self.put(tag, board=board).status_code == 201
        if state == "blocked":
            self.done("block", tag, "supervisor", board=board)
        if state in ("occupied", "paused", "completed"):
            self.done("take", tag, "holder", board=board)
        if state in ("paused", "completed"):
            self.done(state.removesuffix("d"), tag, "holder", board=board)
        assert self.item(tag, board)["state"] == state


def fields(response: TestResponse) -> Any:
    """The JSON of a response."""
    return response.get_json()


def assert_problem(response: TestResponse, status: int, code: str) -> Any:
    """Check that a response is this complete problem, without internals; returns its fields."""
    assert response.status_code == status, response.text
    assert response.content_type == PROBLEM
    assert response.headers["Cache-Control"] == "no-store"
    found = fields(response)
    assert found.keys() >= PROBLEM_FIELDS
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"] == f"/docs#{code}"
    assert found["title"]
    assert found["detail"].endswith((".", "?"))
    assert "Traceback" not in response.text
    return found

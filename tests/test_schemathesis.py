"""The API against its own OpenAPI document, as each role, with examples that nobody thought of."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.config import GenerationConfig
from schemathesis.core.control import SkipTest
from schemathesis.core.result import Ok

from occupancy import create_app
from occupancy.model import Role
from occupancy.openapi import document
from occupancy.services import Services
from tests.conftest import add_people
from tests.waiting import wait_until

EXAMPLES = 4  # of each operation, for each role and mode
ROLES = ("outsider", "watcher", "holder", "supervisor", "admin")
OPERATIONS = {
    (method.upper(), path) for path, methods in document()["paths"].items() for method in methods
}
KNOWN = {"board": "main", "tag": "T-1"}  # else nearly all would be of what there is not
PROBLEM = "application/problem+json"


@pytest.fixture
def app(valkey_services: Services) -> Flask:
    app = create_app(valkey_services)
    app.testing = False
    valkey_services.hub.start()  # else it is not ready yet, and /readyz says so by 503
    wait_until(lambda: valkey_services.hub.trouble is None, what="live delivery")
    return app


class People:
    """The headers of each role; made anew when a request has ended their access."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.headers = add_people(services)

    def of(self, role: str) -> dict[str, str]:
        """Whatever the requests before have done: an administrator may disable anybody."""
        workers = self.services.workers
        roles = {"watcher": Role.OBSERVER, "holder": Role.WORKER}
        if role != "outsider":
            wanted = roles.get(role) or Role.of(role)
            workers.edit(role, disabled=False, role=wanted.label)
        return self.headers[role]


def operations_of(mode: GenerationMode) -> Iterator[Any]:
    schema = schemathesis.openapi.from_dict(copy.deepcopy(document()))
    schema.config.generation = GenerationConfig(modes=[mode])
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        yield result.ok()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_one_that_the_document_promises(
    app: Flask, valkey_services: Services, role: str, mode: GenerationMode
) -> None:
    people = People(valkey_services)
    browser = app.test_client()
    for tag in ("T-1", "T-2"):
        supervisor = people.of("supervisor")
        assert browser.put(f"/api/boards/main/items/{tag}", json={}, headers=supervisor).json
    tried = set()
    for operation in operations_of(mode):
        tried.add((operation.method.upper(), operation.path))
        # Where there is nothing to get wrong, no negative example can be made.
        with contextlib.suppress(SkipTest):
            strategy = operation.as_strategy(generation_mode=mode)
            check(app, people, role, operation, strategy)
    assert tried == OPERATIONS


def check(app: Flask, people: People, role: str, operation: Any, strategy: Any) -> None:
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @given(case=strategy)
    def answers(case: Any) -> None:
        if case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE:
            for name, known in KNOWN.items():
                if name in case.path_parameters:
                    case.path_parameters[name] = known
        send(app, people.of(role), operation, case)

    answers()


def send(app: Flask, headers: dict[str, str], operation: Any, case: Any) -> None:
    sent = {**case.as_transport_kwargs(), "base_url": "http://localhost"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it sends may be as odd as it likes
        kept = {k: v for k, v in dict(sent["headers"]).items() if k.lower() != "authorization"}
        options: dict[str, Any] = {"headers": {**kept, **headers}}
        if isinstance(sent.get("json"), dict | list | str | int | float | bool):
            options["json"] = sent["json"]
        elif sent.get("data") is not None:
            options["data"] = sent["data"]
        response = app.test_client().open(
            case.formatted_path, method=case.method, query_string=case.query or {},
            buffered=False, **options,
        )  # fmt: skip
    with response:
        status, kind = response.status_code, response.content_type or ""
        where = f"{operation.label} as {list(headers)}: {status}"
        promised = operation.definition.raw["responses"]
        assert status < 500, f"{where} {response.text}"
        assert str(status) in promised or status == 405, where
        if status >= 400:
            assert kind == PROBLEM, where
            if case.method != "HEAD":
                assert {"type", "title", "status", "detail", "code"} <= set(
                    response.get_json(force=True)
                )
                assert "Traceback" not in response.text
        elif kind == "application/json" and status != 304 and case.method != "HEAD":
            schema = promised[str(status)]["content"]["application/json"]["schema"]
            validate(schema, response.get_json(force=True), where)


def validate(schema: dict[str, Any], value: Any, where: str) -> None:
    """Raises AssertionError where an answer is not what the document promises."""
    import jsonschema_rs

    whole = {**schema, "components": document()["components"]}
    try:
        jsonschema_rs.validate(whole, value)
    except jsonschema_rs.ValidationError as error:
        raise AssertionError(f"{where}: {error}") from error

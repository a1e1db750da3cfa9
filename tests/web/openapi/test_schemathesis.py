"""The API against its own OpenAPI document, as each role, with examples that nobody thought of.

A 503 and a 429 are answers like others: promised for a route with their codes and their shape, or
wrong. Any may come at any time: while this process is kept from the processors, no canary of live
delivery comes back, and /readyz rightly says not ready. What proves the other answers is that each
operation is answered something else, too.

The examples are made once, before there is an application: that costs ten times as much as to send
them, and each role gets the same.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gzip
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
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
from occupancy.core.entities import Role
from occupancy.core.settings import Settings
from occupancy.services import Services
from occupancy.web.openapi.document import document
from tests.conftest import add_people
from tests.support.servers import RealServer
from tests.support.waiting import wait_until

EXAMPLES = 4  # of each operation, for each role and mode
ROLES = ("outsider", "watcher", "holder", "supervisor", "admin")
OPERATIONS = {
    (method.upper(), path) for path, methods in document()["paths"].items() for method in methods
}
KNOWN = {"board": "main", "tag": "T-1"}  # else nearly all would be of what there is not
# Operations without parameters and bodies, of which no negative example can be made.
NOTHING_TO_GET_WRONG = {
    "GET /livez", "GET /readyz", "GET /api/redis-health", "GET /api/redis-connection-stats",
    "GET /metrics", "GET /", "GET /sign-in", "GET /boards", "GET /people", "GET /people/cards",
    "GET /programs", "GET /account", "GET /day", "GET /setup", "GET /status", "GET /audit",
    "GET /docs", "GET /api/openapi.json", "GET /static/{version}/{name}",
    "GET /manifest.webmanifest", "GET /sw.js",
}  # fmt: skip
PROBLEM = "application/problem+json"
NOT_NOW = {429, 503}
PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


@pytest.fixture
def app(valkey_services: Services) -> Flask:
    app = create_app(valkey_services)
    app.testing = False
    valkey_services.hub.start()
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


@functools.cache
def examples_of(mode: GenerationMode) -> list[tuple[Any, list[Any]]]:
    """Each operation with some cases of it."""
    return [(operation, cases_of(operation, mode)) for operation in operations_of(mode)]


def cases_of(operation: Any, mode: GenerationMode) -> list[Any]:
    cases: list[Any] = []
    # Where there is nothing to get wrong, no negative example can be made.
    with contextlib.suppress(SkipTest):

        @settings(
            max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def note(case: Any) -> None:
            if case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE:
                for name, known in KNOWN.items():
                    if name in case.path_parameters:
                        case.path_parameters[name] = known
            cases.append(case)

        note()
    has_none = mode is GenerationMode.NEGATIVE and takes_any_text(operation)
    assert bool(cases) is not has_none, f"{operation.label}: {len(cases)} cases"
    return cases


def takes_any_text(operation: Any) -> bool:
    """Whether it has no body, and no parameter that a text could be wrong for."""
    groups = (operation.path_parameters, operation.query, operation.headers, operation.cookies)
    schemas = [each.definition["schema"] for group in groups for each in group]
    return not list(operation.body) and all(each == {"type": "string"} for each in schemas)


@pytest.fixture(params=list(GenerationMode), ids=lambda mode: mode.value, scope="module")
def examples(request: pytest.FixtureRequest) -> list[tuple[Any, list[Any]]]:
    return examples_of(request.param)


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_one_that_the_document_promises(
    examples: list[tuple[Any, list[Any]]], app: Flask, valkey_services: Services, role: str
) -> None:
    people = People(valkey_services)
    browser = app.test_client()
    for tag in ("T-1", "T-2"):
        supervisor = people.of("supervisor")
        assert browser.put(f"/api/boards/main/items/{tag}", json={}, headers=supervisor).json
    tried, sent = set(), set()
    for operation, cases in examples:
        tried.add((operation.method.upper(), operation.path))
        statuses = {send(app, people.of(role), operation, case) for case in cases}
        if cases and not statuses - NOT_NOW:
            wait_until(
                lambda operation=operation, cases=cases: (  # type: ignore[misc] # bound now
                    {send(app, people.of(role), operation, each) for each in cases} - NOT_NOW
                ),
                timeout_s=30, what=f"{operation.label} to be answered",
            )  # fmt: skip
        if cases:
            sent.add(operation.label)
    assert tried == OPERATIONS
    labels = {operation.label for operation, _ in examples}
    assert labels - sent in (set(), NOTHING_TO_GET_WRONG)


def test_without_a_server_every_answer_is_one_that_the_document_promises(
    own_server: RealServer, tmp_path: Path
) -> None:
    examples = examples_of(GenerationMode.POSITIVE)
    services = Services.for_web(
        Settings(redis_url=own_server.url, prefix="gone", state_dir=str(tmp_path / "state"))
    )
    app = create_app(services)
    app.testing = False
    people = People(services)
    headers = people.of("admin")
    own_server.stop()
    not_now = set()
    for operation, cases in examples:
        if send(app, headers, operation, cases[0]) == 503:
            not_now.add((operation.method.upper(), operation.path))
    services.close()
    # Who the caller is may have been kept, so some are refused for what they ask before.
    assert {("GET", "/readyz"), ("GET", "/api/redis-health"), ("GET", "/api/boards")} <= not_now


def send(app: Flask, headers: dict[str, str], operation: Any, case: Any) -> int:
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
        promised = operation.definition.raw["responses"].get(str(status))
        assert promised or status == 405, f"{where} {response.text}"
        assert status < 500 or status in NOT_NOW, f"{where} {response.text}"
        if case.method == "HEAD" or status in {204, 302, 304}:
            return status
        content = (promised or {}).get("content", {PROBLEM: {"schema": PROBLEM_SCHEMA}})
        assert kind.partition(";")[0] in content or status == 200, f"{where} {kind}"
        if kind in {"application/json", PROBLEM}:
            body = response.data
            if response.content_encoding == "gzip":
                body = gzip.decompress(body)
            answered = json.loads(body)
            validate(content[kind]["schema"], answered, where)
            if kind == PROBLEM:
                codes = promised["x-codes"] if promised else ["method_not_allowed"]
                assert answered["code"] in codes, f"{where} {answered}"
                assert "Traceback" not in response.text
        return status


def validate(schema: dict[str, Any], value: Any, where: str) -> None:
    """Raises AssertionError where an answer is not what the document promises."""
    import jsonschema_rs

    whole = {**schema, "components": document()["components"]}
    try:
        jsonschema_rs.validate(whole, value)
    except jsonschema_rs.ValidationError as error:
        raise AssertionError(f"{where}: {error}") from error

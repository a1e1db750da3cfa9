"""The OpenAPI document and its page: they say what the routes do, no more and no less."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from occupancy import create_app
from occupancy.core.errors import OccupancyError, answered_kinds
from occupancy.core.requests.checks import check_fields
from occupancy.core.requests.items import OperationBody
from occupancy.core.settings import Settings
from occupancy.core.transitions import TRANSITIONS
from occupancy.services import Services
from occupancy.web.openapi.document import document
from occupancy.web.routes import docs

METHODS_OF_ITSELF = {"HEAD", "OPTIONS"}  # Flask answers them wherever there is a GET


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application with a store that nothing here asks anything."""
    state_dir = str(tmp_path_factory.mktemp("state"))
    services = Services.for_web(Settings(redis_url="redis://127.0.0.1:1", state_dir=state_dir))
    yield create_app(services)
    services.close()


@pytest.fixture(scope="module")
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def documented() -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, methods in document()["paths"].items()
        for method in methods
    }


def routed(app: Flask) -> set[tuple[str, str]]:
    """Every method and path that is routed, an operation's placeholder by each operation."""
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        names = TRANSITIONS if "{operation}" in path else [""]
        for method in (rule.methods or set()) - METHODS_OF_ITSELF:
            found |= {(method, path.replace("{operation}", name)) for name in names}
    return found


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_document_is_valid_openapi() -> None:
    assert document()["openapi"].startswith("3.1")
    validate(document())


def test_every_route_is_in_the_document(app: Flask) -> None:
    assert routed(app) - documented() == set()


def test_every_path_of_the_document_is_routed(app: Flask) -> None:
    only_documented = documented() - routed(app)
    assert only_documented == {("HEAD", "/api/boards/{board}/events")}


def test_every_operation_of_the_table_is_in_the_document() -> None:
    for row in TRANSITIONS.values():
        found = document()["paths"][f"/api/boards/{{board}}/items/{{tag}}/{row.operation}"]["post"]
        assert found["x-role"] == row.role.label
        assert found["x-from"] == list(row.sources)
        assert found["summary"] == row.summary


def test_an_operations_body_has_exactly_the_fields_that_it_takes() -> None:
    for row in TRANSITIONS.values():
        found = document()["paths"][f"/api/boards/{{board}}/items/{{tag}}/{row.operation}"]["post"]
        schema = found["requestBody"]["content"]["application/json"]["schema"]
        for name in OperationBody.__struct_fields__:
            value = 1 if name == "epoch" else "text"
            given = dict.fromkeys(schema["required"], "text") | {name: value}
            body = msgspec.convert(given, OperationBody)
            if name in schema["properties"]:
                check_fields(row, body)
            else:
                with pytest.raises(OccupancyError, match=f"takes no {name}"):
                    check_fields(row, body)
        required = msgspec.convert(dict.fromkeys(schema["required"], "text"), OperationBody)
        check_fields(row, required)
        assert found["requestBody"]["required"] == bool(schema["required"])


def test_the_role_of_every_operation_is_the_one_that_its_view_declares(app: Flask) -> None:
    adapter = app.url_map.bind("localhost")
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            endpoint, _ = adapter.match(path.replace("{", "").replace("}", ""), method.upper())
            declared: Any = app.view_functions[endpoint].rule.role  # type: ignore[union-attr] # auth sets it
            label = None if declared is None else declared.label
            if path.rpartition("/")[2] in TRANSITIONS:
                assert TRANSITIONS[path.rpartition("/")[2]].role >= declared
            else:
                assert operation["x-role"] == label, f"{method} {path}"
            assert (operation.get("security") == []) == (label is None), f"{method} {path}"


def test_every_reference_leads_somewhere() -> None:
    all_references = list(references(document()))
    assert "#/components/schemas/Problem" in all_references
    for reference in all_references:
        found: Any = document()
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_every_pattern_is_one_that_javascript_knows_too() -> None:
    assert "\\\\Z" not in msgspec.json.encode(document()).decode()


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [
        operation["operationId"]
        for methods in document()["paths"].values()
        for operation in methods.values()
    ]
    assert len(names) == len(set(names))


def test_every_code_that_a_response_may_carry_is_explained_in_its_own_words() -> None:
    explanations = [kind.explanation for kind in answered_kinds()]
    assert all(text.endswith(".") for text in explanations)
    assert len(set(explanations)) == len({kind.code for kind in answered_kinds()})


def test_every_code_is_in_a_response_of_the_document_or_may_come_anywhere() -> None:
    named = {
        code
        for methods in document()["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for code in response.get("x-codes", ())
    }
    assert {kind.code for kind in answered_kinds()} - named == {
        "internal_error",
        "method_not_allowed",
    }


def test_the_document_is_open_to_everybody(browser: FlaskClient) -> None:
    response = browser.get("/api/openapi.json")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.json == document()


@pytest.mark.parametrize("path", ["/api/openapi.json", "/docs"])
def test_the_document_and_its_page_are_made_once(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    first = browser.get(path)
    monkeypatch.delattr(docs, "document")
    monkeypatch.delattr(docs, "render_template")
    again = browser.get(path, headers={"Accept-Encoding": "identity"})
    assert (again.status_code, again.text) == (200, first.text)


@pytest.mark.parametrize("path", ["/api/openapi.json", "/docs"])
def test_an_unchanged_document_is_not_sent_again(browser: FlaskClient, path: str) -> None:
    etag = browser.get(path).headers["ETag"]
    again = browser.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")


def test_the_start_leads_to_the_page(browser: FlaskClient) -> None:
    response = browser.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/boards")


class Page(HTMLParser):
    """The ids of a page, where it leads, and what it loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "src"):
                self.links.append(value or "")


@pytest.fixture(scope="module")
def page(browser: FlaskClient) -> Page:
    response = browser.get("/docs")
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    return Page(response.text)


def test_the_type_of_every_problem_leads_to_its_place_on_the_page(page: Page) -> None:
    assert {kind.code for kind in answered_kinds()} <= set(page.ids)


def test_the_page_has_every_operation_and_every_path(browser: FlaskClient, page: Page) -> None:
    text = browser.get("/docs").text
    assert {f"route-{name}" for name in TRANSITIONS} <= set(page.ids)
    for path in document()["paths"]:
        assert f'<span class="path">{path}</span>' in text
    for row in TRANSITIONS.values():
        assert row.summary.split("`")[0] in text.replace("&#39;", "'")


def test_no_id_is_on_the_page_twice_and_every_link_within_it_leads_somewhere(page: Page) -> None:
    assert [each for each, count in Counter(page.ids).items() if count > 1] == []
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(
    browser: FlaskClient, page: Page
) -> None:
    response = browser.get("/docs")
    assert not re.search(r"(https?:)?//\w", response.text)
    assert page.elements.isdisjoint({"script", "style", "iframe", "img", "object", "base"})
    assert "style" not in page.attributes
    assert not any(name.startswith("on") for name in page.attributes)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy


def test_every_local_link_of_the_page_leads_somewhere(browser: FlaskClient, page: Page) -> None:
    here = {link for link in page.links if link.startswith("/")}
    assert {re.sub(r"^/static/[0-9a-f]{12}/", "", link) for link in here} == {
        "css/docs.css", "/api/openapi.json",
    }  # fmt: skip
    for link in here:
        with browser.get(link) as response:
            assert response.status_code == 200


def test_the_stylesheet_loads_nothing(browser: FlaskClient, page: Page) -> None:
    (link,) = (link for link in page.links if link.endswith(".css"))
    with browser.get(link) as response:
        assert response.content_type == "text/css; charset=utf-8"
        assert b"url(" not in response.data
        assert b"@import" not in response.data


@pytest.mark.parametrize("path", ["nothing.css", "../assets.py", "%2e%2e/assets.py", "", "."])
def test_only_files_of_the_pages_are_served(browser: FlaskClient, path: str) -> None:
    response = browser.get(f"/static/0/{path}")
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


def test_every_operation_may_be_rate_limited() -> None:
    for path, methods in document()["paths"].items():
        for method, found in methods.items():
            refused = found["responses"]["429"]
            assert refused["x-codes"] == ["rate_limited"], (path, method)
            assert "Retry-After" in refused["headers"], (path, method)

"""Every route that the product has: from the application's map and from its OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask

from occupancy import create_app
from occupancy.services import Services

_PARAMETER = re.compile(r"<(?:[^:>]+:)?([^>]+)>")
_NAMES = {  # of the map, in the document
    "worker_id": "worker", "token_id": "token", "badge_id": "badge", "station_id": "station",
}  # fmt: skip


def application(services: Services) -> Flask:
    """The application; it serves nobody here."""
    return create_app(services)


def documented(app: Flask) -> set[str]:
    """``METHOD /path`` of every operation in the OpenAPI document."""
    document: Any = app.test_client().get("/api/openapi.json").get_json()
    return {
        f"{method.upper()} {_renamed(path)}"
        for path, methods in document["paths"].items()
        for method in methods
        if method in ("get", "put", "post", "delete", "patch", "trace")
    }


def mapped(app: Flask) -> set[str]:
    """``METHOD /path`` of every rule of the application; ``{operation}`` stays as it is."""
    return {
        f"{method} {_renamed(_PARAMETER.sub(_braced, rule.rule))}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _braced(parameter: re.Match[str]) -> str:
    return f"{{{parameter[1]}}}"


def _renamed(path: str) -> str:
    for name, other in _NAMES.items():
        path = path.replace(f"{{{name}}}", f"{{{other}}}")
    return path

"""Docs routes: the OpenAPI document and the page that shows it.

The page is drawn from the document, the transition table and the kinds of errors. It has no
script and loads only its stylesheet, from this service.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec
from flask import Blueprint, current_app, render_template, request
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as WerkzeugResponse

from occupancy.core.errors import answered_kinds
from occupancy.core.transitions import PUT, REMOVE, TARGETS, TRANSITIONS
from occupancy.web.auth import public
from occupancy.web.io import asset_answer, conditional_answer
from occupancy.web.openapi.document import document
from occupancy.web.openapi.operations import operation_id
from occupancy.web.openapi.schemas import STREAM_EVENTS
from occupancy.web.ui.assets import Asset
from occupancy.web.ui.theme import chosen_theme

bp = Blueprint("docs", __name__)

_HOLDERS = {"caller": "the caller", "to": "`to`", "nobody": "nobody", "keep": "as it is"}


@bp.get("/api/openapi.json")
@public
def openapi() -> WerkzeugResponse:
    return _asset_answer(_document_asset())


@bp.get("/docs")
@public
def docs() -> WerkzeugResponse:
    """The document as a page. ``/docs#<code>`` is where the type of a problem leads."""
    response = _asset_answer(_page_asset(chosen_theme(request.cookies)))
    response.vary.add("Cookie")
    return response


def _asset_answer(asset: Asset) -> WerkzeugResponse:
    response = asset_answer(asset)
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(asset.digest, weak=response.content_encoding is not None)  # RFC 9110, 8.8.1
    return conditional_answer(response)


@functools.cache
def _document_asset() -> Asset:
    return Asset.of("application/json", msgspec.json.encode(document()))


@functools.cache
def _page_asset(theme: str | None) -> Asset:
    whole = document()
    groups = [
        {**tag, "routes": [each for each in _routes(whole) if tag["name"] in each["tags"]]}
        for tag in whole["tags"]
    ]
    text = render_template(
        "docs.html", info=whole["info"], groups=groups, schemas=whole["components"]["schemas"],
        transitions=[*TRANSITIONS.values(), PUT, REMOVE], targets=TARGETS, holders=_HOLDERS,
        operation_id=operation_id, kinds=answered_kinds(), events=STREAM_EVENTS,
        asset=current_app.extensions["occupancy.pages"].assets.address, theme=theme,
    )  # fmt: skip
    return Asset.of("text/html; charset=utf-8", text.encode())


def _routes(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Every operation of the document, with the components that it refers to in place."""
    components = whole["components"]["parameters"]
    return [
        {
            **operation,
            "path": path,
            "method": method.upper(),
            "parameters": [
                components[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
                for each in operation.get("parameters", ())
            ],
        }
        for path, methods in whole["paths"].items()
        for method, operation in methods.items()
    ]


# Filters of the template


@bp.app_template_filter("prose")
def prose(text: str) -> Markup:
    """Text of the document as HTML: `code`, paragraphs, nothing else."""
    coded = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(coded.replace("\n\n", "<br>"))  # noqa: S704 - escaped the line before


@bp.app_template_filter("kind")
def kind(schema: dict[str, Any]) -> str:
    """A schema in a few words: ``string``, ``array of Item``, ``integer or null``."""
    for key, word in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if key in schema:
            return word.join(kind(each) for each in schema[key])
    words = str(schema.get("type", "anything"))
    if "$ref" in schema:
        words = schema["$ref"].rpartition("/")[2]
    elif "const" in schema:
        words = str(schema["const"])
    elif "enum" in schema:
        words = " | ".join(schema["enum"])
    elif words == "array":
        words = f"array of {kind(schema['items'])}"
    elif words == "object" and schema.get("properties"):
        words = "{" + ", ".join(schema["properties"]) + "}"
    return words


@bp.app_template_filter("bounds")
def bounds(schema: dict[str, Any]) -> str:
    """The bounds of a schema: lengths, ranges, pattern; '' where it has none."""
    named = next((each for each in schema.get("anyOf", ()) if each.get("type") != "null"), schema)
    parts = []
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " names"),
    ):
        if high in named:
            parts.append(f"{named.get(low, 0)} to {named[high]}{unit}")
    if "pattern" in named:
        parts.append(f"`{named['pattern']}`")
    if schema.get("default") is not None:
        parts.append(f"default {schema['default']}")
    return "; ".join(parts)

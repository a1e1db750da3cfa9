"""The part of the OpenAPI document about labels."""

from __future__ import annotations

from typing import Any

from occupancy.core import errors
from occupancy.core.entities import TAG_PATTERN, Role
from occupancy.labels.stocks import STOCKS
from occupancy.web.openapi.operations import STORE, answer, operation, parameter
from occupancy.web.openapi.schemas import INTEGER, TEXT, array, obj, pattern

_TAG = TAG_PATTERN.removeprefix("^").removesuffix(r"\Z")
_TAGS = rf"^{_TAG}(,{_TAG}){{0,99}}\Z"


def paths() -> dict[str, Any]:
    """The labels of items."""
    most = max(each.labels for each in STOCKS.values())
    return {
        "/api/boards/{board}/labels": {
            "get": operation("items", "drawLabels", "Labels of items, as pages to print.",
                Role.SUPERVISOR,
                answer(obj(pages=array(TEXT), missing=array(TEXT), board_url=TEXT)),
                (errors.BoardNotFound, errors.InvalidRequest, *STORE),
                parameters=[
                    "Board",
                    parameter("query", "stock", {**TEXT, "enum": list(STOCKS)}, "The paper.",
                        required=True),
                    parameter("query", "tags", {**pattern(_TAGS), "examples": ["T-1,T-2"]},
                        "At most 100 tags, with commas between them.", required=True),
                    parameter("query", "first",
                        {**INTEGER, "minimum": 1, "maximum": most, "default": 1},
                        "The first free label of the first page."),
                ],
                description="Each page is an SVG image of the paper's size, in millimetres. "
                "The codes open the items' pages below `board_url`: at OCCUPANCY_URL, or at the "
                "address of this request. `missing` are tags that the board does not have."),
        },
    }  # fmt: skip

"""The part of the OpenAPI document about a worker's day."""

from __future__ import annotations

from typing import Any

from occupancy.boards.history.workday import MAX_DAYS
from occupancy.core.entities import Role
from occupancy.web.openapi.operations import STORE, answer, operation, parameter
from occupancy.web.openapi.schemas import (
    BOOLEAN,
    TEXT,
    TIME,
    array,
    nullable,
    obj,
    ref,
)


def paths() -> dict[str, Any]:
    """The day."""
    hold = obj(
        board=TEXT, tag=TEXT, title=TEXT, step=TEXT, began_at=nullable(TIME),
        ended_at=nullable(TIME), ended=nullable(TEXT), ended_by=nullable(ref("schemas", "Person")),
        is_completion=BOOLEAN,
    )  # fmt: skip
    day = obj(worker=TEXT, since=TIME, is_whole=BOOLEAN, holds=array(hold))
    since = parameter("query", "since", TIME,
        f"A moment within the last {MAX_DAYS} days; by default a day ago.")  # fmt: skip
    return {
        "/api/day": {
            "get": operation("boards", "getDay", "What you held since a moment.", Role.OBSERVER,
                answer(day), STORE, parameters=[since],
                description="In order, on every board that you may see, with the event that ended "
                "each hold. `began_at` is null for one that began before, `ended_at` for one that "
                "lasts. A completion that was taken back ended nothing. `is_whole` is false where "
                "a log no longer has all events since then."),
        },
    }  # fmt: skip

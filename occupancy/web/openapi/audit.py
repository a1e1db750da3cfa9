"""The part of the OpenAPI document about the audit trail."""

from __future__ import annotations

from typing import Any

from occupancy.core.entities import BOARD_PATTERN, WORKER_PATTERN, Role
from occupancy.observability.audit_trail.events import EVENTS
from occupancy.observability.audit_trail.export import COLUMNS, CONTENT_TYPES
from occupancy.observability.audit_trail.reader import DEFAULT_LIMIT, MAX_LIMIT, MAX_SCANNED
from occupancy.web.openapi.operations import STORE, WRITES, answer, operation, parameter
from occupancy.web.openapi.schemas import (
    INTEGER,
    NEXT,
    TEXT,
    TIME,
    array,
    nullable,
    obj,
    pattern,
    ref,
)

_MOMENT = {**TEXT, "examples": ["2026-11-29T06:00:00Z", "2026-11-29"]}
_FILTERS = [
    parameter("query", "event", {**TEXT, "enum": list(EVENTS)}, "Only these events."),
    parameter("query", "worker", pattern(WORKER_PATTERN), "What concerns this worker."),
    parameter("query", "by", TEXT,
        "What this worker has done; of the command line, this user of the machine."),
    parameter("query", "board", pattern(BOARD_PATTERN), "What concerns this board."),
    parameter("query", "address", TEXT, "What came from this address, or its /64 of IPv6."),
    parameter("query", "since", _MOMENT, "From this time on. A date begins in UTC."),
    parameter("query", "until", _MOMENT, "Before this time; as a date, with that day."),
    parameter("query", "q", TEXT, "Words; an entry has all of them in its values."),
]  # fmt: skip


def schemas() -> dict[str, Any]:
    """The schemas of these routes' responses."""
    return {
        "AuditEntry": {
            **obj(
                id=TEXT, at=TIME, event={**TEXT, "description": "See the parameter `event`."},
                by=nullable(TEXT), means=nullable(TEXT), worker=nullable(TEXT),
                board=nullable(TEXT), address=nullable(TEXT), details={"type": "object"},
            ),
            "description": "What `by` has done, to `worker` or on `board`. `means` is `session`, "
            "`token` or `cli`; of a sign-in `pin`, `link`, `token` or `new_pin`. Never a secret.",
        },
    }  # fmt: skip


def paths() -> dict[str, Any]:
    """The trail, and its export."""
    limit = {**INTEGER, "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    kind = {**TEXT, "enum": list(CONTENT_TYPES), "default": "csv"}
    file = {
        "200": {
            "description": "The file.",
            "content": {each: {"schema": TEXT} for each in ("text/csv", "application/jsonl")},
        }
    }
    return {
        "/api/audit": {
            "get": operation("access", "listAudit",
                "Sign-ins, refusals and changes, newest first.", Role.ADMIN,
                answer(obj(entries=array(ref("schemas", "AuditEntry")), next=NEXT)), STORE,
                parameters=[
                    *_FILTERS, parameter("query", "limit", limit, "Entries on a page."), "Page",
                ],
                description=f"A page looks at {MAX_SCANNED:,} entries at most, so it may hold "
                "fewer than `limit`; `next` leads on, with the same filters."),
        },
        "/api/audit/export": {
            "get": operation("access", "exportAudit",
                "The same as a file. The export is itself recorded.", Role.ADMIN, file, WRITES,
                parameters=[*_FILTERS, parameter("query", "format", kind, "The form of the file.")],
                description=f"CSV has the columns {', '.join(f'`{each}`' for each in COLUMNS)}; an "
                "apostrophe precedes texts that a spreadsheet would take for a formula. A file "
                "whose transfer does not end properly is incomplete."),
        },
    }  # fmt: skip

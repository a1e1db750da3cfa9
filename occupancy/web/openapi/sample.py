"""The part of the OpenAPI document about the sample."""

from __future__ import annotations

from typing import Any

from occupancy.core import errors
from occupancy.core.entities import Role
from occupancy.web.openapi.operations import STORE, WRITES, answer, operation
from occupancy.web.openapi.schemas import INTEGER, TEXT, array, nullable, obj


def paths() -> dict[str, Any]:
    """What is there of the sample, loading it, and removing it."""
    kept = obj(
        kind={"enum": ["board", "worker"]}, id=TEXT,
        why={"enum": [
            "has_items", "changed", "renamed", "disabled", "holds", "self", "last_admin",
        ]},
    )  # fmt: skip
    kept["properties"] |= {"name": TEXT, "items": INTEGER, "board": TEXT}  # where `why` needs them
    return {
        "/api/sample": {
            "get": operation("access", "showSample", "What is there of the sample.", Role.ADMIN,
                answer(obj(board=nullable(TEXT), workers=array(TEXT))), STORE,
                description="`board` is null where there is none, or where its settings were "
                "changed; `workers` has the ids of its people whom nobody has changed."),
            "post": operation("access", "loadSample", "Load the sample.", Role.ADMIN,
                answer(obj(added=obj(
                    boards=INTEGER, workers=INTEGER, items=INTEGER, operations=INTEGER)),
                    text="Loaded, or as it was."),
                (*WRITES, errors.Held, errors.WrongState),
                description="A board with items that have a history, and people without a PIN. "
                "Loading it again adds what is missing."),
            "delete": operation("access", "removeSample", "Remove the sample.", Role.ADMIN,
                answer(obj(boards=INTEGER, workers=INTEGER, items=INTEGER, kept=array(kept)),
                    text="What was removed, and what stays."),
                WRITES,
                description="Removes nothing else: what somebody has changed or uses stays, and "
                "`kept` says why."),
        },
    }  # fmt: skip

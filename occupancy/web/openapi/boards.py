"""The part of the OpenAPI document about boards and their settings."""

from __future__ import annotations

from typing import Any

from occupancy.core import errors
from occupancy.core.entities import STATES, Role
from occupancy.web.openapi.operations import STORE, WRITES, answer, operation, parameter
from occupancy.web.openapi.schemas import (
    BOOLEAN,
    CURSOR,
    INTEGER,
    TEXT,
    TIME,
    array,
    nullable,
    obj,
    ref,
)

_PEOPLE_Q = parameter("query", "q", TEXT, "Words to look for in id and name; a match has all.")


def paths() -> dict[str, Any]:
    """Boards, their settings, people and charts."""
    settings = obj(
        max_holds=nullable(INTEGER), time_zone=TEXT, shown_attributes=array(TEXT),
        reasons=array(TEXT), version=INTEGER,
    )  # fmt: skip
    counts = {
        "type": "object",
        "additionalProperties": INTEGER,
        "description": "How many items stand at each step; a completed one where it was completed.",
    }
    details = obj(step_counts=counts, settings=settings, cursor=CURSOR, seq=INTEGER)
    one = {"allOf": [ref("schemas", "Board"), details]}
    point = obj(
        at=TIME,
        counts=obj(**dict.fromkeys(STATES, INTEGER)),
        completions={
            **INTEGER,
            "description": "Steps completed on this board so far, less those undone.",
        },
    )
    timeline = obj(cursor=CURSOR, seq=INTEGER, interval_s=INTEGER, points=array(point))
    return {
        "/api/boards": {
            "get": operation(
                "boards", "listBoards", "Every board that you may see.", Role.OBSERVER,
                answer(obj(boards=array(ref("schemas", "Board")))), STORE,
                description="A `main` that nobody uses is left out where there are others."),
            "post": operation("boards", "createBoard", "Create a board.", Role.ADMIN,
                answer(one, "ETag", status=201, text="The board."),
                (*WRITES, errors.AlreadyExists),
                body=ref("schemas", "BoardBody"), must_have_body=True),
        },
        "/api/boards/{board}": {
            "get": operation("boards", "getBoard", "One board, with its settings.", Role.OBSERVER,
                answer(one, "ETag"), (errors.BoardNotFound, *STORE), parameters=["Board"],
                description="The `ETag` is the version of the settings, whatever the counts are."),
            "patch": operation("boards", "configureBoard", "Change settings of a board.",
                Role.ADMIN, answer(one, "ETag", text="The board as it is now."),
                (*WRITES, errors.BoardNotFound, errors.StepInUse, errors.VersionMismatch),
                body=ref("schemas", "BoardSettingsBody"), must_have_body=True,
                parameters=["Board", "SettingsIfMatch"],
                description="What is not given stays as it is; null stands for the default. "
                "`steps` is the whole list, in order. A step keeps its items, whatever title and "
                "place it gets, because items carry its id; one that is given as an id only keeps "
                "its title. Completing leads to the step that follows in the list of that moment. "
                "A step at which items stand is not taken out of the list."),
            "delete": operation("boards", "removeBoard", "Remove a board for good.", Role.ADMIN,
                {"204": {"description": "Removed, or being removed already."}},
                (*WRITES, errors.BoardNotFound, errors.BoardNotEmpty),
                body=ref("schemas", "BoardRemovalBody"), parameters=["Board"],
                description="With items, their histories, and the tokens that are bound to it. "
                "Its streams end with `bye`, and are answered 404 when they come back. While it "
                "is being removed, its name cannot be used; then it can, and cursors, epochs and "
                "versions go on higher. `main` is emptied, and stays, out of sight."),
        },
        "/api/boards/{board}/people": {
            "get": operation("boards", "listPeople",
                "To whom an item may be given: up to 50 active workers, by id and name.",
                Role.SUPERVISOR,
                answer(obj(people=array(obj(id=TEXT, name=TEXT, is_near=BOOLEAN)),
                           has_more=BOOLEAN)),
                (errors.BoardNotFound, *STORE), parameters=["Board", _PEOPLE_Q],
                description="Those who hold items of the board, or changed some lately, are "
                "`is_near`, and come first, the latest before the others; the rest follow by "
                "name."),
        },
        "/api/boards/{board}/timeline": {
            "get": operation("boards", "getTimeline",
                "How many items were in each state over the last hours.", Role.OBSERVER,
                answer(timeline), (errors.BoardNotFound, *STORE), parameters=["Board", "Hours"],
                description="Known exactly at the `points` and, between two of them, at the "
                "moments `interval_s` apart on the straight line that joins them. The last is "
                "now's, with its `cursor` and `seq`. It begins later where nothing older is known.")
        },
    }  # fmt: skip

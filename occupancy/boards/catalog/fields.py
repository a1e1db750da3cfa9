"""The settings of a board as its hash has them, and as a request changes them. No I/O.

Each setting is a field of its own, as JSON except title, time zone and numbers. Boards of earlier
versions lack some fields: then the default holds. A step is its id, which items carry in ``step``;
its title is only shown. So a new title, another order or an inserted step changes no item.
"""

from __future__ import annotations

import functools
import json
import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from occupancy.boards.records import BoardSettings
from occupancy.core.entities import (
    DEFAULT_ITEM_NAME,
    DEFAULT_STEP,
    DEFAULT_TIME_ZONE,
    ItemName,
)
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.boards import BoardSettingsBody, StepBody

DEFAULT_STEPS = json.dumps([DEFAULT_STEP])
_COUNT = b"at:"  # and a step


def settings_of(board: str, fields: Mapping[bytes, bytes]) -> BoardSettings:
    """The settings in the fields of a board's hash."""
    steps = json.loads(fields.get(b"steps", DEFAULT_STEPS))
    titles = json.loads(fields.get(b"step_titles", "{}"))
    given: dict[str, Any] = {}
    if b"item_name" in fields:
        given["item_name"] = msgspec.json.decode(fields[b"item_name"], type=ItemName)
    for name in ("shown_attributes", "reasons"):
        if name.encode() in fields:
            given[name] = json.loads(fields[name.encode()])
    return BoardSettings(
        title=fields.get(b"title", board.encode()).decode(),
        steps=steps,
        step_titles={step: titles.get(step, step) for step in steps},
        max_holds=int(fields.get(b"max_holds", 0)),
        time_zone=fields.get(b"time_zone", DEFAULT_TIME_ZONE.encode()).decode(),
        version=int(fields.get(b"settings_version", 0)),
        **given,
    )


def step_counts_of(fields: Mapping[bytes, bytes]) -> dict[str, int] | None:
    """How many items stand at each step; None where they were never counted."""
    if b"steps_counted" not in fields:
        return None
    return {
        name.removeprefix(_COUNT).decode(): int(count) if count.isdigit() else 0  # damaged
        for name, count in fields.items()
        if name.startswith(_COUNT)
    }


def encoded(values: Mapping[str, Any]) -> list[str]:
    """Fields of the hash and their values, one after the other."""
    found = []
    for name, value in values.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        found += [name, text]
    return found


def changed(before: BoardSettings, board: str, body: BoardSettingsBody) -> BoardSettings:
    """``before`` with the fields that ``body`` gives. Raises InvalidRequest."""
    given = body.given
    if "title" in given:
        given["title"] = given["title"] or board
    if "steps" in given:
        given["steps"], given["step_titles"] = steps_of(given["steps"], before.step_titles)
    if "item_name" in given:
        given["item_name"] = given["item_name"] or DEFAULT_ITEM_NAME
    if "max_holds" in given:
        given["max_holds"] = given["max_holds"] or 0
    if "time_zone" in given:
        given["time_zone"] = _time_zone(given["time_zone"] or DEFAULT_TIME_ZONE)
    for name in ("shown_attributes", "reasons"):
        if len(set(given.get(name, ()))) < len(given.get(name, ())):
            raise InvalidRequest(f"{name}: the same text occurs twice. Leave one of them out.")
    return msgspec.structs.replace(before, **given)


def differing(before: BoardSettings, after: BoardSettings) -> list[str]:
    """The names of the settings that differ, as a request has them."""
    names = [
        each for each in before.__struct_fields__ if getattr(before, each) != getattr(after, each)
    ]
    return sorted({"steps" if each == "step_titles" else each for each in names})


def steps_of(
    given: Sequence[str | StepBody], known: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """The ids in order, and the title of each; one that is only an id keeps its title in ``known``.

    Raises InvalidRequest.
    """
    titles: dict[str, str] = {}
    for each in given:
        if isinstance(each, StepBody):
            step, title = each.step, each.title or each.step
        else:
            step, title = each, known.get(each, each)
        if step in titles:
            raise InvalidRequest(f"steps: the step {step} occurs twice. Leave one of them out.")
        titles[step] = title
    if len(set(titles.values())) < len(titles):
        raise InvalidRequest("steps: two steps have the same title. Give them different titles.")
    return list(titles), titles


def _time_zone(name: str) -> str:
    """``name`` if it is a time zone. Raises InvalidRequest."""
    if name != DEFAULT_TIME_ZONE and name not in _time_zones():
        raise InvalidRequest(
            "time_zone must be a name of the IANA time zone database, such as America/Lima."
        )
    return name  # UTC also where the system has no database


@functools.cache
def _time_zones() -> frozenset[str]:
    # These two are files of the database, and no browser knows them as zones.
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})

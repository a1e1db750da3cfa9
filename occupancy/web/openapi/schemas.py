"""Schemas of the OpenAPI document: bodies, answers and the events of a stream.

The schemas of bodies and items come from the Structs that decode them (core.requests,
core.entities), so the document promises exactly the bounds that the API checks.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from occupancy.core.entities import (
    BOARD_PATTERN,
    CURSOR_PATTERN,
    STATES,
    TAG_PATTERN,
    Event,
    Item,
    ItemName,
)
from occupancy.core.errors import answered_kinds
from occupancy.core.requests.access import (
    BadgeBody,
    ConfirmBody,
    PinBody,
    SignInBody,
    StationBody,
    TokenBody,
    WorkerBody,
)
from occupancy.core.requests.boards import BoardBody, BoardRemovalBody, BoardSettingsBody
from occupancy.core.requests.items import BatchBody, ImportBody, ItemBody, OperationBody
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS, Transition

EVENT_TYPES = [
    PUT.added_event, PUT.event, REMOVE.event, *(each.event for each in TRANSITIONS.values())
]  # fmt: skip


def ref(kind: str, name: str) -> dict[str, Any]:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def obj(**properties: Any) -> dict[str, Any]:
    """The schema of an object that has all of these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def done(**properties: Any) -> dict[str, Any]:
    """The schema of a successful answer to an operation, which may be a repeated one."""
    schema = obj(**properties)
    schema["properties"]["item_is_current"] = ITEM_IS_CURRENT
    return schema


def array(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"type": "number"}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
TIME = {"type": "string", "format": "date-time"}
ITEM_IS_CURRENT = {
    "const": True,
    "description": "Present where this repeats an earlier answer whose version of the item is no "
    "longer kept: `item` is as it is now.",
}


def pattern(text: str) -> dict[str, Any]:
    """The schema of a text that matches a pattern of core.entities."""
    return {"type": "string", "pattern": _portable(text)}


def _portable(text: str) -> str:
    # JSON Schema has ECMAScript's patterns, in which $ is only the very end, like \Z in Python.
    return text.replace(r"\Z", "$")


VERSION_FLOOR = {
    **INTEGER,
    "minimum": 0,
    "description": "Every version counted since the last promotion of another server is above "
    "it; 0 on a single server. After a `reset` with a higher one, load again what comes with a "
    "lower one, and ignore an operation's answer whose `version` is not above it: the process "
    "that gave them did not know of the promotion yet.",
}
SETTINGS_VERSION = {
    **INTEGER,
    "minimum": 0,
    "description": "The version of the board's settings. Where it is not yours, load the board.",
}
CURSOR = {
    **pattern(CURSOR_PATTERN),
    "description": "Opaque: only send it back. It never names another event.",
}
NEXT = nullable({**TEXT, "description": "Send it as `page` to get the next page."})


# Schemas


def schemas() -> dict[str, Any]:
    """The named schemas of the document."""
    _, found = msgspec.json.schema_components(
        [Item, ItemName, Event, BatchBody, ItemBody, PinBody, SignInBody, WorkerBody, TokenBody,
         BoardBody, BoardSettingsBody, BoardRemovalBody, ImportBody,
         BadgeBody, ConfirmBody, StationBody],
        ref_template="#/components/schemas/{name}",
    )  # fmt: skip
    made: dict[str, Any] = _made_portable(copy.deepcopy(found))
    _describe_item(made)
    made["Event"]["description"] = "One change of an item; `item` is the item after it."
    made["Event"]["properties"]["type"]["enum"] = EVENT_TYPES
    made["Event"]["properties"]["at"] = TIME
    made["BatchBody"]["properties"]["operation"]["enum"] = list(TRANSITIONS)
    del made["BatchBody"]["properties"]["epoch"]  # a batch refuses it, because it concerns one item
    made["BatchBody"]["description"] = (
        "One operation for up to 50 items. `reason`, `to` and `step` as the operation takes them."
    )
    made["BoardSettingsBody"]["description"] = (
        "What is not given stays as it is; null stands for the default."
    )
    made["StepBody"]["description"] = "A step with its title; null: the id."
    made["BoardRemovalBody"]["description"] = "`confirm` is the board's name, if it has items."
    made["ItemName"]["description"] = "What a board calls an item: one, and many."
    made["ItemBody"]["description"] = "What is not given stays as it is."
    made["Changed"] = {
        **done(changed=BOOLEAN, item=ref("schemas", "Item"), cursor=CURSOR),
        "description": "What an operation answers. `changed` is false where its effect stood "
        "already; `cursor` is the position of the board's events after it.",
    }
    made["Board"] = {
        **obj(
            board=pattern(BOARD_PATTERN),
            title=TEXT,
            steps=array({**TEXT, "description": "Its id, which items carry in `step`."}),
            step_titles={
                "type": "object",
                "additionalProperties": TEXT,
                "description": "The title that people read, of each step.",
            },
            item_name=ref("schemas", "ItemName"),
            counts=obj(**dict.fromkeys(STATES, INTEGER)),
        ),
        "description": "A board, with the number of its items in each state.",
    }
    position = obj(
        cursor=CURSOR, seq=INTEGER, version_floor=VERSION_FLOOR, settings_version=SETTINGS_VERSION
    )
    made["Position"] = {**position, "description": "A place in a board's events."}
    made["Problem"] = _problem_schema()
    return made


def _describe_item(made: dict[str, Any]) -> None:
    properties = made["Item"]["properties"]
    made["Item"]["description"] = "The thing that one worker at a time may occupy."
    properties["tag"] = pattern(TAG_PATTERN)
    properties["state"]["enum"] = list(STATES)
    properties["since"] = dict(TIME)  # a description of its own is added below
    for name, text in {
        "since": "When the present state began.",
        "epoch": "Fencing token: +1 whenever the holder changes, to somebody or to nobody.",
        "version": "+1 with every change; the `ETag` of the item.",
        "worked_s": "Seconds occupied so far at the present step, without the running hold.",
        "step": "The step at which the item stands.",
        "attributes": "Names with a text, a number, true, false or null. A number that a double "
        "would round (beyond 2^53 - 1, or with too many digits) is refused: send it as text.",
    }.items():
        properties[name]["description"] = text


def _problem_schema() -> dict[str, Any]:
    schema = obj(
        type={"type": "string", "format": "uri-reference", "description": "`/docs#<code>`"},
        title=TEXT,
        status=INTEGER,
        detail={**TEXT, "description": "Plain words: what is wrong and what to do."},
        code={"type": "string", "enum": [kind.code for kind in answered_kinds()]},
    )
    schema["description"] = "An error, after RFC 9457; with what helps to act on it."
    schema["properties"] |= {
        "holder": nullable(ref("schemas", "Person")),
        "since": TIME,
        "version": INTEGER,
        "item": ref("schemas", "Item"),
        "item_is_current": ITEM_IS_CURRENT,
        "tag": TEXT,
        "step": TEXT,
        "items": {**INTEGER, "description": "How many."},
        "retry_after": {**INTEGER, "description": "Seconds."},
        "cause": {
            "type": "object",
            "description": "Of a file that is refused: why, as a `code` with `values`.",
        },
    }
    return schema


def operation_body(transition: Transition) -> dict[str, Any]:
    """The schema of an operation's body: the fields that it takes, and no others."""
    _, found = msgspec.json.schema_components([OperationBody], ref_template="{name}")
    schema: dict[str, Any] = _made_portable(copy.deepcopy(found["OperationBody"]))
    rules = transition.fields
    required = [name for name, rule in rules.items() if rule == "required"]
    properties = {
        name: each for name, each in schema["properties"].items() if rules.get(name) != "none"
    }
    for name in required:
        properties[name] = properties[name]["anyOf"][0]
    del schema["title"], schema["description"]
    return {**schema, "properties": properties, "required": required}


def _made_portable(value: Any) -> Any:
    if isinstance(value, dict):
        for name, each in value.items():
            is_pattern = name == "pattern" and isinstance(each, str)
            value[name] = _portable(each) if is_pattern else _made_portable(each)
    elif isinstance(value, list):
        value[:] = map(_made_portable, value)
    return value


# Events of a stream


def _event(name: str, data: dict[str, Any], text: str, *, has_id: bool = False) -> dict[str, Any]:
    return {"event": name, "has_id": has_id, "data": data, "description": text}


STREAM_EVENTS = (
    _event("item", ref("schemas", "Event"),
        f"An item has changed: {', '.join(f'`{name}`' for name in EVENT_TYPES)}. Every event after "
        "the cursor comes in order, once.", has_id=True),
    _event("ready", ref("schemas", "Position"),
        "The stream is live from this position on.", has_id=True),
    _event("reset", obj(
            cursor=CURSOR, seq=INTEGER, version_floor=VERSION_FLOOR,
            settings_version=SETTINGS_VERSION, snapshot=TEXT, reason=TEXT,
        ),
        "The cursor is not in the log (any more), or this connection is too slow for the events: "
        "load `snapshot`, and go on from its cursor.", has_id=True),
    _event("board", obj(settings_version=SETTINGS_VERSION),
        "The board's settings have changed: load the board again."),
    _event("degraded", obj(detail=TEXT),
        "Live delivery is impaired: events come some seconds late, or not before the store can be "
        "reached again. A stream that opens meanwhile gets it after `ready`."),
    _event("recovered", {"type": "object"},
        "Live delivery works again, and missed events have been sent."),
    _event("bye", {"type": "object"},
        "The server goes away, or the board was removed; reconnect after the `retry:` before it. "
        "A removed board is answered 404 then."),
)  # fmt: skip

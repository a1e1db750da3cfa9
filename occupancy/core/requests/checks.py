"""Rules for bodies and names that a type cannot express: allowed characters, needed fields."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec

from occupancy.core.accepted_values import bidi_control, is_visible
from occupancy.core.entities import BOARD_PATTERN, TAG_PATTERN, WORKER_PATTERN, control_character
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.items import OperationBody
from occupancy.core.transitions import TRANSITIONS, Transition

_NEEDED = {
    "reason": "a reason",
    "to": "to: the id of the worker who gets the item",
    "step": "a step",
}
_NAMES = {
    "board": (BOARD_PATTERN, "1 to 32 letters, digits, - or _, beginning with a letter or digit"),
    "tag": (TAG_PATTERN, "1 to 64 letters, digits, . _ : or -, beginning with a letter or digit"),
    "worker": (WORKER_PATTERN, "1 to 64 letters, digits, . _ @ or -, beginning with one of them"),
}
_PATTERNS = {kind: re.compile(pattern) for kind, (pattern, _) in _NAMES.items()}


def check_text(name: str, value: Any) -> None:
    """Raises InvalidRequest if a text in ``value`` has a control character."""
    for text in _texts(value):
        found = control_character(text)
        if found is not None:
            raise InvalidRequest(
                f"{name} has the character U+{ord(found):04X}, which is not allowed. Remove it."
            )


def check_shown(name: str, value: Any) -> None:
    """Raises InvalidRequest if a text in ``value`` is invisible or has a directional override.

    An optional reason and the text of an attribute may be blank.
    """
    for text in _texts(value):
        found = bidi_control(text)
        if found is not None:
            raise InvalidRequest(
                f"{name} has the character U+{ord(found):04X}, which shows a text in another order "
                "than it is written. Leave it out."
            )
    if name == "reason":
        return
    visible = list(value) if name == "attributes" else _texts(value)
    if not all(map(is_visible, visible)):
        what = "the name of an attribute" if name == "attributes" else name
        raise InvalidRequest(f"{what} has nothing that can be seen. Write something, or omit it.")


def _texts(value: Any) -> list[str]:
    """The texts in a field's value, the names of attributes among them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, msgspec.Struct):
        return _texts([getattr(value, name) for name in value.__struct_fields__])
    if isinstance(value, dict):
        return _texts([*value, *value.values()])
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []


def check_fields(transition: Transition, body: OperationBody) -> None:
    """Raises InvalidRequest if ``body`` has a field that the operation does not take, or lacks one.

    A required text that shows nothing is a missing one.
    """
    missing = None
    for name, rule in transition.fields.items():
        value = getattr(body, name)
        if rule == "none":
            if value is not None:
                raise InvalidRequest(f"{transition.operation} takes no {name}. Leave it out.")
        elif rule == "required" and not is_visible(value or ""):
            missing = missing or name
    if missing is not None:
        raise InvalidRequest(f"{transition.operation} needs {_NEEDED[missing]}.")


def transition_of(operation: str) -> Transition:
    """The row of an operation. Raises InvalidRequest."""
    return TRANSITIONS[check_choice("operation", operation, TRANSITIONS)]


def check_choice(name: str, text: str, choices: Collection[str]) -> str:
    """``text`` if it is one of ``choices``. Raises InvalidRequest."""
    if text not in choices:
        raise InvalidRequest(f"{name} must be one of {', '.join(choices)}.")
    return text


def check_name(kind: str, text: str) -> str:
    """``text`` if it is a well-formed board, tag or worker id. Raises InvalidRequest."""
    if not _PATTERNS[kind].match(text):
        shown = text[:80].encode("unicode_escape").decode("ascii")
        raise InvalidRequest(f"{kind} '{shown}' is not allowed: {_NAMES[kind][1]}.")
    return text

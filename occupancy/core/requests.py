"""Request bodies: the JSON that the API takes, checked as it is decoded.

msgspec refuses unknown fields, wrong types and texts out of bounds, with the field's name. This
module checks what msgspec cannot express: control characters, and the fields of an operation.
"""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from occupancy.core.accepted_values import MAX_EXACT, bidi_control, check_exact, is_visible
from occupancy.core.entities import (
    BOARD_PATTERN,
    MAX_BATCH_TAGS,
    MAX_BOARD_REASONS,
    MAX_HOLDS,
    MAX_SHOWN_ATTRIBUTES,
    MAX_STEPS,
    TAG_PATTERN,
    WORKER_PATTERN,
    AttributeName,
    Attributes,
    BoardName,
    BoardReason,
    ItemName,
    Reason,
    Step,
    StepTitle,
    Tag,
    Title,
    WorkerId,
    WorkerName,
    control_character,
)
from occupancy.core.errors import InvalidRequest
from occupancy.core.transitions import TRANSITIONS, Transition

MAX_BODY_BYTES = 64 * 1024
MAX_ATTRIBUTES_BYTES = 16 * 1024  # an event with its item must stay well below a stream's buffer

MAX_TOKEN_DAYS = 36_500

# Fields that other people read.
_VISIBLE_FIELDS = (
    "title", "name", "label", "reason", "attributes", "steps", "item_name", "shown_attributes",
    "reasons",
)  # fmt: skip
_LISTS = ("steps", "shown_attributes", "reasons")

Epoch = Annotated[int, msgspec.Meta(ge=0, le=MAX_EXACT)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]  # a token
Pin = Annotated[str, msgspec.Meta(min_length=1, max_length=800)]  # 200 characters, decomposed
BadgeCode = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]  # as it was scanned
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
RoleName = Literal["observer", "worker", "supervisor", "admin"]


ColumnName = Annotated[str, msgspec.Meta(min_length=1, max_length=8192)]


class OperationBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of an operation; each takes only the fields of its row in the table."""

    epoch: Epoch | None = None
    reason: Reason | None = None
    to: WorkerId | None = None
    step: Step | None = None


class BatchBody(OperationBody, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The body of a batch: the operation, the tags, and the operation's fields for all of them."""

    operation: str
    tags: Annotated[list[Tag], msgspec.Meta(min_length=1, max_length=MAX_BATCH_TAGS)]


class ItemBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of PUT on an item; a field that is not given stays as it is."""

    title: Title | None = None
    attributes: Attributes | None = None

    def as_json_texts(self) -> dict[str, str]:
        """The given fields as JSON text, attributes in the order of their names."""
        given = {"title": self.title, "attributes": self.attributes}
        return {name: _encode(value) for name, value in given.items() if value is not None}


class SignInBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a sign-in: worker and PIN, a link's secret, or at a paired station a badge.

    ``board`` comes with a badge: a code that is the tag of an item there is no badge.
    """

    worker: WorkerId | None = None
    pin: Pin | None = None
    token: Secret | None = None
    badge: BadgeCode | None = None
    board: BoardName | None = None


class ConfirmBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that confirms a session opened with a badge."""

    pin: Pin


class BadgeBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that gives a worker a badge."""

    code: BadgeCode
    label: Label | None = None


class StationBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that makes a station, which is then to be paired."""

    name: WorkerName
    board: BoardName | None = None


class PinBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that changes one's own PIN; ``pin`` is the present one, if there is one."""

    new_pin: Pin
    pin: Pin | None = None


class WorkerBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of PUT on a worker; a field that is not given stays as it is."""

    name: WorkerName | None = None
    role: RoleName | None = None
    disabled: bool | None = None
    pin: Pin | None = None


class TokenBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that creates a token."""

    worker: WorkerId
    days: Annotated[int, msgspec.Meta(ge=1, le=MAX_TOKEN_DAYS)] | None = None
    role: RoleName | None = None
    board: BoardName | None = None


class StepBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A step: its id, which items carry, and the title that people read (None: the id)."""

    step: Step
    title: StepTitle | None = None


class BoardBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that creates a board; a step is its id, or has a title too."""

    board: BoardName
    title: Title | None = None
    steps: (
        Annotated[list[Step | StepBody], msgspec.Meta(min_length=1, max_length=MAX_STEPS)] | None
    ) = None
    max_holds: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class ImportBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the columns of an uploaded file are: code and title; others become attributes."""

    code: ColumnName
    title: ColumnName | None = None
    left_out: Annotated[list[ColumnName], msgspec.Meta(max_length=256)] = []


class BoardSettingsBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that changes a board's settings; a field that is not given stays as it is.

    ``steps`` is the whole list, in order. A step that is only an id keeps its title. None stands
    for the default.
    """

    title: Title | msgspec.UnsetType | None = msgspec.UNSET
    steps: (
        Annotated[list[Step | StepBody], msgspec.Meta(min_length=1, max_length=MAX_STEPS)]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    item_name: ItemName | msgspec.UnsetType | None = msgspec.UNSET
    max_holds: Annotated[int, msgspec.Meta(ge=1, le=MAX_HOLDS)] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )
    time_zone: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | msgspec.UnsetType | None
    ) = msgspec.UNSET
    shown_attributes: (
        Annotated[list[AttributeName], msgspec.Meta(max_length=MAX_SHOWN_ATTRIBUTES)]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    reasons: (
        Annotated[list[BoardReason], msgspec.Meta(max_length=MAX_BOARD_REASONS)] | msgspec.UnsetType
    ) = msgspec.UNSET

    @property
    def given(self) -> dict[str, Any]:
        """The fields that are given, by name."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in fields.items() if value is not msgspec.UNSET}


class BoardRemovalBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that removes a board; ``confirm`` is its name, for a board with items."""

    confirm: str | None = None


Body = TypeVar("Body", bound=msgspec.Struct)


def decode(data: bytes, kind: type[Body]) -> Body:
    """Decode and check a body; an empty one counts as ``{}``. Raises InvalidRequest.

    It ignores the byte-order mark that some programs put before UTF-8 (RFC 8259, 8.1).
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        body = msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(_plain(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise InvalidRequest("The body is UTF-16. Send it as UTF-8.") from error
        raise InvalidRequest(f"The body is not JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidRequest("The body is not allowed: it is nested too deeply.") from error
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if value is None or value is msgspec.UNSET:
            continue  # not given, like most fields of most operations
        check_text(name, value)
        if name in _VISIBLE_FIELDS:
            check_shown(name, value)
    if isinstance(body, ItemBody) and body.attributes is not None:
        check_exact(body.attributes, data)
        size = len(_encode(body.attributes).encode())
        if size > MAX_ATTRIBUTES_BYTES:
            raise InvalidRequest(
                f"attributes has {size} bytes; at most {MAX_ATTRIBUTES_BYTES} are allowed."
            )
    return body


def check_text(name: str, value: Any) -> None:
    """Raises InvalidRequest if a text in ``value`` has a control character."""
    for text in _texts(value):
        found = control_character(text)
        if found is not None:
            raise InvalidRequest(f"{name} has the character U+{ord(found):04X}, not allowed here.")


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
    if name in _LISTS or name == "item_name":
        names = _texts(value)
    else:
        names = list({"attributes": value or {}, "reason": ()}.get(name, [value]))
    if not all(is_visible(each) for each in names if each is not None):
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


_NEEDED = {
    "reason": "a reason",
    "to": "to: the id of the worker who gets the item",
    "step": "a step",
}


def check_fields(transition: Transition, body: OperationBody) -> None:
    """Raises InvalidRequest if ``body`` has a field that the operation does not take, or lacks one.

    A required text that shows nothing is a missing one.
    """
    missing = None
    for name, rule in transition.fields.items():
        value = getattr(body, name)
        if rule == "none":
            if value is not None:
                raise InvalidRequest(f"{transition.operation} takes no {name}.")
        elif rule == "required" and not is_visible(value or ""):
            missing = missing or name
    if missing is not None:
        raise InvalidRequest(f"{transition.operation} needs {_NEEDED[missing]}.")


def transition_of(operation: str) -> Transition:
    """The row of an operation. Raises InvalidRequest."""
    transition = TRANSITIONS.get(operation)
    if transition is None:
        raise InvalidRequest(f"operation is not one of {', '.join(TRANSITIONS)}.")
    return transition


_NAMES = {
    "board": (BOARD_PATTERN, "1 to 32 letters, digits, - or _, beginning with a letter or digit"),
    "tag": (TAG_PATTERN, "1 to 64 letters, digits, . _ : or -, beginning with a letter or digit"),
    "worker": (WORKER_PATTERN, "1 to 64 letters, digits, . _ @ or -, beginning with one of them"),
}
_PATTERNS = {kind: re.compile(pattern) for kind, (pattern, _) in _NAMES.items()}


def check_name(kind: str, text: str) -> str:
    """``text`` if it is a well-formed board, tag or worker id. Raises InvalidRequest."""
    if not _PATTERNS[kind].match(text):
        shown = text[:80].encode("unicode_escape").decode("ascii")
        raise InvalidRequest(f"{kind} '{shown}' is not allowed: {_NAMES[kind][1]}.")
    return text


def _encode(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _plain(message: str) -> str:
    """Turn "Expected `str`, got `int` - at `$.reason`" into "reason: Expected str, got int."."""
    what, _, where = message.partition(" - at ")
    path = where.rpartition("in ")[2]  # "key in `$.attributes`" where a name is wrong
    field = path.strip("`").removeprefix("$").lstrip(".").removesuffix("[...]")
    # Workers do not read regular expressions; the documentation has the forms.
    what, is_pattern, _ = what.replace("`", "").partition(" matching regex ")
    if is_pattern:
        what = f"{what} of another form"
    if field.startswith("attributes") and what.endswith("out of range"):
        what = f"{what}. Send it as text"
    return f"{field}: {what}." if field else f"The body is not allowed: {what}."

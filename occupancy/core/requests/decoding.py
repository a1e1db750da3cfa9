"""Decoding of a body: msgspec refuses unknown fields, wrong types and texts out of bounds."""

from __future__ import annotations

import codecs
from typing import TypeVar

import msgspec

from occupancy.core.accepted_values import check_exact
from occupancy.core.errors import InvalidRequest
from occupancy.core.requests.checks import check_shown, check_text
from occupancy.core.requests.items import ItemBody, sorted_json

MAX_BODY_BYTES = 64 * 1024
MAX_ATTRIBUTES_BYTES = 16 * 1024  # an event with its item must stay well below a stream's buffer

# Fields that other people read.
_VISIBLE_FIELDS = (
    "title", "name", "label", "reason", "attributes", "steps", "item_name", "shown_attributes",
    "reasons",
)  # fmt: skip

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
        raise InvalidRequest(f"The body is not JSON: {error}. Correct it.") from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply. Send plain fields.") from error
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if value is None or value is msgspec.UNSET:
            continue  # not given, like most fields of most operations
        check_text(name, value)
        if name in _VISIBLE_FIELDS:
            check_shown(name, value)
    if isinstance(body, ItemBody) and body.attributes is not None:
        check_exact(body.attributes, data)
        size = len(sorted_json(body.attributes).encode())
        if size > MAX_ATTRIBUTES_BYTES:
            raise InvalidRequest(
                f"attributes has {size} bytes; at most {MAX_ATTRIBUTES_BYTES} are allowed. Shorten "
                "the texts, or leave some out."
            )
    return body


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

"""Bodies of requests about items: operations, edits, imports."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from occupancy.core.accepted_values import MAX_EXACT
from occupancy.core.entities import MAX_BATCH_TAGS, Attributes, Reason, Step, Tag, Title, WorkerId

Epoch = Annotated[int, msgspec.Meta(ge=0, le=MAX_EXACT)]
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
        return {name: sorted_json(value) for name, value in given.items() if value is not None}


class ImportBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What the columns of an uploaded file are: code and title; others become attributes.

    Without `has_header` the first row is an item, and the columns are called A, B, C, and AA after
    Z. Then all other columns are left out, unless `left_out` is given.
    """

    code: ColumnName
    title: ColumnName | None = None
    left_out: Annotated[list[ColumnName], msgspec.Meta(max_length=256)] | None = None
    has_header: bool = True


def sorted_json(value: Any) -> str:
    """The JSON of ``value``, the names of objects in their order."""
    return msgspec.json.encode(value, order="sorted").decode()

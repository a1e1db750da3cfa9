"""Bodies of requests about boards and their settings."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from occupancy.core.entities import (
    MAX_BOARD_REASONS,
    MAX_HOLDS,
    MAX_SHOWN_ATTRIBUTES,
    MAX_STEPS,
    AttributeName,
    BoardName,
    BoardReason,
    ItemName,
    Step,
    StepTitle,
    Title,
)


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
    max_holds: Annotated[int, msgspec.Meta(ge=0, le=MAX_HOLDS)] | None = None


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

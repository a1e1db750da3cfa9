"""Bodies of requests about access: who signs in, and with what."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from occupancy.core.entities import BoardName, WorkerId, WorkerName

MAX_TOKEN_DAYS = 36_500

Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]  # a token
Pin = Annotated[str, msgspec.Meta(min_length=1, max_length=800)]  # 200 characters, decomposed
BadgeCode = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]  # as it was scanned
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
RoleName = Literal["observer", "worker", "supervisor", "admin"]


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


class PinBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that changes one's own PIN; ``pin`` is the present one, if there is one."""

    new_pin: Pin
    pin: Pin | None = None


class BadgeBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that gives a worker a badge."""

    code: BadgeCode
    label: Label | None = None


class StationBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body that makes a station, which is then to be paired."""

    name: WorkerName
    board: BoardName | None = None


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

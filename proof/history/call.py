"""One operation, as its caller saw it, and the reply to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Reply(NamedTuple):
    """A response. Status 0: no answer, so nobody knows whether the request was carried out."""

    status: int
    body: dict[str, Any]
    is_replayed: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the request need not be sent again."""
        return self.status != 0 and self.status < 500 and self.status != 429


@dataclass
class Call:
    """One operation: what was sent, and what came back each time.

    It is sent again with the same key until there is a known answer. Without one it may have taken
    effect at any time after ``sent_s``, or never. Times are of the monotonic clock, in seconds.
    """

    board: str
    worker: str
    key: str
    operation: str  # of the table; or put, remove: those of an item itself
    tag: str
    arguments: Mapping[str, Any] = field(default_factory=dict)  # the body: reason, to, step, epoch
    statuses: list[int] = field(default_factory=list)  # of each sending; 0: no answer
    sent_s: float = 0.0  # when it was first sent
    answered_s: float = 0.0  # when the known answer came
    reply: Reply | None = None  # the known answer
    if_match: int | None = None  # the version in If-Match

    @property
    def path(self) -> str:
        item = f"/api/boards/{self.board}/items/{self.tag}"
        return item if self.operation in ("put", "remove") else f"{item}/{self.operation}"

    @property
    def item(self) -> dict[str, Any] | None:
        """The item as an acknowledged operation has left it; None where the answer lacks that."""
        if not self.is_acknowledged or self.reply is None or self.reply.body.get("item_is_current"):
            return None  # of a repeated answer whose version is no longer kept, it is a later one
        return self.reply.body.get("item")

    @property
    def is_acknowledged(self) -> bool:
        return self.reply is not None and self.reply.status in (200, 201)

    @property
    def has_changed(self) -> bool:
        """Whether it was acknowledged, and made the event of its item's version."""
        return self.item is not None and bool(self.reply and self.reply.body["changed"])

    @property
    def may_have_changed(self) -> bool:
        """Whether it may have made an event of an unknown version."""
        if self.reply is None:
            return True
        return self.is_acknowledged and self.item is None and bool(self.reply.body.get("changed"))

    @property
    def known_s(self) -> float:
        """When the known answer came; infinity without one."""
        return self.answered_s if self.reply is not None else math.inf

    def __str__(self) -> str:
        if self.reply is None:
            said = "unknown"
        elif self.item is None:
            said = f"{self.reply.status} {self.reply.body.get('code')}"
        else:
            said = f"version {self.item['version']}{'' if self.has_changed else ', unchanged'}"
        return f"{self.operation} {self.board} {self.tag} by {self.worker} ({self.key}: {said})"

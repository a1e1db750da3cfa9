"""One operation, as its caller saw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proof.load.wire import Reply


@dataclass
class Call:
    """One operation: what was sent, and what came back each time.

    It is sent again with the same key until there is a known answer. Without one it may have taken
    effect at any time after ``sent_s``, or never. Times are of the monotonic clock, in seconds.
    """

    board: str
    worker: str
    key: str
    operation: str
    tag: str
    arguments: Mapping[str, Any] = field(default_factory=dict)  # the body: reason, to, step, epoch
    if_match: int | None = None  # the version that the item must have
    statuses: list[int] = field(default_factory=list)  # of each sending; 0: no answer
    sent_s: float = 0.0  # when it was first sent
    answered_s: float = 0.0  # when the known answer came
    reply: Reply | None = None  # the known answer

    @property
    def path(self) -> str:
        return f"/api/boards/{self.board}/items/{self.tag}/{self.operation}"

    @property
    def item(self) -> dict[str, Any] | None:
        """The item of an acknowledged operation."""
        return self.reply.body.get("item") if self.reply and self.reply.status == 200 else None

    @property
    def has_changed(self) -> bool:
        """Whether it was acknowledged, and made an event."""
        return self.item is not None and bool(self.reply and self.reply.body["changed"])

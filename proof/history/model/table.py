"""The table of operations: who may do what in which state."""

from __future__ import annotations

from typing import NamedTuple

RANKS = {"observer": 1, "worker": 2, "supervisor": 3, "admin": 4}
NO_ITEM = ""  # the state of what does not exist


class Row(NamedTuple):
    """One operation of the table."""

    event: str
    role: str
    sources: tuple[str, ...]
    is_for_holder: bool = False
    reason: str = ""  # optional, required; '': no such argument
    step: str = ""
    to: str = ""
    counts_time: bool = False  # the time of the hold that it ends is work


_ANY = ("available", "occupied", "paused", "blocked", "completed")
TABLE = {
    "take": Row("item.taken", "worker", ("available", "paused")),
    "pause": Row(
        "item.paused", "worker", ("occupied",), is_for_holder=True, reason="optional",
        counts_time=True,
    ),
    "complete": Row(
        "item.completed", "worker", ("occupied",), is_for_holder=True, counts_time=True
    ),
    "release": Row("item.released", "worker", ("occupied",), is_for_holder=True),
    "force-release": Row(
        "item.force_released", "supervisor", ("occupied",), reason="required", counts_time=True
    ),
    "reassign": Row(
        "item.reassigned", "supervisor", ("occupied", "available", "paused"), reason="optional",
        to="required",
    ),
    "block": Row(
        "item.blocked", "supervisor", ("available", "paused", "occupied"), reason="required",
        counts_time=True,
    ),
    "unblock": Row("item.unblocked", "supervisor", ("blocked",)),
    "reopen": Row("item.reopened", "supervisor", ("completed",), step="optional"),
    "undo": Row("item.undone", "worker", ("available", "completed")),
    "send-back": Row(
        "item.sent_back", "supervisor", ("available", "paused", "completed"), reason="required",
        step="required",
    ),
    "put": Row("item.updated", "supervisor", (NO_ITEM, *_ANY)),  # or item.added
    "remove": Row("item.removed", "supervisor", ("available", "paused", "blocked", "completed")),
}  # fmt: skip

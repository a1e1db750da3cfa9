"""The state machine as promised, written from its table and not from the script."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class ModelItem:
    step: int = 0
    state: str = "available"
    holder: str | None = None
    epoch: int = 0
    version: int = 0
    title: str = ""
    before: str = "available"  # what release or unblock goes back to
    last: tuple[str, str] | None = None  # the last change of state, and by whom
    completed: tuple[int, int] | None = None  # the step before, and the version after completing


SOURCES = {
    "take": {"available", "paused"},
    "pause": {"occupied"},
    "complete": {"occupied"},
    "release": {"occupied"},
    "force-release": {"occupied"},
    "reassign": {"occupied", "available", "paused"},
    "block": {"available", "paused", "occupied"},
    "unblock": {"blocked"},
    "reopen": {"completed"},
    "undo": {"available", "completed"},
    "send-back": {"available", "paused", "completed"},
    "remove": {"available", "paused", "blocked", "completed"},
}
EVENT_NAMES = {
    "take": "taken", "pause": "paused", "complete": "completed", "release": "released",
    "force-release": "force_released", "reassign": "reassigned", "block": "blocked",
    "unblock": "unblocked", "reopen": "reopened", "remove": "removed",
    "undo": "undone", "send-back": "sent_back",
}  # fmt: skip


class ModelBoard:
    def __init__(self, name: str, steps: list[str], max_holds: int = 0) -> None:
        self.name = name
        self.steps = steps
        self.max_holds = max_holds
        self.items: dict[str, ModelItem] = {}
        self.gone: dict[str, ModelItem] = {}  # removed ones: their epoch must not come back
        self.log: list[tuple[str, str, str]] = []  # (event, tag, actor)

    def holds(self, worker: str) -> int:
        return sum(item.holder == worker for item in self.items.values())

    def expect(  # noqa: PLR0911, PLR0912 - it reads as the table does, row by row
        self,
        operation: str,
        tag: str,
        actor: str,
        *,
        to: str | None = None,
        step: str | None = None,
    ) -> tuple[str, bool]:
        """The code and whether it is a change; carries it out."""
        item = self.items.get(tag)
        if item is None:
            return "item_not_found", False
        target = {"take": actor, "undo": actor, "reassign": to}.get(operation)
        if operation in ("take", "reassign"):
            if item.state == "occupied" and item.holder == target:
                return "ok", False
        elif item.last == (operation, actor) and step in (None, self.steps[item.step]):
            return "ok", False
        if item.state not in SOURCES[operation]:
            if item.state == "occupied" and operation in ("take", "remove", "undo", "send-back"):
                return "held", False
            return ("blocked" if item.state == "blocked" else "wrong_state"), False
        if operation in ("pause", "complete", "release") and item.holder != actor:
            return "not_holder", False
        if operation == "send-back" and self.steps.index(step or "") >= item.step:
            return "not_earlier", False
        if operation == "undo":
            if item.completed is None or item.completed[1] != item.version:
                return "undo_touched", False
            if item.last != ("complete", actor):
                return "undo_others", False
        if target is not None and self.max_holds and self.holds(target) >= self.max_holds:
            return "limit_reached", False
        self._carry_out(operation, item, target, step)
        item.version += 1
        item.last = (operation, actor)
        self.log.append((f"item.{EVENT_NAMES[operation]}", tag, actor))
        if operation == "remove":
            self.gone[tag] = self.items.pop(tag)
        return "ok", True

    def _carry_out(
        self, operation: str, item: ModelItem, target: str | None, step: str | None
    ) -> None:
        was_occupied = item.state == "occupied"
        if operation in ("take", "reassign"):
            if not was_occupied:
                item.before = item.state
            item.state = "occupied"
        elif operation in ("pause", "force-release"):
            item.state = "paused"
        elif operation == "complete":
            item.completed = (item.step, item.version + 1)
            is_last = item.step == len(self.steps) - 1
            item.state = "completed" if is_last else "available"
            item.step += not is_last
        elif operation in ("release", "unblock"):
            item.state = item.before
        elif operation == "block":
            item.before = "paused" if was_occupied else item.state
            item.state = "blocked"
        elif operation == "undo":
            assert item.completed is not None
            item.state, item.step = "occupied", item.completed[0]
        elif operation == "send-back":
            item.state, item.step = "available", self.steps.index(step or "")
        elif operation == "reopen":
            item.state = "available"
            item.step = self.steps.index(step) if step else len(self.steps) - 1
        if item.holder != target:
            item.epoch += 1
        item.holder = target

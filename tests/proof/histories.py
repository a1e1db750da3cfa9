"""A sound history of a simulated board, and its parts, for tests that damage it."""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

from proof.history.call import Call
from proof.history.history import History, Items, Log, Seen
from tests.proof.simulation import BOARD, Simulation

CALLS = 250


@functools.cache
def _history() -> History:
    return Simulation(4).run(CALLS)


def sound() -> History:
    """A history of its own for each test: nothing in it was asked for yet."""
    return copy.deepcopy(_history())


def log_of(history: History) -> Log:
    return history.after[BOARD].log


def items_of(history: History) -> Items:
    return history.after[BOARD].items


def trail_of(history: History) -> list[Seen]:
    return history.watchers[0].trail


def changes_of(history: History, *operations: str) -> list[Call]:
    return [
        each for each in history.calls
        if each.has_changed and (not operations or each.operation in operations)
    ]  # fmt: skip


def body_of(call: Call) -> dict[str, Any]:
    assert call.reply is not None
    return call.reply.body


def edit_event(history: History, position: int, **item: Any) -> None:
    """Change the item of an entry in the log only."""
    fields = log_of(history)[position][1]
    event = json.loads(fields["event"])
    event["item"] |= item
    fields["event"] = json.dumps(event)

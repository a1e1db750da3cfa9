"""Worked time: what the server has counted equals what a clock outside has seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from proof.history.explanation import OPERATIONS
from proof.history.history import Event, History
from proof.history.log_checks import seconds_of
from proof.history.model.table import TABLE

_ROUNDING_S = 0.01  # two clocks that are cut to milliseconds, and run a little apart


class _Moment(NamedTuple):
    """When something happened, by the clock outside: between sending and answer."""

    sent_s: float
    answered_s: float


def worked_time(history: History) -> Iterator[str]:
    """Each hold whose beginning and end were answered is counted as long as it was.

    It began between the sending and the answer of the take, and ended between those of the pause.
    That leaves the sum of both durations, and what the server's clock was set forward or back.
    """
    moments = {
        (call.board, call.tag, call.item["version"]): _Moment(call.sent_s, call.answered_s)
        for call in history.judged_calls
        if call.has_changed and call.item is not None
    }
    slack_s = history.clock_faults_s + _ROUNDING_S
    for board, events in history.new_events.items():
        last: dict[str, dict[str, Any]] = dict(history.before[board].items)
        began: dict[str, _Moment | None] = {}
        completed: dict[str, _Moment | None] = {}  # the beginnings that an undo would restore
        for event in events:
            tag = event.item["tag"]
            before = last.get(tag)
            moment = moments.get((board, tag, event.item["version"]))
            operation = OPERATIONS.get(event.type, "")
            was_held = before is not None and before["state"] == "occupied"
            may_undo = completed.pop(tag, None)
            if operation == "undo":
                began[tag] = may_undo
            elif not was_held:
                began[tag] = moment if event.item["state"] == "occupied" else None
            elif before is not None and event.item["state"] != "occupied":
                beginning = began.pop(tag, None)
                if operation == "complete":
                    completed[tag] = beginning
                if operation in TABLE and TABLE[operation].counts_time:
                    if beginning is not None and moment is not None:
                        bounds = _bounds(beginning, moment, slack_s)
                        yield from _judge(board, before, event, bounds)
                elif event.item["worked_s"] != before["worked_s"]:
                    yield f"{board} {event.cursor}: {event.type} of {tag} counts time"
            last[tag] = event.item


def _bounds(began: _Moment, ended: _Moment, slack_s: float) -> tuple[float, float]:
    """How long a hold was, at least and at most."""
    least_s = ended.sent_s - began.answered_s - slack_s
    return max(0.0, least_s), ended.answered_s - began.sent_s + slack_s


def _judge(
    board: str, before: dict[str, Any], event: Event, bounds: tuple[float, float]
) -> Iterator[str]:
    if event.item["step"] == before["step"]:
        counted_s = event.item["worked_s"] - before["worked_s"]
    else:  # the next step counts from 0
        counted_s = max(0.0, seconds_of(event.at) - seconds_of(before["since"]))
    least_s, most_s = bounds
    if not least_s <= counted_s <= most_s:
        yield (
            f"{board} {event.cursor}: {event.type} of {event.item['tag']} counts {counted_s:.3f} s "
            f"of a hold of {least_s:.3f} to {most_s:.3f} s"
        )

"""The log: every event is a row of the table, none is missing, and each belongs to one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from proof.history.call import Call
from proof.history.explanation import OPERATIONS, following, start_states
from proof.history.history import Event, History, Items, Log, holder_of, position_of, short
from proof.history.model.operations import Rules
from proof.history.model.state import state_of
from proof.history.model.table import TABLE

_ROUNDING_S = 0.0011
_UNDO_S = 60.0


def numbers(logs: Mapping[str, Log]) -> Iterator[str]:
    """The seq of each log has no holes, and its cursors rise."""
    for board, log in logs.items():
        entries = [(int(fields["seq"]), cursor) for cursor, fields in log if "seq" in fields]
        for (one, one_cursor), (other, other_cursor) in pairwise(entries):
            if other != one + 1:
                yield f"{board}: seq {other} after {one} in the log"
            if position_of(other_cursor) <= position_of(one_cursor):
                yield f"{board}: cursor {other_cursor} after {one_cursor} in the log"


def continuations(history: History) -> Iterator[str]:
    """The log continues where it ended, unless a loss or its bound removed entries."""
    for board, events in history.events.items():
        before = [fields for _, fields in history.before[board].log if "seq" in fields]
        if not before or history.losses:
            continue
        seq = int(before[-1]["seq"])
        if not events or events[-1].seq < seq:
            yield f"{board}: the log ended at seq {seq}, and has lost it"
        elif not _was_trimmed(history, board) and all(each.seq != seq + 1 for each in events) and (
            events[-1].seq > seq
        ):  # fmt: skip
            yield f"{board}: seq {seq + 1} is missing in the log"


def keys(
    calls: Sequence[Call], new_events: Mapping[str, Sequence[Event]], people: Collection[str]
) -> Iterator[str]:
    """Each new entry of the log belongs to one key, and each key has one entry at most."""
    claims: dict[tuple[str, str, int], list[str]] = {}
    unknown: Counter[tuple[str, str, str, str]] = Counter()  # each may have one effect
    for each in calls:
        if each.may_have_changed:
            unknown[each.board, each.tag, each.worker, each.operation] += 1
        elif each.has_changed and each.item is not None:
            name = (each.board, each.tag, int(each.item["version"]))
            claims.setdefault(name, []).append(f"{each.worker} {each.key}")
    for name, claimed in claims.items():
        if len(claimed) > 1:
            yield f"{name} was the answer to {claimed}"
    for board, events in new_events.items():
        for event in events:
            tag, actor, version = event.item["tag"], event.actor, event.item["version"]
            if actor not in people or (board, tag, version) in claims:
                continue
            source = (board, tag, actor, OPERATIONS.get(event.type, ""))
            unknown[source] -= 1
            if unknown[source] < 0:
                sent_again = [
                    (call.key, call.operation, call.statuses, call.item and call.item["version"])
                    for call in calls
                    if (call.board, call.tag, call.worker) == (board, tag, actor)
                    and len(call.statuses) > 1
                ]
                yield (
                    f"{board} {event.cursor}: {actor} {event.type} {tag} version {version} "
                    f"is the answer to no call; sent again: {sent_again}"
                )


def authors(history: History) -> Iterator[str]:
    """Each new event names the worker and the operation of the call that it answers."""
    claims = {
        (call.board, call.tag, call.item["version"]): call
        for call in history.calls
        if call.has_changed and call.item is not None and not history.is_excused(call)
    }
    for board, events in history.new_events.items():
        for event in events:
            if event.actor not in history.roles:
                yield f"{board} {event.cursor}: {event.type} by {event.actor}, who is nobody"
            call = claims.get((board, event.item["tag"], event.item["version"]))
            if call is None:
                continue
            if (call.worker, call.operation) != (event.actor, OPERATIONS.get(event.type)):
                yield f"{board} {event.cursor}: {event.type} by {event.actor} answered {call}"


def unkept(calls: Sequence[Call], kept: Mapping[tuple[str, str, int], Any]) -> list[Call]:
    """The acknowledged changes that are not in the logs."""
    return [
        each for each in calls
        if each.has_changed and each.item is not None
        and (each.board, each.tag, each.item["version"]) not in kept
    ]  # fmt: skip


def acknowledged(history: History) -> Iterator[str]:
    """Each acknowledged change is in the log as answered; the board is not older than it."""
    kept = history.kept
    for call in history.calls:
        item = call.item
        if not call.has_changed or item is None or history.is_excused(call):
            continue
        found = kept.get((call.board, call.tag, item["version"]))
        if found is None:
            if not _is_beyond_log(history, call):
                yield f"{call} is not in the log"
        elif found != item:
            yield f"{call} was answered {short(item)}, and is {short(found)} in the log"
        present = history.after[call.board].items.get(call.tag)
        if present is not None and present["version"] < item["version"]:
            yield f"{call} is lost: on the board it is {short(present)}"


def board(history: History) -> Iterator[str]:
    """At the end, each item of the board is as in its last event, or as before the round."""
    for name, state in history.after.items():
        is_whole = not _was_trimmed(history, name)
        expected: Items = dict(history.before[name].items) if is_whole else {}
        for event in history.events[name]:
            expected[event.item["tag"]] = event.item
            if event.type == "item.removed":
                del expected[event.item["tag"]]
        for tag, item in expected.items():
            if state.items.get(tag) != item:
                found = state.items.get(tag)
                yield f"{name} {tag} is {short(found)}, and {short(item)} in the log"
        if is_whole:
            for tag in state.items.keys() - expected.keys():
                yield f"{name} {tag} is on the board, and not in the log"


def indexes(history: History) -> Iterator[str]:
    """Each index has the items of the board and no others."""
    for name, state in history.after.items():
        if not state.indexes:
            continue
        items = state.items.items()
        expected = {
            "by_tag": set(state.items),
            "by_state": {f"{item['state']}|{tag}" for tag, item in items},
            "by_holder": {f"{holder_of(item)}|{tag}" for tag, item in items if item["holder"]},
        }
        for index, members in expected.items():
            found = state.indexes.get(index, set())
            for member in sorted(members - found):
                yield f"{name}: {member} is missing in {index}"
            for member in sorted(found - members):
                yield f"{name}: {member} is in {index}, and should not be"


def table(history: History) -> Iterator[str]:
    """Each new event, with its times, follows from the item before it by the table."""
    for name, events in history.new_events.items():
        rules = Rules(history.steps[name], history.roles)
        is_whole = not _was_trimmed(history, name)
        last = dict(history.before[name].items) if is_whole else {}
        completed: Items = {}  # each item as it was before its last event, if that completed it
        states = start_states(history, name) if is_whole else {}
        for event in events:
            tag = event.item["tag"]
            if tag in states or event.type == "item.added":
                state = states.get(tag) or state_of(None)
                after = following(state, event, rules)
                if after is None:
                    yield f"{name} {event.cursor}: {event.type} by {event.actor} leaves " + (
                        f"{short(event.item)} of {short(last.get(tag))}: {tuple(state)}"
                    )
                    after = state_of(event.item)
                elif tag in last and not _has_right_times(last[tag], event, completed.get(tag)):
                    yield f"{name} {event.cursor}: since or worked_s of {event.item} after " + (
                        f"{last[tag]}"
                    )
                states[tag] = after
            else:
                states[tag] = state_of(event.item)
            completed.pop(tag, None)
            if event.type == "item.completed" and tag in last:
                completed[tag] = last[tag]
            last[tag] = event.item
            if event.type == "item.removed":
                states[tag] = state_of(None)._replace(
                    epoch=event.item["epoch"], version=event.item["version"]
                )
                del last[tag]


def _has_right_times(
    before: dict[str, Any], event: Event, completed: Mapping[str, Any] | None
) -> bool:
    """Whether ``since`` moves when the state begins, and worked time grows by the hold's.

    ``completed`` is the item before the completion that made it what it was ``before``. An undo
    restores its times; of a completion before the round they are not known.
    """
    item, operation = event.item, OPERATIONS[event.type]
    if operation == "undo":
        times = [(each["since"], each["worked_s"]) for each in (item, completed or item)]
        return times[0] == times[1] and _took_s(before, event) <= _UNDO_S + _ROUNDING_S
    keeps_since = operation in ("put", "remove") or (
        operation == "reassign" and before["state"] == "occupied"
    )
    if item["since"] != (before["since"] if keeps_since else event.at):
        return False
    worked_s = before["worked_s"]
    if TABLE[operation].counts_time and before["state"] == "occupied":
        worked_s += max(0.0, seconds_of(event.at) - seconds_of(before["since"]))
    if item["step"] != before["step"]:
        worked_s = 0.0
    return bool(abs(item["worked_s"] - worked_s) < _ROUNDING_S)


def _took_s(before: Mapping[str, Any], event: Event) -> float:
    return seconds_of(event.at) - seconds_of(before["since"])


def seconds_of(text: str) -> float:
    """A timestamp in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def _was_trimmed(history: History, board: str) -> bool:
    """Whether entries since ``before`` are gone because the log is bounded."""
    events = history.events[board]
    before = [fields for _, fields in history.before[board].log if "seq" in fields]
    last = int(before[-1]["seq"]) if before else 0
    return bool(events) and events[0].seq > last + 1


def _is_beyond_log(history: History, call: Call) -> bool:
    """Whether the entry of a call may have been trimmed."""
    if not _was_trimmed(history, call.board):
        return False
    cursor = call.reply.body.get("cursor", "") if call.reply else ""
    oldest = history.events[call.board][0].cursor
    return bool(cursor) and position_of(cursor) < position_of(oldest)

"""Checks of the answers alone, without the log."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from proof.history.call import Call
from proof.history.explanation import CalledOperation, Reading, start_states
from proof.history.history import History, holder_of
from proof.history.model.operations import Rules
from proof.history.model.state import state_of
from proof.history.model.table import RANKS, TABLE
from proof.history.versions import judge

PASSING = {0, 429, 502, 503, 504}  # then it is sent again
_KNOWN = {200, 201, 400, 403, 404, 409, 412}

Place = tuple[str, str]  # board and tag


def answers(history: History) -> Iterator[str]:
    """No answer is an internal error, an unknown status or the answer to another request."""
    for call in history.calls:
        for status in sorted(set(call.statuses) - PASSING - _KNOWN):
            yield f"{call}: {status} {call.reply and call.reply.body}"
        if call.item is not None and call.item["tag"] != call.tag:
            yield f"{call} was answered with {call.item['tag']}"


def linearizable(history: History) -> Iterator[str]:
    """An order of each item's calls explains all answers and the item at the end."""
    found: dict[Place, list[Call]] = defaultdict(list)
    for call in history.judged_calls:
        found[call.board, call.tag].append(call)
    for board, after in history.after.items():
        rules = Rules(history.steps[board], history.roles, history.max_holds.get(board, 0))
        states = start_states(history, board)
        tags = {tag for name, tag in found if name == board} | states.keys() | after.items.keys()
        for tag in sorted(tags):
            operations: list[CalledOperation | Reading] = [
                CalledOperation(call, rules) for call in found.get((board, tag), [])
            ]
            operations.append(Reading(tag, after.items.get(tag)))
            said, _ = judge(states.get(tag) or state_of(None), operations)
            if said:
                yield f"{board} {tag}: {said}"


class _Hold(NamedTuple):
    """A time in which a worker certainly held an item."""

    from_s: float
    until_s: float
    holder: str
    call: Call


def exclusive(history: History) -> Iterator[str]:
    """No item has two holders at one time.

    A hold is certain from the answer that grants it, or shows it, until something is sent that can
    end it: by its holder, or by a supervisor.
    """
    for (board, tag), calls in _by_place(history.judged_calls).items():
        holds = sorted(_certain_holds(calls))
        last: _Hold | None = None
        for each in holds:
            if last is not None and each.holder != last.holder and each.from_s < last.until_s:
                yield f"{board} {tag}: held after {last.call} and after {each.call}"
            if last is None or each.until_s > last.until_s:
                last = each


def _certain_holds(calls: Sequence[Call]) -> Iterator[_Hold]:
    endings = sorted((each for each in calls if _may_end(each)), key=lambda each: each.sent_s)
    past = 0  # so many endings were answered before the call was sent
    for call in sorted(calls, key=lambda each: each.sent_s):
        if call.operation not in ("take", "reassign", "undo") or call.item is None:
            continue
        holder = str(call.arguments.get("to", call.worker))
        while past < len(endings) and endings[past].known_s < call.sent_s:
            past += 1
        until_s = math.inf
        for each in itertools.islice(endings, past, None):
            if each is not call and each.known_s >= call.sent_s and _may_end(each, holder):
                until_s = each.sent_s
                break
        if until_s > call.answered_s:
            yield _Hold(call.answered_s, until_s, holder, call)


def _may_end(call: Call, holder: str = "") -> bool:
    """Whether the call may have ended a hold: of ``holder``, or of anybody if it is empty."""
    if not call.has_changed and not call.may_have_changed:
        return False
    if call.operation in ("pause", "complete", "release"):
        return not holder or call.worker == holder
    if call.operation == "reassign":
        return not holder or call.arguments.get("to") != holder
    return call.operation in ("force-release", "block")


def rising(history: History) -> Iterator[str]:
    """No answer shows a lower version or epoch than an answer before its call was sent."""
    for (board, tag), calls in _by_place(history.judged_calls).items():
        shown = [(each, each.item) for each in calls if each.item is not None]
        by_answer = sorted(shown, key=lambda each: each[0].answered_s)
        position, version, epoch = 0, 0, 0
        for call, item in sorted(shown, key=lambda each: each[0].sent_s):
            while position < len(by_answer) and by_answer[position][0].answered_s < call.sent_s:
                earlier = by_answer[position][1]
                version = max(version, earlier["version"])
                epoch = max(epoch, earlier["epoch"])
                position += 1
            if (item["version"], item["epoch"]) < (version, epoch) or item["epoch"] < epoch:
                yield f"{board} {tag}: {call} after version {version} and epoch {epoch} were shown"


def counted(history: History) -> Iterator[str]:
    """From one version to the next, the epoch rises by one if the holder changes, and only then."""
    for board in history.after:
        shown = {
            (call.tag, call.item["version"]): call.item
            for call in history.judged_calls
            if call.board == board and call.item is not None
        }
        shown |= {(tag, item["version"]): item for tag, item in history.before[board].items.items()}
        shown |= {
            (event.item["tag"], event.item["version"]): event.item
            for event in history.events[board]
        }
        for (_, one), (_, other) in pairwise(sorted(shown.items(), key=lambda each: each[0])):
            if one["tag"] != other["tag"] or one["version"] + 1 != other["version"]:
                continue
            holders = holder_of(one) or "nobody", holder_of(other) or "nobody"
            if other["epoch"] != one["epoch"] + (holders[0] != holders[1]):
                epochs = one["epoch"], other["epoch"]
                yield f"{board} {one['tag']}: epochs {epochs}, though the holders are {holders}"


def holder_only(history: History) -> Iterator[str]:
    """Only the holder pauses, completes and releases, and each caller has the required role."""
    shown = dict(history.kept)
    for board, state in history.before.items():
        shown |= {(board, tag, item["version"]): item for tag, item in state.items.items()}
    for call in history.judged_calls:
        if call.item is not None:
            shown.setdefault((call.board, call.tag, call.item["version"]), call.item)
    for call in history.judged_calls:
        row = TABLE.get(call.operation)
        if call.item is None or row is None:
            continue
        if RANKS[history.roles[call.worker]] < RANKS[row.role]:
            yield f"{call}: {call.worker} is {history.roles[call.worker]}"
        before = shown.get((call.board, call.tag, call.item["version"] - 1))
        if not row.is_for_holder or not call.has_changed or before is None:
            continue
        if holder_of(before) != call.worker:
            yield f"{call}: it was held by {holder_of(before) or 'nobody'}"


def _by_place(calls: Sequence[Call]) -> dict[Place, list[Call]]:
    found: dict[Place, list[Call]] = defaultdict(list)
    for call in calls:
        found[call.board, call.tag].append(call)
    return found

"""The judge: a sound history passes; each damage is found, and each classic bug of a server."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

from proof.history.call import Call, Reply
from proof.history.checks import CHECKS, counts, violations
from proof.history.history import History, Items, Log, Loss, Seen
from proof.history.model.operations import Outcome, Request
from proof.history.model.state import State
from tests.proof.simulation import BOARD, Server, Simulation, Stored, Watched

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


# Damages


def answer_with_an_internal_error(history: History) -> None:
    history.calls[0].statuses.insert(0, 500)


def answer_for_another_item(history: History) -> None:
    call = changes_of(history)[0]
    body_of(call)["item"] = {**body_of(call)["item"], "tag": "T-9"}


def refuse_what_was_right(history: History) -> None:
    call = next(each for each in history.calls if each.item is not None and not each.has_changed)
    call.reply = Reply(409, {"code": "held", "item": call.item})


def refuse_a_role_that_is_enough(history: History) -> None:
    call = next(each for each in history.calls if each.item is not None and not each.has_changed)
    call.reply = Reply(403, {"code": "forbidden"})


def answer_before_it_was_so(history: History) -> None:
    """A change answers before the one that it builds on was sent."""
    one, *_, other = [each for each in changes_of(history) if each.tag == "T-1"]
    one.sent_s, one.answered_s = other.answered_s + 1, other.answered_s + 2


def give_an_item_to_two(history: History) -> None:
    first = changes_of(history, "take")[0]
    other = Call(
        BOARD, "w5", "second", "take", first.tag, {}, [200], first.sent_s, first.answered_s
    )
    item = {**body_of(first)["item"], "holder": {"id": "w5", "name": "W5"}}
    other.reply = Reply(200, {"changed": True, "item": item, "cursor": "1-1"})
    assert other.worker != first.worker
    history.calls = [*history.calls, other]


def let_another_pause(history: History) -> None:
    call = changes_of(history, "pause")[0]
    call.worker = "w1" if call.worker != "w1" else "w2"


def let_an_observer_supervise(history: History) -> None:
    call = changes_of(history, "block", "unblock", "force-release", "reopen")[0]
    history.roles = {**history.roles, call.worker: "worker"}


def show_an_old_version(history: History) -> None:
    last = [each for each in changes_of(history) if each.tag == "T-1"]
    call = Call(BOARD, "w1", "old", "take", "T-1", {}, [200], last[-1].answered_s + 1,
                last[-1].answered_s + 2)  # fmt: skip
    call.reply = Reply(200, {"changed": False, "item": body_of(last[0])["item"]})
    history.calls = [*history.calls, call]


def keep_the_epoch(history: History) -> None:
    position = next(
        position for position, (cursor, fields) in enumerate(log_of(history))
        if '"item.taken"' in fields["event"]
    )  # fmt: skip
    item = json.loads(log_of(history)[position][1]["event"])["item"]
    edit_event(history, position, epoch=item["epoch"] - 1)


def give_a_version_two_contents(history: History) -> None:
    item = body_of(changes_of(history)[3])["item"]
    history.watchers[0].snapshots.append({**item, "title": "another"})


def use_a_cursor_twice(history: History) -> None:
    first, second = (each for each in trail_of(history)[1:] if each.kind == "item"
                     and each.seq in (5, 6))  # fmt: skip
    trail_of(history)[trail_of(history).index(second)] = second._replace(cursor=first.cursor)


def apply_a_key_twice(history: History) -> None:
    """An event is left that no call explains, answered or not."""
    call = changes_of(history)[-1]
    history.calls = [
        each for each in history.calls
        if each is not call and (each.reply or (each.tag, each.worker) != (call.tag, call.worker))
    ]  # fmt: skip


def answer_two_keys_with_one_event(history: History) -> None:
    call = copy.deepcopy(changes_of(history)[-1])
    call.key = "another"
    history.calls = [*history.calls, call]


def name_another_author(history: History) -> None:
    fields = log_of(history)[-1][1]
    event = json.loads(fields["event"])
    event["actor"]["id"] = "w1" if event["actor"]["id"] != "w1" else "w2"
    fields["event"] = json.dumps(event)


def leave_a_number_out(history: History) -> None:
    fields = log_of(history)[-1][1]
    fields["seq"] = str(int(fields["seq"]) + 1)


def lose_an_entry(history: History) -> None:
    del log_of(history)[len(log_of(history)) // 2]


def lose_the_end_of_the_log(history: History) -> None:
    del log_of(history)[-3:]


def make_a_leap(history: History) -> None:
    """An item changes its step without being completed."""
    edit_event(history, len(log_of(history)) // 2, step="SOLD", state="blocked")


def count_time_of_a_release(history: History) -> None:
    position = next(
        position for position, (_, fields) in enumerate(log_of(history))
        if '"item.released"' in fields["event"]
    )  # fmt: skip
    edit_event(history, position, worked_s=999.0)


def lose_what_was_acknowledged(history: History) -> None:
    """The last change is undone everywhere but in its answer."""
    lost = json.loads(log_of(history).pop()[1]["event"])["item"]
    assert any(each.item == lost for each in changes_of(history))


def show_another_item_on_the_board(history: History) -> None:
    items_of(history)["T-1"] = {**items_of(history)["T-1"], "title": "another"}
    for each in history.watchers:
        each.model["T-1"] = items_of(history)["T-1"]


def forget_an_index(history: History) -> None:
    history.after[BOARD].indexes["by_state"].pop()


def keep_a_holder_in_the_index(history: History) -> None:
    history.after[BOARD].indexes["by_holder"].add("w9|T-0")


def skip_an_event(history: History) -> None:
    trail_of(history)[:] = [each for each in trail_of(history) if each.seq != 9]


def repeat_an_event(history: History) -> None:
    position = next(n for n, each in enumerate(trail_of(history)) if each.seq == 9)
    trail_of(history).insert(position, trail_of(history)[position])


def end_early(history: History) -> None:
    while trail_of(history).pop().kind != "item":
        pass


def show_an_event_that_is_not_in_the_log(history: History) -> None:
    position = max(n for n, each in enumerate(trail_of(history)) if each.kind == "item")
    trail_of(history)[position] = trail_of(history)[position]._replace(cursor="999999-9")


def change_an_event_on_its_way(history: History) -> None:
    position = next(n for n, each in enumerate(trail_of(history)) if each.seq == 9)
    seen = trail_of(history)[position]
    trail_of(history)[position] = seen._replace(event=seen.event.replace('"actor"', '"author"'))


def reset_for_nothing(history: History) -> None:
    seen = next(each for each in trail_of(history) if each.kind == "item" and each.seq == 9)
    reset = Seen(seen.at_s, "reset", seen.cursor, seen.seq, "the position is unknown")
    trail_of(history).insert(trail_of(history).index(seen) + 1, reset)


def forget_an_item_of_the_model(history: History) -> None:
    del history.watchers[1].model["T-1"]


def keep_the_answer_of_a_lost_operation(history: History) -> None:
    item = {**history.watchers[0].model["T-1"], "version": 999}
    trail_of(history).append(Seen(1e6, "answer", "", event=json.dumps(item)))


def set_the_clock_unnoticed(history: History) -> None:
    """Half of the calls have happened much later than the server has thought."""
    calls = sorted(changes_of(history), key=lambda each: each.sent_s)
    pause = next(each for each in calls if each.operation == "pause")
    from_s = pause.sent_s
    for each in history.calls:
        each.answered_s += 100.0 * (each.answered_s >= from_s)
        each.sent_s += 100.0 * (each.sent_s >= from_s)


def open_too_many_connections(history: History) -> None:
    history.most_connections = 21


DAMAGES: list[tuple[Callable[[History], None], set[str]]] = [
    (answer_with_an_internal_error, {"answers"}),
    (answer_for_another_item, {"answers", "acknowledged"}),
    (refuse_what_was_right, {"linearizable"}),
    (refuse_a_role_that_is_enough, {"linearizable"}),
    (answer_before_it_was_so, {"linearizable", "rising", "worked_time"}),
    (give_an_item_to_two, {"linearizable", "exclusive", "unique", "keys", "acknowledged"}),
    (let_another_pause, {"holder_only", "keys", "linearizable"}),
    (let_an_observer_supervise, {"holder_only", "table", "linearizable"}),
    (show_an_old_version, {"rising", "linearizable"}),
    (keep_the_epoch, {"counted", "table", "unique", "acknowledged", "streams"}),
    (give_a_version_two_contents, {"unique"}),
    (use_a_cursor_twice, {"unique", "streams"}),
    (apply_a_key_twice, {"keys", "linearizable"}),
    (answer_two_keys_with_one_event, {"keys", "linearizable"}),
    (name_another_author, {"keys", "table", "streams"}),
    (leave_a_number_out, {"numbers", "streams"}),
    (lose_an_entry, {"numbers", "acknowledged", "table", "streams"}),
    (lose_the_end_of_the_log, {"acknowledged", "board", "streams"}),
    (make_a_leap, {"table", "unique", "acknowledged", "streams"}),
    (count_time_of_a_release, {"table", "worked_time", "unique", "acknowledged", "streams"}),
    (lose_what_was_acknowledged, {"acknowledged", "board", "streams"}),
    (show_another_item_on_the_board, {"board", "linearizable", "unique"}),
    (forget_an_index, {"indexes"}),
    (keep_a_holder_in_the_index, {"indexes"}),
    (skip_an_event, {"streams"}),
    (repeat_an_event, {"streams"}),
    (end_early, {"streams"}),
    (show_an_event_that_is_not_in_the_log, {"streams"}),
    (change_an_event_on_its_way, {"streams"}),
    (reset_for_nothing, {"streams"}),
    (forget_an_item_of_the_model, {"models"}),
    (keep_the_answer_of_a_lost_operation, {"late_answers"}),
    (set_the_clock_unnoticed, {"worked_time"}),
    (open_too_many_connections, {"budget"}),
]


@pytest.mark.parametrize("seed", range(6))
def test_a_sound_history_has_no_violation(seed: int) -> None:
    history = Simulation(seed, removals=seed % 2 == 0).run(CALLS)
    assert violations(history) == {}
    found = counts(history)
    assert found["operations"] == CALLS
    for each in ("unknown", "changes", "refused", "replayed", "answers_lost", "connections_ended"):
        assert found[each] > 0, each


@pytest.mark.parametrize(("damage", "checks"), DAMAGES)
def test_a_damage_is_found_by_these_checks_and_no_others(
    damage: Callable[[History], None], checks: set[str]
) -> None:
    history = sound()
    damage(history)
    found = violations(history)
    assert found.keys() == checks, found


def test_each_check_has_a_damage_that_it_finds() -> None:
    assert set().union(*(checks for _, checks in DAMAGES)) == CHECKS.keys()


# Damages that are no violations, because of a loss


def test_what_was_acknowledged_in_the_time_of_a_loss_may_be_lost() -> None:
    history = sound()
    log = log_of(history)
    cursor, fields = log.pop()
    lost = json.loads(fields["event"])["item"]
    call = next(each for each in changes_of(history) if each.item == lost)
    items = [json.loads(fields["event"])["item"] for _, fields in log]
    items_of(history)[call.tag] = next(each for each in items[::-1] if each["tag"] == call.tag)
    for each in history.watchers:
        assert any(seen.cursor == cursor for seen in each.trail)
        each.trail.append(Seen(999.0, "reset", log[-1][0], int(log[-1][1]["seq"])))
        each.model = copy.deepcopy(items_of(history))
    history.after[BOARD].indexes.clear()  # not read
    without = copy.deepcopy(history)
    history.losses = [Loss(call.sent_s, 999.0)]
    assert violations(history) == {}
    assert counts(history)["excused_by_a_loss"] >= 1
    assert {"acknowledged", "streams", "linearizable"} <= violations(without).keys()


def test_a_stream_that_goes_on_after_a_loss_without_a_reset_is_found() -> None:
    history = sound()
    history.losses = [Loss(0.0, 999.0)]
    position = max(n for n, each in enumerate(trail_of(history)) if each.seq == 9)
    trail_of(history)[position] = trail_of(history)[position]._replace(cursor="95-9")
    assert violations(history).keys() == {"streams"}


# Classic bugs


class DoubleTake(Server):
    """Gives away what is held."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation == "take" and state.state == "occupied":
            state = state._replace(state="available", holder="")
        return super().decide(state, request)


class LostUpdate(Server):
    """Acknowledges some changes and does not keep them."""

    def write(self, tag: str, written: Stored) -> None:
        if written.state.version % 7:
            super().write(tag, written)


class AppliedTwice(Server):
    """Carries a repeated request out again."""

    def record_of(self, call: Call) -> Reply | None:
        return None


class EpochReused(Server):
    """Does not raise the epoch when an item becomes free."""

    def counted(self, before: State, after: State) -> State:
        return after if after.holder else after._replace(epoch=before.epoch)


class VersionReused(Server):
    """Some changes keep the version."""

    def counted(self, before: State, after: State) -> State:
        return after._replace(version=before.version) if after.state == "blocked" else after


class StaleRead(Server):
    """Sometimes decides by what the item was before."""

    def load(self, tag: str) -> Stored:
        earlier = self.earlier.get(tag, [])[1:]
        is_stale = len(earlier) > 1 and self.random.random() < 0.05
        return earlier[-1] if is_stale else super().load(tag)


class HolderNotChecked(Server):
    """Anybody pauses and completes."""

    def decide(self, state: State, request: Request) -> Outcome:
        if state.holder and request.operation in ("pause", "complete"):
            request = request._replace(caller=state.holder)
        return super().decide(state, request)


class RoleNotChecked(Server):
    """Workers supervise."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation in ("block", "unblock"):
            request = request._replace(caller="boss")
        return super().decide(state, request)


class PreconditionIgnored(Server):
    """Does not look at If-Match and epoch."""

    def decide(self, state: State, request: Request) -> Outcome:
        arguments = {name: each for name, each in request.arguments.items() if name != "epoch"}
        return super().decide(state, request._replace(if_match=None, arguments=arguments))


class TimeNotCounted(Server):
    """Forgets the time of a hold that a supervisor ends."""

    def timed(self, operation: str, stored: Stored, after: State) -> Stored:
        found = super().timed(operation, stored, after)
        if operation == "force-release":
            found.worked_s = stored.worked_s
        return found


class IndexForgotten(Server):
    """Leaves a holder in the index."""

    def write(self, tag: str, written: Stored) -> None:
        holder = self.by_holder.get(tag)
        super().write(tag, written)
        if written.state.state == "blocked" and holder:
            self.by_holder[tag] = holder


class EventNotPublished(Server):
    """A stream misses some events, and goes on."""

    def publish(self, watcher: Watched, seen: Seen) -> None:
        if watcher.name == "one" or seen.seq % 20:
            super().publish(watcher, seen)


class NumberSkipped(Server):
    """Counts an event that is not there."""

    def next_seq(self) -> int:
        return len(self.log) + 1 + (len(self.log) > 40)


class StepSkipped(Server):
    """Completes an item before its last step."""

    def decide(self, state: State, request: Request) -> Outcome:
        outcome = super().decide(state, request)
        if request.operation == "complete" and outcome.is_change:
            return outcome._replace(state=outcome.state._replace(state="completed"))
        return outcome


class ReasonLost(Server):
    """Forgets the reason of a pause after a release."""

    def decide(self, state: State, request: Request) -> Outcome:
        outcome = super().decide(state, request)
        if request.operation == "release" and outcome.is_change:
            return outcome._replace(state=outcome.state._replace(reason=None))
        return outcome


class UndoByAnybody(Server):
    """Gives a completed item to whoever undoes it."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation == "undo" and state.last is not None and state.last[0] == "complete":
            state = state._replace(last=("complete", request.caller))
        return super().decide(state, request)


class UndoOfAnything(Server):
    """Gives an item that nobody completed, or that changed since, to whoever undoes it."""

    def decide(self, state: State, request: Request) -> Outcome:
        if request.operation == "undo" and state.state in ("available", "completed"):
            last = ("complete", request.caller)
            state = state._replace(last=last, undo=(state.step, state.reason))
        return super().decide(state, request)


class UndoBeginsAnew(Server):
    """Counts no time from before the completion after an undo."""

    def timed(self, operation: str, stored: Stored, after: State) -> Stored:
        found = super().timed(operation, stored, after)
        if operation == "undo":
            found.since_s = self.now_s
        return found


BUGS: list[tuple[type[Server], set[str]]] = [
    (DoubleTake, {"exclusive", "linearizable", "table"}),
    (LostUpdate, {"linearizable", "acknowledged", "unique"}),
    (AppliedTwice, {"keys"}),
    (EpochReused, {"counted", "linearizable", "table", "unique"}),
    (VersionReused, {"linearizable", "table", "unique", "keys"}),
    (StaleRead, {"linearizable", "unique"}),
    (HolderNotChecked, {"holder_only", "linearizable"}),
    (RoleNotChecked, {"holder_only", "linearizable"}),
    (PreconditionIgnored, {"linearizable"}),
    (TimeNotCounted, {"table", "worked_time"}),
    (IndexForgotten, {"indexes"}),
    (EventNotPublished, {"streams"}),
    (NumberSkipped, {"numbers"}),
    (StepSkipped, {"linearizable", "table"}),
    (ReasonLost, {"linearizable", "table"}),
    (UndoByAnybody, {"linearizable", "table"}),
    (UndoOfAnything, {"linearizable", "table"}),
    (UndoBeginsAnew, {"table", "worked_time"}),
]


@pytest.mark.parametrize(("server", "checks"), BUGS)
def test_a_bug_of_the_server_is_found(server: type[Server], checks: set[str]) -> None:
    missing = set(checks)
    for seed in range(6):  # a bug may need more than one
        missing -= violations(Simulation(seed, make_server=server).run(CALLS)).keys()
        if not missing:
            break
    assert not missing

"""The judge: a sound history passes; each damage is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest

from proof.history.call import Call, Reply
from proof.history.checks import CHECKS, counts, violations
from proof.history.history import History, Seen
from tests.proof.histories import (
    CALLS,
    body_of,
    changes_of,
    edit_event,
    items_of,
    log_of,
    sound,
    trail_of,
)
from tests.proof.simulation import BOARD, Simulation


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

"""The checks of the fault run: a sound round passes, and each kind of damage is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from proof.failover.checks import CHECKS, figures, violations
from proof.failover.record import Record
from proof.history.call import Call, Reply
from proof.history.contents import Contents
from proof.history.history import Items, Kind, Log, Seen

EVENTS = {"take": "item.taken", "pause": "item.paused"}
LAST = 3  # events


@dataclass
class Watched:
    """What is left of a watcher."""

    name: str = "watcher"
    board: str = "b"
    trail: list[Seen] = field(default_factory=list)
    model: Items = field(default_factory=dict)
    snapshots: list[dict[str, Any]] = field(default_factory=list)


def item_at(version: int) -> dict[str, Any]:
    """The only item: taken at odd versions, paused at even ones."""
    holder = {"id": "w", "name": "W"} if version % 2 else None
    state = "occupied" if version % 2 else "paused"
    return {"tag": "T", "state": state, "holder": holder, "epoch": version, "version": version}


def event_at(version: int, *, seq: int = 0, actor: str = "w") -> str:
    kind = EVENTS["take" if version % 2 else "pause"]
    return json.dumps({
        "seq": seq or version, "type": kind, "actor": {"id": actor}, "item": item_at(version),
    })  # fmt: skip


def seen_at(at_s: float, version: int, *, cursor: str = "", seq: int = 0) -> Seen:
    text = event_at(version, seq=seq)
    return Seen(at_s, "item", cursor or f"{version}-1", seq or version, text)


def entry_at(version: int, *, cursor: str = "", seq: int = 0) -> tuple[str, dict[str, str]]:
    fields = {"seq": str(seq or version), "event": event_at(version, seq=seq)}
    return cursor or f"{version}-1", fields


def call_at(version: int, key: str = "", *, status: int = 200) -> Call:
    body = {"changed": True, "item": item_at(version)} if status == 200 else {"code": "x"}
    return Call(
        "b", "w", key or f"k{version}", "take", "T", {}, [503, status], float(version),
        version + 0.1, Reply(status, body),
    )  # fmt: skip


def sound() -> Record:
    """Three events, each seen by a watcher; the fault is between the second and the third."""
    trail = [seen_at(float(each), each) for each in range(1, LAST + 1)]
    return Record(
        people=["w"], calls=[call_at(each) for each in range(1, LAST + 1)],
        watchers=[Watched(trail=trail, model={"T": item_at(LAST)})],
        items={"b": {"T": item_at(LAST)}},
        logs={"b": [entry_at(each) for each in range(1, LAST + 1)]}, logs_before={"b": []},
        struck_s=2.2, ended_s=2.5, concerned=["b"], most_connections={1: 50}, budget=50,
        is_strict=True,
    )  # fmt: skip


def log_of(record: Record) -> Log:
    return record.logs["b"]


def trail_of(record: Record) -> list[Seen]:
    return record.watchers[0].trail


def event_of(kind: Kind, at_s: float = 2.9) -> Seen:
    return Seen(at_s, kind, "")


def lose_the_last_event_of_the_model(record: Record) -> None:
    record.watchers[0].model["T"] = item_at(2)


def show_an_entry_that_is_not_in_the_log(record: Record) -> None:
    trail_of(record)[1:1] = [seen_at(1.5, 2, cursor="9-9")]


def skip_an_event(record: Record) -> None:
    del trail_of(record)[1]


def give_a_version_to_two(record: Record) -> None:
    call = call_at(2)
    call.reply = Reply(200, {"changed": False, "item": {**item_at(2), "state": "blocked"}})
    record.calls.append(call)


def give_an_epoch_to_two(record: Record) -> None:
    call = call_at(2)
    another = {**item_at(4), "epoch": 2, "holder": {"id": "x"}}
    call.reply = Reply(200, {"changed": False, "item": another})
    record.calls.append(call)


def use_a_cursor_again(record: Record) -> None:
    record.contents.seen["cursor", "b", "2-1"] = "another", "an earlier round"


def leave_a_number_out(record: Record) -> None:
    log_of(record)[2] = entry_at(3, seq=5)


def run_a_call_twice(record: Record) -> None:
    log_of(record).append(entry_at(4))


def give_two_calls_one_entry(record: Record) -> None:
    record.calls.append(call_at(3, "another"))


def leave_a_call_without_an_answer(record: Record) -> None:
    record.calls[0].reply = None


def refuse_a_worker(record: Record) -> None:
    record.calls.append(call_at(4, status=401))


def open_too_many_connections(record: Record) -> None:
    record.most_connections[2] = 51


def bring_a_token_back(record: Record) -> None:
    record.revoked_status = 200


def never_go_on(record: Record) -> None:
    record.ended_s = 3.5


def stop_another_board(record: Record) -> None:
    record.concerned = ["c"]
    record.struck_s, record.ended_s = 2.0, 8.5
    trail_of(record).append(seen_at(9.0, 4))
    log_of(record).append(entry_at(4))
    record.calls.append(call_at(4))
    record.items["b"]["T"] = record.watchers[0].model["T"] = item_at(4)


def lose_what_was_acknowledged(record: Record) -> None:
    del log_of(record)[2]
    trail_of(record)[2:] = [event_of("reset")]


def take_a_late_answer(record: Record) -> None:
    late = Seen(3.2, "answer", "", event=json.dumps({**item_at(3), "version": 9}))
    trail_of(record).extend([event_of("reset"), event_of("snapshot"), late])


DAMAGES: list[tuple[str, Callable[[Record], None]]] = [
    ("models", lose_the_last_event_of_the_model),
    ("losses", show_an_entry_that_is_not_in_the_log),
    ("streams", skip_an_event),
    ("contents", give_a_version_to_two),
    ("contents", give_an_epoch_to_two),
    ("contents", use_a_cursor_again),
    ("numbers", leave_a_number_out),
    ("keys", run_a_call_twice),
    ("keys", give_two_calls_one_entry),
    ("answers", leave_a_call_without_an_answer),
    ("answers", refuse_a_worker),
    ("budget", open_too_many_connections),
    ("revocation", bring_a_token_back),
    ("delays", never_go_on),
    ("delays", stop_another_board),
    ("late_answers", take_a_late_answer),
    ("confirmed", lose_what_was_acknowledged),
]


def test_a_sound_round_has_no_violation() -> None:
    record = sound()
    assert violations(record) == {}
    found = figures(record)
    assert (found["operations"], found["changes"], found["sent_again"]) == (3, 3, 3)
    assert found["live_again_s"] == pytest.approx(0.5)


@pytest.mark.parametrize(("check", "damage"), DAMAGES)
def test_a_damage_is_found(check: str, damage: Callable[[Record], None]) -> None:
    record = sound()
    damage(record)
    assert check in violations(record)


def test_each_check_has_a_damage_that_it_finds() -> None:
    assert {check for check, _ in DAMAGES} == CHECKS.keys()


def test_who_is_reset_after_a_loss_has_not_lost_anything_unnoticed() -> None:
    record = sound()
    record.is_strict = False
    lose_what_was_acknowledged(record)
    trail_of(record)[2:] = [seen_at(3.0, 3, cursor="3-9"), event_of("reset", 3.1)]
    record.items["b"]["T"] = record.watchers[0].model["T"] = item_at(2)
    record.ended_s = 2.5
    assert violations(record) == {}
    assert figures(record)["acknowledged_and_lost"] == 1
    assert figures(record)["seen_and_lost"] == 1


def test_contents_are_compared_over_all_rounds() -> None:
    contents = Contents()
    assert contents.conflict(("version", "b", "T", "1"), "one", "first round") is None
    assert contents.conflict(("version", "b", "T", "1"), "one", "second round") is None
    found = contents.conflict(("version", "b", "T", "1"), "two", "second round")
    assert found is not None
    assert "first round" in found

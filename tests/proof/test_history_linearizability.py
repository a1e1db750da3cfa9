"""The search against all orders tried out, and the pass by versions against the search."""

from __future__ import annotations

import copy
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from proof.history.call import Call, Reply
from proof.history.explanation import CalledOperation, Reading, start_states
from proof.history.history import History
from proof.history.linearizability import search
from proof.history.model.operations import Rules
from proof.history.versions import judge, one_pass
from tests.proof.faulty_servers import DoubleTake, LostUpdate, StaleRead
from tests.proof.simulation import BOARD, STEPS, Server, Simulation


@dataclass(frozen=True)
class Register:
    """An operation on one number: a write of ``value``, or a reading of it."""

    is_write: bool
    value: int
    sent_s: float
    answered_s: float

    @property
    def is_known(self) -> bool:
        return self.answered_s < math.inf

    @property
    def is_change(self) -> bool:
        return self.is_write

    def states_after(self, state: int) -> Iterator[int]:
        if self.is_write:
            yield self.value
        elif state == self.value:
            yield state


def write(value: int, sent_s: float, answered_s: float = math.inf) -> Register:
    return Register(True, value, sent_s, answered_s)


def read(value: int, sent_s: float, answered_s: float) -> Register:
    return Register(False, value, sent_s, answered_s)


HISTORIES: list[tuple[bool, list[Register]]] = [
    (True, [write(1, 0, 1), read(1, 2, 3)]),
    (False, [write(1, 0, 1), read(0, 2, 3)]),
    (True, [write(1, 0, 4), read(0, 1, 2), read(1, 2.5, 3)]),
    (False, [write(1, 0, 4), read(1, 1, 2), read(0, 2.5, 3)]),
    (True, [write(1, 0), read(0, 1, 2), read(1, 3, 4)]),  # it took effect late
    (True, [write(1, 0), read(0, 1, 2), read(0, 3, 4)]),  # or never
    (False, [write(1, 0), read(1, 1, 2), read(0, 3, 4)]),  # it cannot be undone
    (False, [read(1, 1, 2), write(1, 3)]),  # nor done before it was sent
    (True, [write(1, 0), write(2, 0), read(2, 1, 2), read(1, 3, 4)]),
    (False, [write(1, 0), write(2, 0), read(2, 1, 2), read(1, 3, 4), read(2, 5, 6)]),
    (True, []),
    (True, [write(1, 0)]),
]


@pytest.mark.parametrize(("is_linearizable", "history"), HISTORIES)
def test_a_history_of_a_register_is_judged(is_linearizable: bool, history: list[Register]) -> None:
    assert (search(0, history) == "") is is_linearizable


def by_all_orders(history: Sequence[Register]) -> bool:
    """Whether some order of the known ones and some of the unknown ones explains all."""
    known = [each for each in history if each.is_known]
    unknown = [each for each in history if not each.is_known]
    chosen = itertools.chain.from_iterable(
        itertools.combinations(unknown, count) for count in range(len(unknown) + 1)
    )
    return any(
        _explains(order) for some in chosen for order in itertools.permutations([*known, *some])
    )


def _explains(order: Sequence[Register]) -> bool:
    state = 0
    for position, each in enumerate(order):
        if any(later.answered_s < each.sent_s for later in order[position + 1 :]):
            return False
        found = list(each.states_after(state))
        if not found:
            return False
        state = found[0]
    return True


def test_the_search_says_the_same_as_all_orders_tried_out() -> None:
    chance = random.Random(7)
    said = []
    for _ in range(400):
        history = []
        for _ in range(chance.randint(2, 6)):
            sent_s = chance.uniform(0, 4)
            is_write = chance.random() < 0.5
            is_unknown = is_write and chance.random() < 0.3
            answered_s = math.inf if is_unknown else sent_s + chance.uniform(0.1, 2.5)
            history.append(Register(is_write, chance.randint(0, 2), sent_s, answered_s))
        said.append(search(0, history) == "")
        assert said[-1] == by_all_orders(history), history
    assert 100 < sum(said) < 300  # of both kinds there are many


def test_a_search_that_finds_no_end_gives_up_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proof.history.linearizability.MOST_CONFIGURATIONS", 500)
    writes = [write(number, 0) for number in range(1, 12)]
    assert "undecided" in search(0, [*writes, read(99, 1, 2)])


# The pass by versions


def operations_of(history: History, tag: str) -> list[CalledOperation | Reading]:
    rules = Rules(STEPS, history.roles)
    calls = [CalledOperation(call, rules) for call in history.calls if call.tag == tag]
    return [*calls, Reading(tag, history.after[BOARD].items.get(tag))]


def damage(history: History, chance: random.Random) -> None:
    """Perhaps one thing: a time, a status, a version, or a call that nobody has heard of."""
    call = chance.choice([each for each in history.calls if each.reply is not None])
    assert call.reply is not None
    item = call.reply.body.get("item")
    match chance.choice(["none", "time", "code", "version", "forgotten", "holder", "unknown"]):
        case "time":
            later_s = chance.uniform(0.1, 2)
            call.sent_s, call.answered_s = call.sent_s + later_s, call.answered_s + later_s
        case "code" if "code" in call.reply.body:
            call.reply.body["code"] = chance.choice(["held", "wrong_state", "blocked"])
        case "version" if item:
            call.reply.body["item"] = {**item, "version": item["version"] + chance.choice([-1, 1])}
        case "holder" if item:
            call.reply.body["item"] = {**item, "holder": {"id": "w1"}}
        case "forgotten":
            history.calls = [each for each in history.calls if each is not call]
        case "unknown":
            call.reply = None
        case _:
            pass


@pytest.mark.parametrize("server", [Server, DoubleTake, LostUpdate, StaleRead])
def test_one_pass_by_versions_says_the_same_as_the_search(server: type[Server]) -> None:
    chance = random.Random(3)
    said = []
    for seed in range(8):
        sound = Simulation(
            seed, make_server=server, unknown=0.05, workers=5, items=2
        ).run(15 + 15 * seed)  # fmt: skip
        for _ in range(4):
            history = copy.deepcopy(sound)
            damage(history, chance)
            states = start_states(history, BOARD)
            for tag in ("T-0", "T-1"):
                operations = [
                    each for each in operations_of(history, tag)
                    if not each.is_decided_at_once
                    and (not each.is_known or each.version is not None)
                ]  # fmt: skip
                plain, quick = search(states[tag], operations), one_pass(states[tag], operations)
                assert "undecided" not in plain + quick
                assert (plain == "") == (quick == ""), (plain, quick)
                said.append(plain == "")
    assert 10 < said.count(False) < len(said)
    assert server is not Server or said.count(True) > 10


def test_an_item_is_searched_only_if_an_answer_shows_no_version() -> None:
    history = Simulation(2).run(150)
    start = start_states(history, BOARD)["T-0"]
    operations = operations_of(history, "T-0")
    with_version = [each for each in operations if not each.is_known or each.version is not None]
    assert judge(start, with_version) == ("", True)
    refused = Call(BOARD, "w0", "to nobody", "reassign", "T-0", {"to": "nobody"}, [404], 1.0, 2.0)
    refused.reply = Reply(404, {"code": "worker_not_found"})
    without = CalledOperation(refused, Rules(STEPS, history.roles))
    assert judge(start, [*operations, without]) == ("", False)


def test_many_unknown_calls_that_do_the_same_are_no_matter() -> None:
    history = Simulation(1).run(120)
    (first, *_) = [each for each in history.calls if each.has_changed and each.tag == "T-0"]
    for number in range(300):
        extra = copy.deepcopy(first)
        extra.key, extra.reply, extra.operation = f"x{number}", None, "pause"
        history.calls = [*history.calls, extra]
    operations = [
        each for each in operations_of(history, "T-0")
        if not each.is_known or each.version is not None
    ]  # fmt: skip
    assert one_pass(start_states(history, BOARD)["T-0"], operations) == ""

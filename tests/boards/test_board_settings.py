"""The settings of a board: what they change, and what a change leaves as it is."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import gevent
import msgspec
import pytest

from occupancy.boards.commands import Command
from occupancy.boards.reconcile import Reconciler
from occupancy.core.entities import MAIN_BOARD, Person
from occupancy.core.errors import BoardNotFound, InvalidRequest, SettingsChanged, StepInUse
from occupancy.core.requests.boards import BoardSettingsBody
from occupancy.core.requests.decoding import decode
from occupancy.core.transitions import PUT, REMOVE, TRANSITIONS
from occupancy.services import Services
from tests.support.elsewhere import store_elsewhere

ANA = Person("ana", "Ana")


@pytest.fixture
def line(services: Services) -> str:
    """A board with three steps."""
    return services.store.boards.create("line", steps=["ARM", "SOLD", "MET"]).board


def configure(
    services: Services, board: str, versions: list[str] | None = None, **given: Any
) -> Any:
    """Change settings as a request does; returns the settings."""
    body = decode(msgspec.json.encode(given), BoardSettingsBody)
    return services.store.boards.configure(board, body, versions=versions).board.settings


def do(services: Services, operation: str, tag: str, board: str = "line", **options: Any) -> str:
    """Carry out an operation; returns the code."""
    row = {"put": PUT, "remove": REMOVE}.get(operation) or TRANSITIONS[operation]
    if row is PUT:
        options["items"] = [{}]
    command = Command(board, row, [tag], actor=ANA, **options)
    return services.store.commands.execute(command).outcomes[0].code


def complete(services: Services, tag: str) -> None:
    assert do(services, "take", tag) == do(services, "complete", tag) == "ok"


def item(services: Services, tag: str, board: str = "line") -> Any:
    return json.loads(services.store.queries.item(board, tag))


def step_counts(services: Services, board: str = "line") -> Any:
    return services.store.boards.get(board).as_dict()["step_counts"]


# Steps


def test_a_step_gets_another_title_and_its_items_stay_as_they_are(
    services: Services, line: str
) -> None:
    do(services, "put", "A")
    before = item(services, "A")
    found = configure(services, line, steps=["ARM", {"step": "SOLD", "title": "Soldar"}, "MET"])
    assert found.steps == ["ARM", "SOLD", "MET"]
    assert found.step_titles == {"ARM": "ARM", "SOLD": "Soldar", "MET": "MET"}
    assert item(services, "A") == before


def test_a_step_that_is_given_as_an_id_keeps_its_title(services: Services, line: str) -> None:
    configure(services, line, steps=[{"step": "ARM", "title": "Armado"}, "SOLD", "MET"])
    found = configure(services, line, steps=["MET", "ARM", "SOLD"])
    assert found.step_titles == {"MET": "MET", "ARM": "Armado", "SOLD": "SOLD"}
    found = configure(services, line, steps=["MET", {"step": "ARM", "title": None}, "SOLD"])
    assert found.step_titles["ARM"] == "ARM"


def test_completing_leads_to_the_step_that_follows_in_the_list_of_that_moment(
    services: Services, line: str
) -> None:
    do(services, "put", "A")
    do(services, "take", "A")
    configure(services, line, steps=["ARM", "NEW", "SOLD", "MET"])
    assert item(services, "A")["state"] == "occupied"
    do(services, "complete", "A")
    assert item(services, "A")["step"] == "NEW"
    configure(services, line, steps=["ARM", "SOLD", "MET", "NEW"])
    complete(services, "A")
    assert (item(services, "A")["step"], item(services, "A")["state"]) == ("NEW", "completed")


def test_a_step_with_items_is_not_taken_out_of_the_list(services: Services, line: str) -> None:
    for tag in "ABC":
        do(services, "put", tag)
    for tag in "AB":
        complete(services, tag)
    with pytest.raises(StepInUse, match="2 items stand at the step SOLD") as refused:
        configure(services, line, steps=["ARM", "MET"])
    assert refused.value.extra == {"step": "SOLD", "items": 2}
    assert services.store.boards.get(line).steps == ["ARM", "SOLD", "MET"]
    for tag in "AB":
        complete(services, tag)
    assert configure(services, line, steps=["ARM", "MET"]).steps == ["ARM", "MET"]


def test_a_completed_item_stands_at_the_step_at_which_it_was_completed(
    services: Services, line: str
) -> None:
    do(services, "put", "A")
    for _ in range(3):
        complete(services, "A")
    with pytest.raises(StepInUse):
        configure(services, line, steps=["ARM", "SOLD"])
    do(services, "reopen", "A", step="ARM")
    configure(services, line, steps=["ARM", "SOLD"])


def test_of_a_completion_and_the_removal_of_its_step_one_gives_way(
    valkey_services: Services,
) -> None:
    """No item ever stands at a step that is not in the list."""
    services, seen = valkey_services, set()
    services.store.boards.create("line", steps=["ARM", "SOLD", "MET"])
    other = store_elsewhere(services.store)
    for number in range(30):
        tag = f"T-{number}"
        configure(services, "line", steps=["ARM", "SOLD", "MET"])
        do(services, "put", tag)
        do(services, "take", tag)
        completing = gevent.spawn(do, services, "complete", tag)
        body = decode(b'{"steps":["ARM","MET"]}', BoardSettingsBody)
        if number % 2:
            gevent.sleep(0)
        try:
            other.boards.configure("line", body)
        except StepInUse:
            seen.add("refused")
        assert completing.get(timeout=10) == "ok"
        steps = services.store.boards.get("line").steps
        assert item(services, tag)["step"] in steps
        seen.add(item(services, tag)["step"])
        do(services, "remove", tag)
    assert Reconciler(services.store).run("line", repair=False).problems == []
    assert seen  # which of the two wins is not for the test to say


# Counts of the items at each step


def test_the_items_at_each_step_are_counted(services: Services, line: str) -> None:
    for tag in "ABC":
        do(services, "put", tag)
    complete(services, "A")
    do(services, "take", "B")
    assert step_counts(services) == {"ARM": 2, "SOLD": 1, "MET": 0}
    do(services, "remove", "C")
    do(services, "release", "B")
    complete(services, "A")
    complete(services, "A")
    do(services, "reopen", "A", step="SOLD")
    assert step_counts(services) == {"ARM": 1, "SOLD": 1, "MET": 0}
    assert Reconciler(services.store).run(line, repair=False).problems == []


def test_the_items_of_a_board_of_an_earlier_version_are_counted_when_they_are_needed(
    services: Services, line: str
) -> None:
    def forget() -> None:
        client, key = services.store.client, services.store.keys.board(line).board
        names: Any = client.hkeys(key)
        fields = [each.decode() for each in names if each.startswith(b"at:")]
        client.hdel(key, "steps_counted", *fields)

    do(services, "put", "A")
    services.store.commands.execute(Command(
        line, PUT, ["B"], actor=ANA, items=[{"title": json.dumps('x","step":"SOLD","holder":')}]
    ))  # fmt: skip
    complete(services, "A")
    forget()
    complete(services, "A")
    with pytest.raises(StepInUse):
        configure(services, line, steps=["ARM", "SOLD"])
    assert step_counts(services) == {"ARM": 1, "SOLD": 0, "MET": 1}
    forget()
    configure(services, line, steps=["ARM", "MET"])
    complete(services, "B")
    assert step_counts(services) == {"ARM": 0, "MET": 2}


def test_wrong_counts_are_found_and_mended(services: Services, line: str) -> None:
    do(services, "put", "A")
    board = services.store.keys.board(line).board
    services.store.client.hset(board, mapping={"at:ARM": 5, "at:MET": "x"})
    complete(services, "A")  # a damaged count does not stop an operation
    found = Reconciler(services.store).run(line, repair=False).problems
    assert [each.kind for each in found] == ["steps"] * 2
    Reconciler(services.store).run(line, repair=True)
    assert Reconciler(services.store).run(line, repair=False).problems == []
    assert step_counts(services) == {"ARM": 0, "SOLD": 1, "MET": 0}


# Versions


def test_settings_change_only_if_they_have_the_expected_version(
    services: Services, line: str
) -> None:
    first = services.store.boards.get(line).settings.version
    second = configure(services, line, [str(first)], title="Line").version
    assert second == first + 1
    with pytest.raises(SettingsChanged):
        configure(services, line, [str(first)], title="Other")
    assert services.store.boards.get(line).title == "Line"
    assert configure(services, line, ["*"], title="Line").version == second  # it was so already


def test_two_who_change_different_settings_at_once_both_succeed(
    services: Services, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, boards = store_elsewhere(services.store), services.store.boards
    store = boards._store_settings

    def overtaken(*args: Any) -> bool:
        monkeypatch.setattr(boards, "_store_settings", store)
        other.boards.configure(line, decode(b'{"max_holds":3}', BoardSettingsBody))
        return store(*args)

    monkeypatch.setattr(boards, "_store_settings", overtaken)
    found = configure(services, line, title="Line")
    assert (found.title, found.max_holds) == ("Line", 3)


def test_a_version_never_comes_again_after_a_promotion(services: Services, line: str) -> None:
    services.store.client.has_failover = True
    services.store.client.connection_pool.incarnation = 2
    assert configure(services, line, title="Line").version == 2 * 10**9 + 1


# The others


def test_every_setting_is_kept_and_the_rest_stays(services: Services, line: str) -> None:
    given: dict[str, Any] = {
        "title": "Línea", "max_holds": 2, "time_zone": "America/Lima",
        "item_name": {
            "es": {"one": "carrete", "many": "carretes"}, "en": {"one": "spool", "many": "spools"},
        },
        "shown_attributes": ["area", "peso"], "reasons": ["Falta material", "Turno"],
    }  # fmt: skip
    for name, value in given.items():
        configure(services, line, **{name: value})
    found = services.store.boards.get(line).as_dict()
    shown = {**found, **found["settings"], "item_name": msgspec.to_builtins(found["item_name"])}
    assert {name: shown[name] for name in given} == given
    assert found["steps"] == ["ARM", "SOLD", "MET"]
    reset = configure(services, line, title=None, max_holds=None, time_zone=None, item_name=None)
    assert (reset.title, reset.max_holds, reset.time_zone) == ("line", 0, "UTC")
    assert reset.item_name.es.many == "piezas"


def test_a_new_limit_of_holds_counts_from_then_on(services: Services, line: str) -> None:
    for tag in "AB":
        do(services, "put", tag)
    do(services, "take", "A")
    configure(services, line, max_holds=1)
    assert do(services, "take", "B") == "limit_reached"
    configure(services, line, max_holds=None)
    assert do(services, "take", "B") == "ok"


@pytest.mark.parametrize(
    "given",
    [{"steps": ["A", "A"]}, {"steps": ["A", {"step": "A", "title": "B"}]}, {"steps": []},
     {"steps": ["A", {"step": "B", "title": "A"}]}, {"steps": [f"S{n}" for n in range(33)]},
     {"time_zone": "Mars/Olympus"}, {"time_zone": "../etc/passwd"}, {"time_zone": "localtime"},
     {"max_holds": 0}, {"max_holds": 1001}, {"shown_attributes": list("abcd")},
     {"shown_attributes": ["a", "a"]}, {"reasons": [str(n) for n in range(21)]},
     {"reasons": ["x" * 61]}, {"reasons": [" "]}, {"reasons": ["a\u202eb"]}, {"color": "red"},
     {"item_name": {"es": {"one": "a", "many": "b"}}}, {"steps": [{"step": "A", "title": "\n"}]}],
)  # fmt: skip
def test_settings_that_are_not_well_formed_are_refused(
    valkey_services: Services, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest):
        configure(valkey_services, MAIN_BOARD, **given)
    assert valkey_services.store.boards.get(MAIN_BOARD).settings.version == 0


def test_a_board_that_is_not_there_is_not_set_up(services: Services) -> None:
    with pytest.raises(BoardNotFound):
        configure(services, "nowhere", title="Nowhere")
    assert services.store.client.exists(services.store.keys.board("nowhere").board) == 0


def test_main_is_set_up_without_having_been_created(services: Services) -> None:
    do(services, "put", "A", board=MAIN_BOARD)
    assert configure(services, MAIN_BOARD, title="Taller", steps=["work", "MET"]).title == "Taller"
    do(services, "take", "A", board=MAIN_BOARD)
    do(services, "complete", "A", board=MAIN_BOARD)
    assert item(services, "A", MAIN_BOARD)["step"] == "MET"
    assert step_counts(services, MAIN_BOARD) == {"work": 0, "MET": 1}


def test_no_board_is_created_with_a_step_that_occurs_twice(services: Services) -> None:
    with pytest.raises(InvalidRequest):
        services.store.boards.create("twice", steps=["A", "A"])


# main, where nobody uses it


def test_an_unused_main_is_listed_only_where_there_is_no_other_board(services: Services) -> None:
    def listed() -> list[str]:
        return [each.board for each in services.store.boards.visible()]

    assert listed() == [MAIN_BOARD]
    services.store.boards.create("hall")
    assert listed() == ["hall"]
    assert services.store.boards.get(MAIN_BOARD).board == MAIN_BOARD
    do(services, "put", "A", board=MAIN_BOARD)
    assert listed() == ["hall", MAIN_BOARD]
    do(services, "remove", "A", board=MAIN_BOARD)
    assert listed() == ["hall", MAIN_BOARD]  # it has a history


@pytest.mark.parametrize("way", ["created", "set up"])
def test_a_main_that_somebody_has_set_up_is_listed(services: Services, way: str) -> None:
    services.store.boards.create("hall")
    if way == "created":
        services.store.boards.create(MAIN_BOARD, steps=["ARM"])
    else:
        configure(services, MAIN_BOARD, title="Main")
    assert MAIN_BOARD in [each.board for each in services.store.boards.visible()]


def test_the_counts_hold_whatever_is_done(valkey_services: Services) -> None:
    dice, services = random.Random(7), valkey_services
    services.store.boards.create("line", steps=["ARM", "SOLD", "MET"])
    orders = itertools.cycle([["MET", "ARM", "SOLD"], ["ARM", "SOLD", "NEW", "MET"]])
    for number in range(150):
        operation = dice.choice(["put", "take", "complete", "reopen", "remove", "pause"])
        do(services, operation, dice.choice("ABCD"))
        if number % 10 == 0:
            try:
                configure(services, "line", steps=next(orders))
            except StepInUse:
                continue
    assert Reconciler(services.store).run("line", repair=False).problems == []

"""A worker's day: their holds since a moment, and how each ended."""

from __future__ import annotations

import time

import pytest

from occupancy.boards.commands import Command
from occupancy.boards.history.workday import Hold, Workday
from occupancy.core.entities import Person
from occupancy.core.transitions import PUT, TRANSITIONS
from occupancy.services import Services

ANA, BEN, SUP = Person("ana", "Ana"), Person("ben", "Ben"), Person("sup", "Sup")


def do(services: Services, operation: str, tag: str, who: Person = ANA, **more: object) -> None:
    row = PUT if operation == "put" else TRANSITIONS[operation]
    if operation == "put":
        more["items"] = [{"title": '"Spool"'}]
    answer = services.store.commands.execute(Command("main", row, [tag], actor=who, **more))  # type: ignore[arg-type] # each row has its own
    assert answer.outcomes[0].is_done, answer


def day_of(services: Services, who: Person = ANA, since_ms: int = 0) -> Workday:
    return services.store.workdays.get(who.id, ["main"], since_ms=since_ms, pause=lambda: None)


def ends(day: Workday) -> list[tuple[str, str | None, str | None]]:
    return [
        (each.tag, each.ended, each.ended_by.id if each.ended_by else None) for each in day.holds
    ]


@pytest.fixture
def shop(services: Services) -> Services:
    for tag in ("A", "B", "C"):
        do(services, "put", tag, SUP)
    return services


def test_holds_come_in_order_with_what_ended_them(shop: Services) -> None:
    do(shop, "take", "A")
    do(shop, "take", "B", BEN)
    do(shop, "pause", "A")
    do(shop, "pause", "B", BEN)
    do(shop, "take", "B")
    do(shop, "take", "A", BEN)
    day = day_of(shop)
    assert ends(day) == [("A", "item.paused", "ana"), ("B", None, None)]
    first, second = day.holds
    assert first.began_at is not None and first.ended_at is not None
    assert first.began_at <= first.ended_at <= (second.began_at or "")
    assert (first.title, first.step, first.board) == ("Spool", "work", "main")
    assert day.is_whole


def test_a_hold_that_a_supervisor_ended_names_the_supervisor(shop: Services) -> None:
    do(shop, "take", "A")
    do(shop, "force-release", "A", SUP, reason='"Lunch"')
    do(shop, "take", "B")
    do(shop, "reassign", "B", SUP, to=BEN)
    assert ends(day_of(shop)) == [
        ("A", "item.force_released", "sup"), ("B", "item.reassigned", "sup"),
    ]  # fmt: skip
    assert ends(day_of(shop, BEN)) == [("B", None, None)]
    assert ends(day_of(shop, SUP)) == []


def test_a_completion_that_was_taken_back_ended_nothing(shop: Services) -> None:
    do(shop, "take", "A")
    do(shop, "complete", "A")
    assert ends(day_of(shop)) == [("A", "item.completed", "ana")]
    do(shop, "undo", "A")
    (hold,) = day_of(shop).holds
    assert hold == Hold("main", "A", "Spool", "work", hold.began_at)
    do(shop, "complete", "A")
    assert ends(day_of(shop)) == [("A", "item.completed", "ana")]


def test_a_hold_from_before_has_its_end_and_no_beginning(shop: Services) -> None:
    do(shop, "take", "A")
    do(shop, "take", "B")
    time.sleep(0.002)  # the next event is of a later millisecond
    since_ms = int(time.time() * 1000)
    do(shop, "put", "B", SUP)
    do(shop, "pause", "A")
    found = day_of(shop, since_ms=since_ms)
    assert ends(found) == [("A", "item.paused", "ana"), ("B", None, None)]
    assert [each.began_at for each in found.holds] == [None, None]


def test_what_is_held_all_the_time_is_there_though_nothing_happened(shop: Services) -> None:
    do(shop, "take", "A")
    do(shop, "take", "B", BEN)
    time.sleep(0.002)
    since_ms = int(time.time() * 1000)
    found = day_of(shop, since_ms=since_ms)
    assert found.holds == [Hold("main", "A", "Spool", "work", None)]
    shop.store.client.xtrim(shop.store.keys.board("main").log, maxlen=0, approximate=False)
    (hold,) = day_of(shop).holds
    assert hold.began_at is not None  # its event is gone, but the item says since when


def test_a_log_that_was_trimmed_says_that_something_is_missing(shop: Services) -> None:
    do(shop, "take", "A")
    do(shop, "pause", "A")
    log = shop.store.keys.board("main").log
    shop.store.client.xtrim(log, maxlen=1, approximate=False)
    day = day_of(shop)
    assert not day.is_whole
    assert ends(day) == [("A", "item.paused", "ana")]


def test_more_events_than_one_read_has_are_all_seen(
    shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occupancy.boards.history.workday._ENTRIES_AT_ONCE", 2)
    pauses: list[None] = []
    for _ in range(5):
        do(shop, "take", "A")
        do(shop, "pause", "A")
    found = shop.store.workdays.get("ana", ["main"], since_ms=0, pause=lambda: pauses.append(None))
    assert len(found.holds) == 5
    assert len(pauses) == 6

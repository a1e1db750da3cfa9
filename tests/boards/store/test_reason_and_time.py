"""What an operation does to an item's reason, time, epoch and texts."""

from __future__ import annotations

import json

import gevent
import pytest

from occupancy.boards.records import Preconditions
from occupancy.core.entities import Person
from occupancy.services import Services
from tests.boards.store.changes import BEN, add, do, item_of


def test_what_release_and_unblock_go_back_to_has_its_reason_again(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    do(store, "pause", "A", reason="lunch")
    do(store, "take", "A", actor=BEN)
    assert item_of(store, "A")["reason"] is None
    do(store, "release", "A", actor=BEN)
    assert (item_of(store, "A")["state"], item_of(store, "A")["reason"]) == ("paused", "lunch")
    do(store, "block", "A", reason="crack")
    assert item_of(store, "A")["reason"] == "crack"
    do(store, "unblock", "A")
    assert (item_of(store, "A")["state"], item_of(store, "A")["reason"]) == ("paused", "lunch")


def test_what_was_occupied_is_paused_after_a_block(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    do(store, "block", "A", reason="crack")
    assert item_of(store, "A")["holder"] is None
    do(store, "unblock", "A")
    assert (item_of(store, "A")["state"], item_of(store, "A")["reason"]) == ("paused", None)


def test_reassigning_keeps_since_and_leaves_no_moment_free(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    since = item_of(store, "A")["since"]
    gevent.sleep(0.003)  # so that another since would be another text
    do(store, "reassign", "A", to=BEN, reason="shift")
    view = item_of(store, "A")
    assert (view["since"], view["holder"]["id"], view["epoch"]) == (since, BEN.id, 2)
    assert do(store, "pause", "A").outcomes[0].code == "not_holder"


def test_time_is_counted_for_work_and_not_for_a_mistaken_take(services: Services) -> None:
    store = services.store
    add(store, "A")
    do(store, "take", "A")
    gevent.sleep(0.005)
    do(store, "release", "A")
    assert item_of(store, "A")["worked_s"] == 0
    do(store, "take", "A")
    gevent.sleep(0.005)
    do(store, "pause", "A")
    worked = item_of(store, "A")["worked_s"]
    assert worked > 0
    do(store, "take", "A", actor=BEN)
    gevent.sleep(0.005)
    do(store, "force-release", "A", reason="x")
    assert item_of(store, "A")["worked_s"] > worked


def test_an_epoch_never_comes_back_though_the_item_is_removed(services: Services) -> None:
    store = services.store
    add(store, "A", "B")
    seen: set[int] = set()
    for _ in range(4):
        do(store, "take", "A")
        epoch = item_of(store, "A")["epoch"]
        assert epoch not in seen
        seen.add(epoch)
        do(store, "release", "A")
        version = item_of(store, "A")["version"]
        do(store, "remove", "A")
        add(store, "A")
        assert item_of(store, "A")["version"] > version


@pytest.mark.parametrize("text", ['"', "\\", "\u2028", "日本", "]]", "%s", "{}", "'"])
def test_texts_come_back_as_they_went_in(services: Services, text: str) -> None:
    store = services.store
    person = Person("w9", f"name {text}")
    attributes = {"a": text, "empty": {}, "list": [], "big": 12345678901234567890, "f": 0.1}
    add(store, "A", title=json.dumps(text), attributes=json.dumps(attributes))
    do(store, "take", "A", actor=person)
    do(store, "pause", "A", actor=person, reason=text)
    view = item_of(store, "A")
    assert (view["title"], view["reason"], view["attributes"]) == (text, text, attributes)
    given = Preconditions(idempotency_key=text, fingerprint=text)
    first = do(store, "take", "A", actor=person, preconditions=given)
    again = do(store, "take", "A", actor=person, preconditions=given)
    assert again.outcomes == first.outcomes
    assert json.loads(first.outcomes[0].item)["holder"]["name"] == person.name

"""Nothing is ever in two hands, whatever happens at once."""

from __future__ import annotations

import json
import random

import gevent

from occupancy.core.entities import Person
from occupancy.services import Services
from tests.boards.store.changes import add, do, item_of, seqs_of


def test_of_fifty_that_take_the_same_item_at_once_one_wins(real_services: Services) -> None:
    store = real_services.store
    for round_ in range(5):
        tag = f"T-{round_}"
        add(store, tag)
        people = [Person(f"p{number}", f"P {number}") for number in range(50)]
        takers = [gevent.spawn(do, store, "take", tag, actor=person) for person in people]
        gevent.joinall(takers, raise_error=True)
        outcomes = [each.value.outcomes[0] for each in takers]
        winners = [p for p, o in zip(people, outcomes, strict=True) if o.code == "ok"]
        assert len(winners) == 1
        assert {each.code for each in outcomes} == {"ok", "held"}
        for each in outcomes:
            assert json.loads(each.item)["holder"]["id"] == winners[0].id
        assert item_of(store, tag)["epoch"] == 1


def test_an_item_is_never_in_two_hands_whatever_happens_at_once(real_services: Services) -> None:
    store = real_services.store
    add(store, "A")
    inside: list[str] = []
    takes = 0

    def work(number: int) -> None:
        nonlocal takes
        me = Person(f"p{number}", f"P {number}")
        dice = random.Random(number)
        for _ in range(15):
            outcome = do(store, "take", "A", actor=me).outcomes[0]
            if outcome.code == "ok":
                inside.append(me.id)
                assert inside == [me.id]
                takes += 1
                gevent.sleep(0)
                assert inside == [me.id]
                inside.remove(me.id)
                assert (
                    do(store, dice.choice(["pause", "release"]), "A", actor=me).outcomes[0].changed
                )

    workers = [gevent.spawn(work, number) for number in range(12)]
    gevent.joinall(workers, raise_error=True)
    assert takes > 0
    assert item_of(store, "A")["epoch"] == 2 * takes
    assert seqs_of(store) == list(range(1, 2 * takes + 2))

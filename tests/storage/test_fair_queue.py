"""The line for places, alone: first come, first served, and whole whatever is killed."""

from __future__ import annotations

import random
from typing import Any

import gevent
import pytest

from occupancy.core.errors import PoolTimeout
from occupancy.storage.fair_queue import FairQueue


def test_a_queue_gives_places_last_in_first_out() -> None:
    queue = FairQueue(3)
    for each in "abc":
        queue.put_nowait(each)  # type: ignore[arg-type] # any object serves
    given: list[Any] = [queue.get(), queue.get()]
    assert given == ["c", "b"]


def test_a_queue_refuses_more_than_its_size() -> None:
    import queue as standard

    queue = FairQueue(1)
    queue.put_nowait(None)
    with pytest.raises(standard.Full):
        queue.put_nowait(None)


def test_waiters_are_served_first_come_first_served() -> None:
    queue = FairQueue(1)
    served: list[int] = []

    def wait(number: int) -> None:
        place = queue.get(timeout=5)
        served.append(number)
        gevent.sleep(0)
        queue.put_nowait(place)

    waiters = [gevent.spawn(wait, number) for number in range(20)]
    gevent.sleep(0)
    assert queue.waiting == 20
    queue.put_nowait(None)
    gevent.joinall(waiters, raise_error=True)
    assert served == list(range(20))
    assert queue.queue == [None]


def test_a_caller_that_returns_a_place_and_asks_again_queues_behind_the_waiters() -> None:
    queue = FairQueue(1)
    order: list[str] = []
    place = None

    def wait() -> None:
        taken = queue.get(timeout=5)
        order.append("waiter")
        queue.put_nowait(taken)

    waiter = gevent.spawn(wait)
    gevent.sleep(0)
    queue.put_nowait(place)
    place = queue.get(timeout=5)  # no switch in between: the waiter has the place already
    order.append("giver")
    queue.put_nowait(place)
    waiter.get()
    assert order == ["waiter", "giver"]


@pytest.mark.parametrize("is_handed_first", [True, False])
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_place_handed_to_a_greenlet_that_is_stopped_that_moment_is_not_lost(
    is_handed_first: bool, how: str
) -> None:
    queue = FairQueue(1)
    got: list[str] = []

    def wait(name: str) -> None:
        place = queue.get(timeout=5)
        got.append(name)
        queue.put_nowait(place)

    first, second = gevent.spawn(wait, "first"), gevent.spawn(wait, "second")
    gevent.sleep(0)
    assert queue.waiting == 2
    exception = gevent.GreenletExit() if how == "kill" else gevent.Timeout(1)

    def stop_first() -> None:
        first.kill(exception, block=False)

    steps = [lambda: queue.put_nowait(None), stop_first]
    for step in steps if is_handed_first else reversed(steps):
        step()
    second.get(timeout=5)
    first.join(timeout=5)
    if not is_handed_first:
        assert got == ["second"]
    assert got[-1] == "second"
    assert queue.queue == [None]
    assert queue.waiting == 0


def test_a_waiter_that_is_stopped_leaves_the_line() -> None:
    queue = FairQueue(1)
    killed = gevent.spawn(queue.get, timeout=5)
    other = gevent.spawn(queue.get, timeout=5)
    gevent.sleep(0)
    killed.kill()
    assert queue.waiting == 1
    queue.put_nowait(None)
    assert other.get(timeout=5) is None
    assert not other.exception


def test_chaos_among_waiters_loses_no_place_and_doubles_none() -> None:
    dice = random.Random(1)
    queue = FairQueue(3)
    places = [object() for _ in range(3)]
    for place in places:
        queue.put_nowait(place)  # type: ignore[arg-type] # any object serves
    out: set[int] = set()

    def work() -> None:
        for _ in range(5):
            try:
                place = queue.get(timeout=dice.choice([0.0005, 5]))
            except PoolTimeout:
                continue
            assert id(place) not in out, "a place was handed out twice"
            out.add(id(place))
            try:
                for _ in range(dice.randrange(3)):
                    gevent.sleep(0)
            finally:
                out.discard(id(place))
                queue.put_nowait(place)

    workers = [gevent.spawn(work) for _ in range(150)]
    for worker in workers:
        if dice.random() < 0.5:
            gevent.sleep(dice.choice([0, 0, 0.0005]))
            worker.kill(dice.choice([gevent.GreenletExit, gevent.Timeout(1)]), block=False)
    gevent.joinall(workers, timeout=20)
    failures = [each.exception for each in workers if each.exception is not None]
    assert all(isinstance(each, gevent.Timeout) for each in failures), failures
    assert queue.waiting == 0
    assert {id(each) for each in queue.queue} == {id(each) for each in places}
    assert len(queue.queue) == 3

"""Turns of reads: one after the other, fair between senders, and behind what operates."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.threadpool import ThreadPool

from occupancy.access import read_turns
from occupancy.access.read_turns import ReadTurns, Share
from occupancy.core.errors import RateLimited
from occupancy.core.slices import sliced
from occupancy.storage.fair_queue import READ_SHARE, FairQueue, set_priority
from tests.support.waiting import wait_until

ANA, BEN = Share("ana", is_known=True), Share("ben", is_known=True)
HERE, THERE = Share("10.0.0.1", is_known=False), Share("10.0.0.2", is_known=False)


@pytest.fixture
def begun() -> list[str]:
    return []


def stand(made: ReadTurns, begun: list[str], share: Share, times: int = 1) -> list[Any]:
    """Let so many of a share stand in line; each notes when it begins."""

    def one() -> None:
        made.wait(share)
        begun.append(str(share.name))

    return [gevent.spawn(one) for _ in range(times)]


def all_of(*lines: list[Any]) -> None:
    gevent.joinall([each for line in lines for each in line], timeout=20, raise_error=True)
    assert all(each.ready() for line in lines for each in line)


def test_who_comes_alone_waits_for_nothing() -> None:
    made = ReadTurns()
    switched: list[int] = []
    gevent.spawn(switched.append, 1)
    made.wait(HERE)
    assert switched == []


def test_threads_have_no_turns_that_a_loop_which_has_ended_would_give() -> None:
    """`flask run` serves each request in a thread of its own, with a loop of its own."""
    made = ReadTurns()
    for _ in range(3):
        ThreadPool(1).spawn(made.wait, HERE).get(timeout=5)


def test_one_begins_each_time_that_the_loop_has_come_around(begun: list[str]) -> None:
    made = ReadTurns()
    most = 0
    running = [gevent.spawn(made.wait, ANA) for _ in range(50)]
    before = 0
    while not all(each.ready() for each in running):
        gevent.sleep(1e-6)  # the loop looks at its watchers once
        now = sum(each.ready() for each in running)
        most, before = max(most, now - before), now
    assert most <= 2  # one that waited, and one that came when nobody had


def test_senders_have_equal_shares_however_many_requests_they_have(begun: list[str]) -> None:
    made = ReadTurns()
    made.wait(ANA)
    flood = stand(made, begun, ANA, 100)
    gevent.sleep(0)
    late = stand(made, begun, BEN, 5)
    all_of(flood, late)
    assert [position for position, name in enumerate(begun) if name == "ben"][-1] < 15


def test_unknown_addresses_have_equal_shares_and_together_as_many_turns_as_known_senders(
    begun: list[str],
) -> None:
    made = ReadTurns()
    made.wait(ANA)
    flood = stand(made, begun, HERE, 50)
    many = [stand(made, begun, Share(f"10.1.0.{number}", is_known=False)) for number in range(50)]
    gevent.sleep(0)
    known = stand(made, begun, ANA, 10)
    all_of(flood, *many, known)
    assert begun[:21].count("ana") >= 10
    unknown = [each for each in begun if each != "ana"]
    # Each of the many has its turn before the flood has more than a few, and the flood is last.
    assert [each for each in unknown if each != HERE.name] == [
        f"10.1.0.{number}" for number in range(50)
    ]
    assert unknown[:53].count(str(HERE.name)) <= 3
    assert unknown.count(str(HERE.name)) == 50


def test_what_is_long_goes_on_before_its_own_next_request(begun: list[str]) -> None:
    made = ReadTurns()

    def long() -> None:
        made.wait(ANA)
        for _ in range(3):
            made.go_on(ANA)
        begun.append("long")

    first = gevent.spawn(long)
    gevent.sleep(0)
    others = stand(made, begun, ANA, 10)
    all_of([first], others)
    assert begun[0] == "long"


def test_reads_begin_also_where_the_loop_is_never_idle(begun: list[str]) -> None:
    made = ReadTurns()
    is_busy = True

    def keep_busy() -> None:
        while is_busy:
            gevent.sleep(0)

    busy = [gevent.spawn(keep_busy) for _ in range(5)]
    made.wait(ANA)
    waiting = stand(made, begun, ANA, 5) + stand(made, begun, HERE, 5)
    all_of(waiting)
    is_busy = False
    gevent.joinall(busy)


def test_unknown_senders_rest_and_known_ones_do_not_wait_for_that(begun: list[str]) -> None:
    made = ReadTurns()
    made.wait(HERE)
    wait_until(lambda: made._rested_s > 0, what="the end of the turn")
    assert made._rested_s > made._began_s
    made._rested_s += 1000
    unknown = stand(made, begun, HERE, 3)
    all_of(stand(made, begun, ANA, 5))
    assert begun == ["ana"] * 5
    made._rested_s = 0.0
    all_of(unknown, stand(made, begun, BEN))


def test_who_is_killed_while_they_wait_leaves_the_line(begun: list[str]) -> None:
    made = ReadTurns()
    made.wait(ANA)
    killed, others = stand(made, begun, ANA, 5), stand(made, begun, ANA, 5)
    gevent.sleep(0)
    gevent.killall(killed)
    all_of(others)
    assert begun == ["ana"] * 5
    assert made.waiting == 0
    wait_until(lambda: made._watchers is None, what="the end")
    assert not any(made._queues.values())


def test_chaos_leaves_nobody_waiting(begun: list[str]) -> None:
    dice = random.Random(1)
    made = ReadTurns()
    shares = [ANA, BEN, HERE, THERE]

    def work() -> None:
        share = dice.choice(shares)
        made.wait(share)
        for _ in range(dice.randrange(4)):
            made.go_on(share)
            gevent.sleep(dice.choice([0, 0.0002]))

    workers = [gevent.spawn(work) for _ in range(200)]
    for worker in workers:
        if dice.random() < 0.4:
            gevent.sleep(dice.choice([0, 0, 0.0005]))
            worker.kill(dice.choice([gevent.GreenletExit, gevent.Timeout(1)]), block=False)
    gevent.joinall(workers, timeout=20)
    assert all(each.ready() for each in workers)
    assert made.waiting == 0
    wait_until(lambda: made._watchers is None, what="the end")
    assert not any(made._queues.values())


def test_who_waits_too_long_or_behind_too_many_is_told_when_to_come_back(
    begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ReadTurns()
    monkeypatch.setattr(made, "_give", lambda: None)  # the turn never ends
    monkeypatch.setattr(read_turns, "MAX_READ_WAIT_S", 0.01)
    made.wait(ANA)
    with pytest.raises(RateLimited) as refused:
        made.wait(ANA)
    assert refused.value.extra["retry_after"] >= 1
    assert made.waiting == 0
    monkeypatch.setattr(read_turns, "MAX_READ_WAIT_S", 20)
    monkeypatch.setattr(read_turns, "MAX_OF_SHARE", 3)
    monkeypatch.setattr(read_turns, "MAX_WAITING", 4)
    waiting = stand(made, begun, ANA, 3)
    gevent.sleep(0)
    with pytest.raises(RateLimited):
        made.wait(ANA)
    waiting += stand(made, begun, HERE, 1)
    gevent.sleep(0)
    with pytest.raises(RateLimited):
        made.wait(THERE)
    waiting += stand(made, begun, BEN, 1)  # known, and not one of too many of its own
    gevent.sleep(0)
    assert made.waiting == 5
    gevent.killall(waiting)


def test_what_is_sliced_is_whole_and_pauses_after_each_slice() -> None:
    paused: list[int] = []

    def long() -> Any:
        yield from range(1000)

    def work(number: int) -> int:
        if number % 100 == 0:
            gevent.sleep(0.001)  # as long as a slice
        return number

    done = [work(number) for number in sliced(long(), lambda: paused.append(1))]
    assert done == list(range(1000))
    assert 9 <= len(paused) < 63  # not where no slice has ended: the clock is read 63 times
    assert list(sliced([], lambda: None)) == []


# The ops pool: operations first


def line_up(
    queue: FairQueue, served: list[str], name: str, *, is_read: bool, keep: Callable[[], None]
) -> Any:
    def work() -> None:
        set_priority(is_read=is_read)
        place = queue.get(timeout=5)
        served.append(name)
        keep()
        queue.put_nowait(place)

    return gevent.spawn(work)


def test_operations_get_a_connection_before_reads_that_wait_already() -> None:
    queue = FairQueue(1)
    served: list[str] = []
    reads = [line_up(queue, served, "read", is_read=True, keep=gevent.sleep) for _ in range(20)]
    gevent.sleep(0)
    operation = line_up(queue, served, "operation", is_read=False, keep=gevent.sleep)
    gevent.sleep(0)
    queue.put_nowait(None)
    gevent.joinall([*reads, operation], raise_error=True)
    assert served[0] == "operation"
    assert len(served) == 21
    assert queue.queue == [None]


def test_reads_get_their_part_however_many_operations_wait() -> None:
    queue = FairQueue(1)
    served: list[str] = []
    lines = [line_up(queue, served, "read", is_read=True, keep=gevent.sleep) for _ in range(5)]
    lines += [line_up(queue, served, "op", is_read=False, keep=gevent.sleep) for _ in range(100)]
    gevent.sleep(0)
    queue.put_nowait(None)
    gevent.joinall(lines, raise_error=True)
    assert [at for at, name in enumerate(served) if name == "read"][-1] < 5 * READ_SHARE


def test_each_line_of_the_pool_is_first_come_first_served() -> None:
    queue = FairQueue(1)
    served: list[str] = []
    dice = random.Random(1)
    lines = []
    for number in range(60):
        is_read = dice.random() < 0.5
        name = f"{'r' if is_read else 'o'}{number:02d}"
        lines.append(line_up(queue, served, name, is_read=is_read, keep=gevent.sleep))
    gevent.sleep(0)
    queue.put_nowait(None)
    gevent.joinall(lines, raise_error=True)
    for kind in "ro":
        of_kind = [name for name in served if name.startswith(kind)]
        assert of_kind == sorted(of_kind)


def test_chaos_in_both_lines_loses_no_place() -> None:
    dice = random.Random(2)
    queue = FairQueue(2)
    places = [object(), object()]
    for place in places:
        queue.put_nowait(place)  # type: ignore[arg-type] # any object will do
    served: list[str] = []

    def keep() -> None:
        gevent.sleep(dice.choice([0, 0.0003]))

    def work() -> None:
        set_priority(is_read=dice.random() < 0.5)
        place = queue.get(timeout=5)
        served.append("x")
        try:
            keep()
        finally:
            queue.put_nowait(place)

    workers = [gevent.spawn(work) for _ in range(150)]
    for worker in workers:
        if dice.random() < 0.5:
            gevent.sleep(dice.choice([0, 0, 0.0005]))
            worker.kill(dice.choice([gevent.GreenletExit, gevent.Timeout(1)]), block=False)
    gevent.joinall(workers, timeout=20)
    assert queue.waiting == 0
    assert {id(each) for each in queue.queue} == {id(each) for each in places}

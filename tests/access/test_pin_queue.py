"""The queue for hashing PINs: a flood keeps nobody out at their own tablet."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import gevent
import pytest
import requests
from gevent.event import Event

from occupancy.access.pin_queue import (
    MAX_KNOWN,
    MAX_KNOWN_OF_WORKER,
    MAX_OF_NETWORK,
    MAX_UNKNOWN,
    PinQueue,
)
from occupancy.core.entities import Role
from occupancy.core.errors import RateLimited
from occupancy.core.rate_limit import limited_address
from tests.support.deployment import Deployment
from tests.support.servers import RealServer
from tests.support.tablets import HASH, PIN
from tests.support.waiting import wait_until


class Crowd:
    """Places that are taken and kept."""

    def __init__(self) -> None:
        self.queue = PinQueue()
        self.kept = contextlib.ExitStack()

    def takes(self, attempts: int, address: str, worker: str = "x", *, known: bool = False) -> int:
        """How many of ``attempts`` get a place."""
        for number in range(attempts):
            try:
                self.kept.enter_context(
                    self.queue.place(worker, limited_address(address), is_known=known)
                )
            except RateLimited as error:
                assert error.extra["retry_after"] > 0
                return number
        return attempts


def test_unknown_and_known_attempts_take_no_places_of_each_other() -> None:
    crowd = Crowd()
    taken = sum(crowd.takes(1, f"203.0.113.{number}") for number in range(200))
    assert taken == MAX_UNKNOWN
    assert crowd.takes(9, "10.0.0.1", "93", known=True) == MAX_KNOWN_OF_WORKER
    others = sum(crowd.takes(1, "10.0.0.1", f"w{number}", known=True) for number in range(200))
    assert others == MAX_KNOWN - MAX_KNOWN_OF_WORKER
    crowd.kept.close()
    assert not crowd.queue._taken
    assert crowd.takes(1, "203.0.113.1") == 1


@pytest.mark.parametrize(
    ("addresses", "most"),
    [
        (["203.0.113.1"], MAX_OF_NETWORK[0]),
        ([f"2001:db8:0:1::{number:x}" for number in range(70)], MAX_OF_NETWORK[0]),
        ([f"2001:db8:0:{number:x}::1" for number in range(70)], MAX_OF_NETWORK[1]),
        ([f"2001:db8:0:{number:x}00::1" for number in range(70)], MAX_OF_NETWORK[2]),
        ([f"2001:db8:{number:x}::1" for number in range(90)], MAX_UNKNOWN),
    ],
    ids=["an address", "a /64", "a /56", "a /48", "many /48"],
)
def test_one_customer_takes_no_more_than_a_part_of_the_unknown_places(
    addresses: list[str], most: int
) -> None:
    crowd = Crowd()
    assert sum(crowd.takes(100 // len(addresses) + 1, each) for each in addresses) == most
    assert crowd.takes(1, "2001:db8:ffff:ffff::1") == (most < MAX_UNKNOWN)


def test_known_attempts_go_first_and_unknown_ones_continue() -> None:
    queue, order, first = PinQueue(), [], Event()

    def wait(kind: str) -> None:
        with queue.turn(is_known=kind == "known"):
            order.append(kind)
            if len(order) == 1:
                first.wait()

    waiting = [gevent.spawn(wait, kind) for kind in ["unknown"] * 4 + ["known"] * 7]
    gevent.idle()
    first.set()
    gevent.joinall(waiting, raise_error=True)
    known = ["known"] * 3
    assert order == [
        "unknown", *known, "unknown", *known, "unknown", "known", "unknown",
    ]  # fmt: skip


@pytest.mark.parametrize("moment", ["while it waits", "as it gets its turn"])
def test_whoever_is_killed_loses_no_turn(moment: str) -> None:
    queue, hold = PinQueue(), Event()
    order: list[str] = []

    def use(name: str) -> None:
        with queue.turn(is_known=True):
            order.append(name)
            if name == "a":
                hold.wait()
                if moment == "as it gets its turn":
                    b.kill(block=False)  # before the turn that it is given here can wake it

    a, b, c = [gevent.spawn(use, name) for name in "abc"]
    gevent.idle()
    if moment == "while it waits":
        b.kill()
    hold.set()
    gevent.joinall([a, b, c], timeout=5)
    assert order == ["a", "c"]
    assert not queue._known
    with queue.turn(is_known=False):
        pass


def test_a_flood_of_pins_for_invented_workers_keeps_no_worker_from_their_own_tablet(
    tmp_path: Path, module_server: RealServer
) -> None:
    running = Deployment(
        tmp_path, module_server.url, OCCUPANCY_PROXIES="1", WEB_CONCURRENCY="1"
    ).start()
    try:
        running.services().workers.add("93", name="W", role=Role.WORKER, pin_hash=HASH)
        running.services().workers.add("1", name="A", role=Role.ADMIN)

        def sign_in(worker: str, address: str, pin: str = PIN) -> int:
            return requests.post(
                f"{running.url}/api/session", json={"worker": worker, "pin": pin},
                headers={"X-Forwarded-For": address}, timeout=60,
            ).status_code  # fmt: skip

        assert sign_in("93", "10.0.0.1") == 200  # from now on it is known there
        answers: list[int] = []
        flood = [
            threading.Thread(
                target=lambda number=number: answers.append(
                    sign_in(f"invented-{number}", f"203.0.{number}.7", "0000")
                )
            )
            for number in range(2 * MAX_UNKNOWN)  # the process has one queue
        ]
        for each in flood:
            each.start()
        wait_until(lambda: 429 in answers, timeout_s=30, what="the queue to be full")
        assert [sign_in("93", "10.0.0.1") for _ in range(5)] == [200] * 5
        for each in flood:
            each.join(timeout=60)
        assert set(answers) == {401, 429}
    finally:
        running.stop()

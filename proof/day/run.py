"""The run of two days: load, samples of the memory of each process and the server."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import redis

from proof.day import memory
from proof.day.clock import HOUR_S, SHIFT_H, Clock
from proof.day.memory import Samples
from proof.day.people import Day
from proof.day.site import BOARDS, PEOPLE_OF_A_SHIFT, DaySite
from proof.day.tablet import Tablet
from proof.day.verdict import judge
from proof.results import why_void
from tests.support.waiting import wait_until

HOURS = 24.0
ACCELERATION = 240.0
WARM_UP_FASTER = 4.0  # than the days after it
WARM_UP_DAYS = 6  # live objects are constant after two, fragments of the allocator after six
_SETTLE_H = 4.0  # at the days' own pace, between the warm-up and the first of them
DAYS = 2  # that are judged together
DAYS_S = (  # in all, about
    (HOURS * (DAYS + WARM_UP_DAYS / WARM_UP_FASTER) + _SETTLE_H) * HOUR_S / ACCELERATION + 60.0
)
_IDLE_TABLETS = 12
_SAMPLES_AN_HOUR = 15
_SERVER_EVERY = 7  # samples: each looks at every key
_CALLERS, _PAUSE_MS = 80, 1000  # that use all connections for operations at once
_LEAST_OPERATIONS = 20.0  # an hour: fewer are no work

Row = dict[str, Any]


def run_days(
    server: str, directory: Path, *, seed: int, log: list[str], hours: float = HOURS,
    warm_up_days: int = WARM_UP_DAYS, acceleration: float = ACCELERATION,
) -> Row:  # fmt: skip
    """Days on a server of their own, after others as warm-up.

    Whatever ends them early makes them void.
    """
    began_s = time.monotonic()
    row: Row = {"seed": seed, "void": "", "violations": {}, "figures": {}, "took_s": 0.0}
    site = DaySite(server, directory)
    days: list[Samples] = []
    done: Counter[str] = Counter()
    try:
        site.start()
        pids = sorted(site.node.worker_pids())
        for number in range(warm_up_days):
            own = f"warm-up {number} {seed}"  # so are its idempotency keys
            _live_through(site, own, pids, hours=hours, acceleration=acceleration * WARM_UP_FASTER)
        _open_all_connections(site)
        _live_through(site, f"settle {seed}", pids, hours=_SETTLE_H, acceleration=acceleration)
        for number in range(DAYS):
            own = f"day {number} {seed}"
            samples, today = _live_through(site, own, pids, hours=hours, acceleration=acceleration)
            days.append(samples)
            done.update(today)
        row["void"] = _why_void(site, pids, done, DAYS * hours)
        if not row["void"]:
            judge(row, days)
        row["figures"] |= {"hours": DAYS * hours, **done}
        row["acceleration"], row["warm_up_days"] = acceleration, warm_up_days
    except (AssertionError, OSError, ValueError, gevent.Timeout, redis.RedisError) as error:
        row["void"] = why_void(error)
    finally:
        site.stop()
        log.append(site.node.log)
        row["took_s"] = time.monotonic() - began_s
    return row


def _open_all_connections(site: DaySite) -> None:
    """Have each process open all its connections for operations, while the server answers nobody.

    Each has buffers of some 18 KiB. A process opens one more whenever more operations meet than
    ever before, on any day: without this a day's memory grows by the record that it sets.
    """

    def is_done() -> bool:
        with site.server.client() as client:
            client.client_pause(_PAUSE_MS, all=False)
        tablets = [
            Tablet(site.port, "127.0.6.1", {"Authorization": f"Bearer {site.token}"})
            for _ in range(_CALLERS)
        ]
        path = f"/api/boards/{BOARDS[0]}/items/T-0/take"
        gevent.joinall([gevent.spawn(each.send, "POST", path, {}) for each in tablets])
        _, stats, _ = tablets[0].send("GET", "/api/redis-connection-stats")
        for each in tablets:
            each.close()
        pools = [each["ops"] for each in stats["workers"]]
        return all(each["in_use"] + each["idle"] == each["max"] for each in pools)

    wait_until(is_done, timeout_s=60, what="all connections for operations to be open")


def _live_through(
    site: DaySite, seed: str, pids: list[int], *, hours: float, acceleration: float
) -> tuple[Samples, dict[str, int]]:
    """Let the day pass; returns the samples, and how often each thing was done."""
    clock = Clock(acceleration)
    day = Day(site, clock, seed, hours=hours)
    with contextlib.ExitStack() as stack:
        stack.callback(day.close)
        greenlets = [
            *(
                gevent.spawn(day.work_a_shift, shift, place)
                for shift in range(int(hours / SHIFT_H + 0.999))
                for place in range(PEOPLE_OF_A_SHIFT)
            ),
            *(gevent.spawn(day.hang_on_the_wall, board) for board in BOARDS),
            gevent.spawn(day.poll, BOARDS[0]),
            gevent.spawn(day.report),
            gevent.spawn(day.import_files, site.node.log_path.parent),
        ]
        stack.callback(gevent.killall, greenlets)
        for place in range(_IDLE_TABLETS):
            day.stand_idle(place)
        samples = _sample(site, clock, pids, hours)
        for each in greenlets:
            if each.ready():
                each.get()  # raises what has ended it
    return samples, dict(day.done)


def _sample(site: DaySite, clock: Clock, pids: list[int], hours: float) -> Samples:
    samples: Samples = {}
    number = 0
    with site.server.client() as client:
        while clock.now_h < hours:
            for place, pid in enumerate(pids, 1):
                for name, value in memory.of_process(pid).items():
                    samples.setdefault(f"process {place}, {name}", []).append((clock.now_h, value))
            if number % _SERVER_EVERY == 0:
                for name, value in memory.of_server(client, site.key_pattern).items():
                    samples.setdefault(f"server, {name}", []).append((clock.now_h, value))
            number += 1
            clock.sleep(HOUR_S / _SAMPLES_AN_HOUR)
    return samples


def _why_void(site: DaySite, pids: list[int], done: dict[str, int], hours: float) -> str:
    if sorted(site.node.worker_pids()) != pids:
        return "a process has ended"
    operations = done.get("operations", 0)
    if operations < _LEAST_OPERATIONS * hours:
        return f"only {operations} operations"
    if not done.get("sign-ins") or not done.get("sign-outs"):
        return "nobody has signed in and out"
    return ""

"""What a process reports of itself: sums over its pools, which never fall."""

from __future__ import annotations

from typing import Any, cast

from occupancy.observability.process_report import _PoolSums
from occupancy.services import Services
from occupancy.storage.pool import FairPool


class Pool:
    """Stands for a pool of connections to one server."""

    def __init__(self, acquired: int, timeouts: int, waits_ms: list[float]) -> None:
        self.acquired, self.timeouts = acquired, timeouts
        self.pool, self.waits_ms = self, waits_ms

    def stats(self) -> dict[str, Any]:
        return {
            "max": 4, "in_use": 1, "idle": 2, "waiting": 0, "acquired": self.acquired,
            "timeouts": self.timeouts, "peak": {"in_use": 3, "waiting": 1},
        }  # fmt: skip


def pools(*given: Pool) -> list[FairPool]:
    return [cast(FairPool, each) for each in given]


def test_figures_are_the_sums_over_all_pools() -> None:
    found = _PoolSums().of(pools(Pool(10, 1, [1.0]), Pool(5, 0, [9.0])))
    assert (found["max"], found["in_use"], found["idle"]) == (8, 2, 4)
    assert (found["acquired"], found["timeouts"]) == (15, 1)
    assert found["peak"] == {"in_use": 6, "waiting": 2}
    assert found["wait_ms"]["max"] == 9.0


def test_what_the_pools_of_a_former_server_have_counted_stays() -> None:
    sums, old, other, new = _PoolSums(), Pool(10, 2, []), Pool(1, 0, []), Pool(0, 0, [])
    counted = []
    for given in ((old, other), (other,), (new, other), (new, other)):
        found = sums.of(pools(*given))
        counted.append((found["acquired"], found["timeouts"], found["max"]))
        new.acquired += 5
    assert counted == [(11, 2, 8), (11, 2, 4), (21, 2, 8), (26, 2, 8)]


def test_a_process_that_ends_is_listed_no_more(valkey_services: Services) -> None:
    valkey_services.process_report.publish()
    assert [each["process"] for each in valkey_services.processes.all()] == [
        valkey_services.process_name
    ]
    valkey_services.drain()
    assert valkey_services.processes.all() == []

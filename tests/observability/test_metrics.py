"""Metrics: each figure is exactly what has happened, also after it was copied again and again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from occupancy import create_app
from occupancy.core.entities import Role
from occupancy.live.broadcaster import Channel
from occupancy.live.sse import Payload
from occupancy.observability.metrics import LiveMetrics, Metrics
from occupancy.services import Services
from tests.conftest import services_on_one
from tests.support.servers import RealServer


def value(metrics: Metrics, sample: str) -> float | None:
    """The value of ``sample``, a name with its labels; None if it is not there."""
    found = re.search(rf"(?m)^{re.escape(sample)} (\S+)$", metrics.exposition().decode())
    return float(found[1]) if found is not None else None


def figures(acquired: int, timeouts: int = 0) -> dict[str, object]:
    waits = {"p50": 1.5, "p99": 20.0, "max": 300.0}
    return {
        "max": 8, "in_use": 3, "idle": 2, "waiting": 4, "acquired": acquired,
        "timeouts": timeouts, "wait_ms": waits,
    }  # fmt: skip


def test_a_pools_counters_are_what_it_has_counted_however_often_they_are_copied() -> None:
    metrics = Metrics()
    for acquired, timeouts in ((5, 1), (5, 1), (9, 1), (9, 3), (12, 3)):
        metrics.copy_pool("ops", figures(acquired, timeouts))
        metrics.copy_pool("pubsub", figures(2))
        assert value(metrics, 'occupancy_pool_acquired_total{pool="ops"}') == acquired
        assert value(metrics, 'occupancy_pool_timeouts_total{pool="ops"}') == timeouts
        assert value(metrics, 'occupancy_pool_acquired_total{pool="pubsub"}') == 2


def test_a_pools_gauges_are_its_figures_in_the_units_of_their_names() -> None:
    metrics = Metrics()
    metrics.copy_pool("ops", figures(1))
    for state, count in (("max", 8), ("in_use", 3), ("idle", 2)):
        sample = f'occupancy_pool_connections{{pool="ops",state="{state}"}}'
        assert value(metrics, sample) == count
    assert value(metrics, 'occupancy_pool_waiting{pool="ops"}') == 4
    for quantile, wait_s in (("p50", 0.0015), ("p99", 0.02), ("max", 0.3)):
        sample = f'occupancy_pool_wait_seconds{{pool="ops",quantile="{quantile}"}}'
        assert value(metrics, sample) == pytest.approx(wait_s)


def test_delays_are_seconds_and_those_of_the_last_minute_are_milliseconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics, now_s = Metrics(), [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now_s[0])
    monkeypatch.setattr("occupancy.observability.metrics.time", clock)
    metrics.live.observe_delay(0.004)
    now_s[0] += 30.0
    metrics.live.observe_delay(0.3)
    assert metrics.live.recent_delays_ms() == [4.0, 300.0]
    assert value(metrics, "occupancy_delivery_delay_seconds_sum") == pytest.approx(0.304)
    assert value(metrics, 'occupancy_delivery_delay_seconds_bucket{le="0.005"}') == 1
    assert value(metrics, 'occupancy_delivery_delay_seconds_bucket{le="0.5"}') == 2
    now_s[0] += 31.0
    assert metrics.live.recent_delays_ms() == [300.0]
    now_s[0] += 30.0
    assert metrics.live.recent_delays_ms() == []


class Stream:
    is_live, is_gzip, number = True, False, 0

    def push(self, payload: Payload) -> None:
        self.number += len(payload.frames)

    def owe_reset(self) -> None:
        raise AssertionError("no round has failed")


def test_deliveries_are_events_times_live_streams() -> None:
    registry = CollectorRegistry()
    metrics = LiveMetrics(registry)
    streams = [Stream() for _ in range(3)]
    channel = Channel(streams, metrics)
    now_ms = int(time.time() * 1000)
    counted = []
    for events in (1, 2, 4):
        for _ in range(events):
            channel.append(b"data: {}\n\n", now_ms)
        channel.append(b": no event\n\n", None)
        channel.hand_out(channel.take(), lambda: None)
        counted.append(registry.get_sample_value("occupancy_deliveries_total"))
    assert counted == [3, 9, 21]
    assert registry.get_sample_value("occupancy_delivery_delay_seconds_count") == 7


@pytest.fixture
def services(
    request: pytest.FixtureRequest, tmp_path: Path, server_of: Callable[[str], RealServer]
) -> Iterator[Services]:
    yield from services_on_one(request, tmp_path, server_of)


def test_an_operation_is_counted_once_by_what_came_of_it(services: Services) -> None:
    client: FlaskClient = create_app(services).test_client()
    headers = {}
    for name in ("holder", "colleague"):
        services.workers.add(name, name=name, role=Role.SUPERVISOR)
        secret, _ = services.tokens.create(name)
        headers[name] = {"Authorization": f"Bearer {secret}"}
    client.put("/api/boards/main/items/T-1", json={}, headers=headers["holder"])
    take, keyed = "/api/boards/main/items/T-1/take", {"Idempotency-Key": "one"}
    for _ in range(3):
        client.post(take, headers={**headers["holder"], **keyed})
    for _ in range(4):
        client.post(take, headers=headers["holder"])
    for _ in range(5):
        client.post(take, headers=headers["colleague"])
    for result, count in (("ok", 1), ("replayed", 2), ("unchanged", 4), ("held", 5)):
        sample = f'occupancy_operations_total{{operation="take",result="{result}"}}'
        assert value(services.metrics, sample) == count
    taken = re.findall(
        r'(?m)^occupancy_operations_total\{operation="take",.*\} (\S+)$',
        services.metrics.exposition().decode(),
    )
    assert sum(map(float, taken)) == 12
